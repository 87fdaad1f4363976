"""``sedic compare``: how close two pictures are."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .. import threads


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers."""
    command = kinds.add_parser("compare", help="PSNR and MS-SSIM of two pictures")
    command.add_argument("original", type=Path)
    command.add_argument("decoded", type=Path)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints how close two pictures are."""
    threads.share()
    from ..metrics.fidelity import fidelity
    from ..picture import read_picture

    threads.adapt()
    figures = fidelity(*(read_picture(path, metadata=False) for path in (options.original, options.decoded)))
    if options.json:
        print(json.dumps(figures))
        return
    structure = "MS-SSIM needs larger pictures" if figures["ms_ssim"] is None else f"MS-SSIM {figures['ms_ssim']:.4f}"
    noise = "The pictures are equal" if figures["psnr"] is None else f"PSNR {figures['psnr']:.2f} dB"
    print(f"{noise}, {structure}")
