"""Writes the shipped scene with every pair of coders, and reads what another process wrote; prints the bytes as JSON.

Argument: a JSON file of what the other process printed, or none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sedic.bitstream import SedicFile, mask, text
from sedic.demo import SEMANTICS
from sedic.semantics import Semantics


def main() -> None:
    """All files by the numbers of their coders."""
    scene = Semantics.read(SEMANTICS)
    height, width = scene.objects[0].mask.shape
    written = {}
    for text_coder in text.CODERS.names:
        for mask_coder in mask.CODERS.names:
            if text_coder != text.CODERS.default and mask_coder != mask.CODERS.default:
                continue  # the coders know nothing of each other
            coders = {"text_coder": text_coder, "mask_coder": mask_coder}
            written[f"{text_coder} {mask_coder}"] = SedicFile(width, height, 1, 18, b"any", scene, **coders).to_bytes()
    if len(sys.argv) > 1:
        for coders, data in json.loads(Path(sys.argv[1]).read_text(encoding="ascii")).items():
            file = SedicFile.from_bytes(bytes.fromhex(data))
            assert not file.missing, (coders, file.missing)
            assert file.semantics.to_json() == scene.to_json(), coders
    assert "torch" not in sys.modules, "the file needs no torch, whose kernels differ from machine to machine"
    print(json.dumps({coders: data.hex() for coders, data in written.items()}))


if __name__ == "__main__":
    main()
