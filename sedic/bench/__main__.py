"""``python -m sedic.bench``: what there is to measure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import SedicError
from . import bitstream, pictures
from .decoder import measure as measure_decoder
from .energy import VARIANTS


def main() -> int:
    """Runs a measurement; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sedic.bench")
    commands = parser.add_subparsers(required=True, metavar="NAME")
    picture = commands.add_parser("pictures", help="bytes per component, PSNR and MS-SSIM of a folder of pictures")
    picture.add_argument("--images", type=Path, required=True, metavar="DIR", help="NAME.png with NAME.json beside it")
    picture.add_argument("--reference", default="av1", metavar="NAME[:QUALITY]")
    picture.add_argument("--decode", type=int, default=0, metavar="N", help="also restore the first N pictures")
    picture.set_defaults(run=lambda o: pictures.measure(o.images, o.reference, o.decode))

    file = commands.add_parser("bitstream", help="words, masks and whole files beside other compressors")
    file.add_argument("--text", type=Path, metavar="DIR", help="the folder that holds text/ with descriptions")
    file.add_argument("--images", type=Path, metavar="DIR", help="NAME.png with NAME.json and masks beside it")
    file.set_defaults(run=lambda o: bitstream.measure(o.text, o.images))
    _add_decoder(commands)
    options = parser.parse_args()
    try:
        options.run(options)
    except SedicError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _add_decoder(commands: Any) -> None:
    decoder = commands.add_parser("decoder", help="exactness of the decoder, its energy, and its cost inside ComfyUI")
    decoder.add_argument("--images", type=Path, metavar="DIR", help="also the energy over the objects of its pictures")
    decoder.add_argument("--pictures", type=int, default=4, metavar="N", help="of DIR; default: %(default)s")
    decoder.add_argument("--side", type=int, default=192, metavar="PIXELS", help="shorter side; default: %(default)s")
    decoder.add_argument(
        "--variants", nargs="+", default=["defaults"], metavar="NAME",
        help=f"of guidance, some of: {', '.join(VARIANTS)}; default: defaults",
    )  # fmt: skip
    decoder.add_argument("--cost", action="store_true", help="also in ComfyUI, on a checkpoint of full size")
    decoder.set_defaults(run=lambda o: measure_decoder(o.images, o.pictures, o.side, o.variants, o.cost))


if __name__ == "__main__":
    sys.exit(main())
