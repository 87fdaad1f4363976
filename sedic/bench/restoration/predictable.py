"""How much of a photograph's features its reference tells: ``python -m sedic.bench predictable RUN``.

The feature distance asks for structure, most of which a reference of a thousand bytes has lost. Here a network may
answer in features instead of in a picture; it is trained for nothing but that distance, on the very network that
measures it. What it cannot guess, a restored picture is not likely to show.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import SedicError
from ...metrics.perception import read_network, stage_features
from ...models.autoencoder import Residual
from ...models.embedded import load
from ...models.precision import autocast
from ...training.diffusion.examples import Examples
from ...training.diffusion.networks import Config
from ...training.diffusion.perceptual import distances
from ...training.loop import Run

_SIDE, _BATCH = 16, 16  # latent cells of a window, windows a step
_WIDTHS = (48, 96, 160, 224, 256)  # at 1/2, 1/4 … 1/32 of the size


class Guess(nn.Module):
    """Unit-length features of references, (B, C, H/s, W/s) for s from 2 to 32, to those of their originals.

    A U-Net that begins with the features it is given and first changes nothing.

    Args:
        channels: of the features at each stage.
    """

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        wide, narrow = _WIDTHS[1:], _WIDTHS[:-1]
        self.read = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(channels, _WIDTHS, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(narrow, wide, strict=True))
        self.enlarge = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(narrow, wide, strict=True))
        self.down, self.up = (nn.ModuleList(nn.Sequential(Residual(w), Residual(w)) for w in _WIDTHS) for _ in range(2))
        self.write = nn.ModuleList(nn.Conv2d(w, c, 1) for c, w in zip(channels, _WIDTHS, strict=True))
        for parameter in self.write.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        scales = [f.shape[1] ** 0.5 for f in features]  # of unit length: mean square 1 suits the layers
        x = [read(s * f) for read, s, f in zip(self.read, scales, features, strict=True)]
        for stage, down in enumerate(self.down):
            x[stage] = down(x[stage] + self.shrink[stage - 1](x[stage - 1]) if stage else x[stage])
        for stage in reversed(range(len(x))):
            if stage + 1 < len(x):
                coarser = self.enlarge[stage](x[stage + 1])
                x[stage] = x[stage] + F.interpolate(coarser, size=x[stage].shape[-2:], mode="bilinear")
            x[stage] = self.up[stage](x[stage])
        changes = (write(y) / s for write, s, y in zip(self.write, scales, x, strict=True))
        return [F.normalize(f + change.float(), dim=1) for f, change in zip(features, changes, strict=True)]


def measure(run: Path, out: Path, minutes: float) -> None:
    """Trains, or resumes in ``out``, on the crops of a run of ``sedic train diffusion``, and prints what is left.

    Args:
        run: that run's folder, with the run ``autoencoder`` beside it.
        out: receives the log and the checkpoint.
        minutes: of training, 0 to print only what an untrained guess leaves.

    Raises:
        SedicError: this is no such folder, or a package is missing.
    """
    if not (run / "latents.npy").is_file():
        raise SedicError(f"{run} has no latents.npy; name the folder of a run of `sedic train diffusion`.")
    torch.manual_seed(0)
    network = read_network(2, "bench").to(memory_format=torch.channels_last)
    decoder = load("autoencoder", run.parent / "autoencoder").decoder.to(memory_format=torch.channels_last)
    examples = Examples(run, Config())

    @torch.no_grad()
    def features(pixels: Tensor) -> list[Tensor]:
        with autocast("convolution"):
            found = stage_features(network, pixels.contiguous(memory_format=torch.channels_last))
        return [F.normalize(f.float(), dim=1) for f in found]

    def pairs(rows: Tensor, side: int, random: np.random.Generator) -> tuple[list[Tensor], list[Tensor]]:
        """Features of references and of their originals."""
        batch = examples.batch(rows, side, random, validating=True, pixels=True)
        with torch.no_grad(), autocast("convolution"):
            references = decoder(batch["condition"].contiguous(memory_format=torch.channels_last)).float()
        return features(references.clamp(-1, 1)), features(batch["pixels"])

    full = examples.latents.shape[-1]
    model = Guess([f.shape[1] for f in features(torch.zeros(1, 3, 64, 64))]).to(memory_format=torch.channels_last)
    training = Run(out, model, minutes, 1e-3, decay=0.995, warm_up=50)
    random = np.random.default_rng(training.step)

    def guessed(guess: nn.Module, known: list[Tensor]) -> list[Tensor]:
        with autocast("convolution"):
            return guess(known)

    def losses() -> dict[str, Tensor]:
        rows = examples.training[torch.randint(len(examples.training), (_BATCH,))]
        known, wanted = pairs(rows, min(_SIDE, full), random)
        return {"distance": distances(guessed(model, known), wanted).mean()}

    @torch.no_grad()
    def validate(guess: nn.Module) -> dict[str, float]:
        held_out, left, before = np.random.default_rng(1), [], []
        for rows in examples.held_out.split(8):
            known, wanted = pairs(rows, full, held_out)
            before.append(distances(known, wanted))
            left.append(distances(guessed(guess, known), wanted))
        stages = [torch.cat(parts, 1).mean(1) for parts in (before, left)]
        figures = {"reference": stages[0].mean().item(), "guess": stages[1].mean().item()}
        shares = {f"1/{2 ** (k + 1)}": (b / a - 1).item() for k, (a, b) in enumerate(zip(*stages, strict=True))}
        return figures | {"change": figures["guess"] / figures["reference"] - 1} | shares

    begun = training.step
    training.train(losses, validate, every_minutes=5)
    if training.step == begun:  # the time was over already
        training.log(validate(training.average))
