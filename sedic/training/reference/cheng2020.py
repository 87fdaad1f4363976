"""The paper's reference codec: ``cheng2020-attn`` of the lowest rate, trained further at a tenth of its λ.

Section IV of the paper names λ and the learning rate; the rest is as in CompressAI's own training: crops of 256×256 in
batches of 16, Adam, gradients clipped at a norm of 1, a second Adam for the quantiles of z's entropy model. It is work
for a GPU; a processor is enough to see that it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import SedicError
from ...reference.cheng2020 import Cheng2020Attention, load
from ..data import RandomCrops, split
from ..device import CPU, Device
from ..loop import Run

LOWEST_LAMBDA = 0.0018  # of CompressAI's quality 1: bits per pixel that 1/255² of mean squared error is worth
_QUANTILES = "entropy_bottleneck.quantiles"
_AUXILIARY = 1e-3  # of the quantiles' loss: below the norm at which gradients are clipped; Adam does not see it


@dataclass
class Config:
    """The paper's values, where it gives them.

    Attributes:
        start: CompressAI's weights of quality 1.
        trade_off: λ.
        quantiles_share: how much faster the quantiles learn.
    """

    start: Path | None = None
    minutes: float = 24 * 60
    trade_off: float = LOWEST_LAMBDA / 10
    rate: float = 1e-4
    quantiles_share: float = 10.0
    crop: int = 256
    batch: int = 16
    longest_short_side: int = 1100
    seed: int = 0


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> Path:
    """Trains, or resumes, in ``out``; returns the weights' file there, ``cheng2020-attn/q1.pth``.

    ``out`` is then a folder of weights as ``sedic encode --weights`` takes it.

    Raises:
        SedicError: no start, or CompressAI or the weights missing or unusable.
    """
    if config.start is None:
        raise SedicError("cheng2020 begins with weights of quality 1; give --start FILE, from CompressAI's model zoo.")
    torch.manual_seed(config.seed)
    model = load(config.start).train().requires_grad_(True)
    training, validation = split(data)
    side = config.longest_short_side
    crops = iter(RandomCrops([p.pixels(side) for p in training], config.crop, config.batch, config.seed))
    held_out = next(iter(RandomCrops([p.pixels(side) for p in validation], config.crop, len(validation), config.seed)))
    quantiles = [p for name, p in model.named_parameters() if name == _QUANTILES]
    others = [p for name, p in model.named_parameters() if name != _QUANTILES]
    groups: list[dict[str, Any]] = [{"params": others}, {"params": quantiles, "share": config.quantiles_share}]
    optimizer = torch.optim.Adam(groups, lr=config.rate)
    run = Run(out, model, config.minutes, config.rate, optimizer=optimizer, device=device)

    def losses() -> dict[str, Tensor]:
        images = unit(device.batch(next(crops)))
        rate, error = rate_distortion(model, images)
        return {
            "rate": rate,
            "distortion": config.trade_off * 255**2 * error,
            "quantiles": _AUXILIARY * model.aux_loss(),
        }

    @torch.no_grad()
    def validate(average: Any) -> dict[str, float]:
        found = [rate_distortion(average, unit(device.batch(image[None]))) for image in held_out]
        return {
            "bpp": torch.stack([rate for rate, _ in found]).mean().item(),
            "psnr": torch.stack([-10 * error.log10() for _, error in found]).mean().item(),
        }

    run.train(losses, validate)
    return save(device.home(run.average), out)


def unit(crops: Tensor) -> Tensor:
    """Pictures in [-1, 1] to [0, 1], which CompressAI takes."""
    return (crops + 1) / 2


def rate_distortion(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Bits per pixel of both latents under their likelihoods, and the mean squared error (Eq. 1)."""
    coded = model(images)
    pixels = images.shape[0] * images.shape[2] * images.shape[3]
    bits = torch.stack([-likelihoods.log2().sum() for likelihoods in coded["likelihoods"].values()]).sum()
    return bits / pixels, (coded["x_hat"] - images).square().mean()


def save(model: Any, out: Path) -> Path:
    """Writes a model, its probability tables worked out anew, where the codec looks for it below ``out``."""
    model.update(force=True)
    path = out / Cheng2020Attention.name / "q1.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(model.state_dict(), partial)
    partial.replace(path)
    return path
