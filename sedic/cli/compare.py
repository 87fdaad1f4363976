"""``sedic compare``: how close two pictures are."""

from __future__ import annotations

import argparse
from typing import Any

from .. import threads
from . import files
from .bars import Bars
from .speech import Speech


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers."""
    command = kinds.add_parser("compare", help="PSNR and MS-SSIM of two pictures")
    command.add_argument("original", type=files.name, help="a picture, or - for standard input")
    command.add_argument("decoded", type=files.name, help="likewise")
    command.add_argument("--json", action="store_true", help="one JSON object instead of a line")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, speech: Speech) -> None:
    """Prints how close two pictures are."""
    threads.share()
    from ..metrics.fidelity import fidelity
    from ..progress import watched_by

    threads.adapt()
    files.read_once(options.original, options.decoded)
    original, decoded = (files.read_picture(name, metadata=False) for name in (options.original, options.decoded))
    with Bars() as bars, watched_by(bars):
        figures = fidelity(original, decoded)
    structure = "MS-SSIM needs larger pictures" if figures["ms_ssim"] is None else f"MS-SSIM {figures['ms_ssim']:.4f}"
    noise = "The pictures are equal" if figures["psnr"] is None else f"PSNR {figures['psnr']:.2f} dB"
    speech.say(f"{noise}, {structure}")
    speech.json({**figures, "width": original.shape[1], "height": original.shape[0]})
