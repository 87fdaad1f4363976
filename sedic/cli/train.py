"""``sedic train``: the shipped weights and tables, made again."""

from __future__ import annotations

import argparse
import importlib
import warnings
from pathlib import Path
from typing import Any

from .. import threads
from ..errors import SedicError
from .speech import Speech

TRAININGS = {  # each a module of sedic.training
    "text": "text.network",
    "teacher": "text.teacher",
    "trigram": "text.trigram",
    "huffman": "text.huffman",
    "masks": "masks.network",
    "autoencoder": "diffusion.autoencoder",
    "diffusion": "diffusion.networks",
    "adversarial": "diffusion.adversarial",
    "reference": "reference.compact",
    "written": "reference.written",
    "encoder": "reference.encoder",
    "cheng2020": "reference.cheng2020",
}
OWN = {  # options that some have, as fields of their Config
    "embeddings": ("text",),
    "start": ("text", "cheng2020"),
    "taught": ("text",),
    "model": ("teacher",),
    "wordnet": ("teacher",),
    "structure": ("reference",),
}
COUNTED = ("trigram", "huffman")  # nothing is computed on a device


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers."""
    command = kinds.add_parser("train", help="make the shipped weights and tables again")
    command.add_argument("what", choices=TRAININGS)
    command.add_argument("--data", type=Path, required=True, metavar="DIR")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a run found there is resumed")
    command.add_argument("--minutes", type=float, metavar="N", help="budget of trainings that run by the clock")
    command.add_argument(
        "--device", default="cpu", metavar="NAME", help="cpu, cuda, cuda:1; a run resumes on any; default: %(default)s"
    )
    command.add_argument(
        "--embeddings", type=Path, metavar="DIR", help="text begins with a BERT's: see Config.embeddings"
    )
    command.add_argument(
        "--structure", type=float, metavar="S", help="share of MS-SSIM in what reference is trained for, 0 to 1"
    )
    command.add_argument(
        "--start", type=Path, metavar="FILE", help="what text or cheng2020 begins with: see Config.start"
    )
    command.add_argument("--model", type=Path, metavar="DIR", help="language model that teacher begins with")
    command.add_argument("--wordnet", type=Path, metavar="DIR", help="WordNet's dict, whose words teacher adds")
    command.add_argument("--taught", type=Path, metavar="DIR", help="what a teacher expects, for text to learn from")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, speech: Speech) -> None:
    """Makes shipped weights or tables again."""
    threads.share()
    try:
        module = importlib.import_module(f"..training.{TRAININGS[options.what]}", __package__)
        devices = importlib.import_module("..training.device", __package__)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__package__.removesuffix(".cli")):  # .comfyignore leaves them out
            raise SedicError(
                "This copy, as the Comfy registry has it, holds no trainings; clone the repository."
            ) from error
        raise SedicError(f"Training needs {error.name}; install it: pip install 'sedic[train]'.") from error
    import torch

    device = devices.Device(options.device)
    try:
        if options.what in COUNTED:
            module.train(options.data, options.output)
            if options.device != "cpu":
                warnings.warn(f"--device had no use: {options.what} counts, and trains no network.", stacklevel=2)
        elif options.what == "masks":
            module.train(options.data, options.output, device=device)
        else:
            chosen = {"minutes": options.minutes} | {name: getattr(options, name) for name in OWN}
            chosen = {name: value for name, value in chosen.items() if value is not None}
            for name in chosen:
                if options.what not in OWN.get(name, TRAININGS):
                    raise SedicError(f"--{name} is for {' and '.join(OWN[name])}, not {options.what}; leave it out.")
            config = module.Config(**chosen)
            module.train(options.data, options.output, config, device)
    except FileNotFoundError as error:
        raise SedicError(f"{error}; --data takes the folder that training reads.") from error
    except torch.cuda.OutOfMemoryError as error:
        raise SedicError(
            f"{options.device} has not enough memory for a batch; free some, or resume in Python with smaller batches "
            "in Config, as docs/training.md says."
        ) from error
