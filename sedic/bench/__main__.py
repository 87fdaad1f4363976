"""``python -m sedic.bench``: what there is to measure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import SedicError
from .pictures import measure


def main() -> int:
    """Runs a measurement; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sedic.bench")
    commands = parser.add_subparsers(required=True, metavar="NAME")
    pictures = commands.add_parser("pictures", help="bytes per component, PSNR and MS-SSIM of a folder of pictures")
    pictures.add_argument("--images", type=Path, required=True, metavar="DIR", help="NAME.png with NAME.json beside it")
    pictures.add_argument("--reference", default="av1", metavar="NAME[:QUALITY]")
    pictures.add_argument("--decode", type=int, default=0, metavar="N", help="also restore the first N pictures")
    pictures.set_defaults(run=lambda o: measure(o.images, o.reference, o.decode))
    options = parser.parse_args()
    try:
        options.run(options)
    except SedicError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
