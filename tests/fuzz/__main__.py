"""Runs the fuzzer; see the package's docstring."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sedic.bitstream"]):
    from sedic.bitstream import mask, text

    from . import target

    for id in text.CODERS.names:
        text.CODERS.make(id)  # their modules are imported here, so that they are watched too
    for id in mask.CODERS.names:
        mask.CODERS.make(id, 64, 48)

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(".cache") / "fuzz"
DEFAULTS = ("-max_len=1200", "-print_final_stats=1")


def main() -> None:
    """Options of libFuzzer and folders of inputs, of which the first takes what is found; the defaults come first."""
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not folders:
        FOUND.mkdir(parents=True, exist_ok=True)
        folders = [str(FOUND)]
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    artifacts = f"-artifact_prefix={folders[0]}/"
    atheris.Setup([sys.argv[0], *DEFAULTS, artifacts, *options, *folders, str(CORPUS)], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
