"""What ``python -m sedic.bench speed`` times: a function each, whose source also runs beside an older sedic.

So they ask only for what every version has. Each answers processor seconds, of all threads together.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def command(*arguments: str) -> float:
    """``sedic`` with these arguments, from the start of Python on."""
    from sedic.cli import main

    if status := main(list(arguments)):
        sys.exit(status)
    return time.process_time()


def encode(image: str, said: str, file: str) -> float:
    """A picture encoded into a file, with a .json of words and masks or with an overall text."""
    from pathlib import Path

    from sedic import codec
    from sedic.picture import read_picture
    from sedic.semantics import Semantics

    pixels = read_picture(Path(image))
    size = pixels.shape[1], pixels.shape[0]
    semantics = _semantics(said, size) if said.endswith(".json") else Semantics(said)
    return _last(1, lambda: codec.encode(pixels, semantics).write(Path(file)))


def second_decode(file: str) -> float:
    """A decode on the embedded models, where there has been one before."""
    from sedic import codec
    from sedic.bitstream import SedicFile
    from sedic.restoration.settings import PRECISIONS

    # As every tree's codec has it: older ones, beside which this is timed, take no path and choose no settings. The
    # precision is that of each tree's command.
    models, read = codec.load_models(precision=PRECISIONS[0]), SedicFile.read(file)
    settings = codec.settings_of(read, codec.default_settings())
    return _last(2, lambda: list(codec.decode(read, models, settings)))


def masks(semantics: str, width: str, height: str) -> float:
    """The masks of a picture, chosen and written."""
    from sedic.bitstream import mask
    from sedic.bitstream.coder import Encoder

    size = int(width), int(height)
    drawn = [one.mask for one in _semantics(semantics, size).objects]

    def write() -> None:
        coder, encoder = mask.CODERS.make(mask.CODERS.default, *size), Encoder()
        coder.prepare(drawn, mask.MaskChoice())
        for one in drawn:
            coder.write(encoder, one)

    return _last(3, write)


def words(semantics: str, width: str, height: str) -> float:
    """The words of a picture, written."""
    from sedic.bitstream import text
    from sedic.bitstream.coder import Encoder

    said = _semantics(semantics, (int(width), int(height)))

    def write() -> None:
        coder, encoder = text.CODERS.make(text.CODERS.default), Encoder()
        coder.write(encoder, said.overall, text.OVERALL)
        for one in said.objects:
            coder.write(encoder, one.name, text.NAME)
            coder.write(encoder, one.detail, text.DETAIL)

    return _last(3, write)


def content(file: str) -> float:
    """Words and masks of a file, read."""
    import sedic

    return _last(3, lambda: sedic.open(file))


def reference(image: str) -> float:
    """The reference of a picture, written."""
    from pathlib import Path

    from sedic.codec import encode_reference
    from sedic.picture import read_picture

    pixels = read_picture(Path(image))
    return _last(3, lambda: encode_reference(pixels))


def _semantics(path: str, size: tuple[int, int]) -> Any:
    from pathlib import Path

    from sedic.semantics import Semantics

    return Semantics.read(Path(path), size)


def _last(times: int, work: Callable[[], object]) -> float:
    """Processor seconds of the last of so many times: what is loaded once was loaded by the first."""
    for _ in range(times):
        started = time.process_time()
        work()
    return time.process_time() - started


if __name__ == "__main__":
    print("\n" + json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
