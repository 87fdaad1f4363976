"""Trains what ``compact`` has beyond ``compact-1``, on what the encoder really writes: coarse entropy model, synthesis.

The encoder weighs every symbol's bits and moves symbols to where the decoder errs less, so that they are others than
analysis gives, rounded, which all was trained with before. Crops are encoded once, by ``compact-1``; from these symbols
the entropy model learns what is likely, and the synthesis what the pictures were.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from ...models.precision import autocast
from ...progress import track
from ...reference.compact.codec import WRITTENS_WEIGHTS, CompactFirst, package_weights
from ...reference.compact.error import error_to
from ...reference.compact.prior import SUBSTEPS
from ...reference.compact.refine import SHARE
from ...reference.compact.transforms import KNOTS, PIXEL, Transforms
from ..data import Picture, split
from ..device import CPU, Device
from ..loop import Run
from ..muon import Muon
from .compact import distortion, loss_shares, shares, trade_off
from .crops import ScaledCrops, to_unit
from .hierarchy import Hierarchy, start
from .integers import with_whole_rows, written_package

FILE = WRITTENS_WEIGHTS.name
SHOWN = (8, 20, 32, 44)  # qualities that are validated, in steps of 1/8
SHOWN_AT_ONCE = 8


@dataclass
class Config:
    """The recipe of the shipped weights.

    Attributes:
        crops: that are encoded, before anything is trained; 450 kB each are kept in the run's folder.
        held_out: crops of pictures that are left out.
        minutes: of the coarse entropy model.
        settling_minutes: of the same at the end, in whole numbers.
        synthesis_minutes: of the synthesis.
    """

    crops: int = 7800
    held_out: int = 200
    minutes: float = 25
    rate: float = 2e-3
    batch: int = 64
    settling_minutes: float = 3
    settling_rate: float = 2e-4
    synthesis_minutes: float = 20
    synthesis_rate: float = 5e-4
    synthesis_batch: int = 4
    crop: int = 384
    longest_short_side: int = 1100
    seed: int = 0


class Written:
    """Crops and what the encoder writes of them, in a folder: four arrays, opened when there.

    Attributes:
        pixels: (n, side, side, 3) uint8.
        quality: (n,) uint8, in steps of 1/8.
        latents: the symbols, (n, 32, h, w) and (n, 64, 2h, 2w) int8: what a network sees of larger ones is as much.
    """

    def __init__(self, folder: Path) -> None:
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pixels", "quality", "coarse", "fine")]
        self.pixels, self.quality, self.latents = arrays[0], arrays[1], (arrays[2], arrays[3])

    def __len__(self) -> int:
        return len(self.quality)

    def symbols(self, chosen: np.ndarray, level: int) -> Tensor:
        """Of the chosen crops those of the coarse latent, 0, or the fine one, 1: (n, C, h, w) float32."""
        return torch.from_numpy(self.latents[level][chosen].astype(np.float32))

    def qualities(self, chosen: np.ndarray) -> Tensor:
        """(n,) in 0 … 7."""
        return torch.from_numpy(self.quality[chosen].astype(np.float32)) / SUBSTEPS


def written(pictures: list[Picture], folder: Path, qualities: np.ndarray, config: Config) -> Written:
    """A crop for each of the qualities, (n,) in steps of 1/8, encoded; what is in the folder is taken as it is."""
    if not (folder / "fine.npy").is_file():
        side, whole = config.crop, [p.pixels(config.longest_short_side) for p in pictures]
        crops = ScaledCrops(whole, side, 1, config.seed).pixels()
        folder.mkdir(parents=True, exist_ok=True)
        shape, codec = (len(qualities), side, side, 3), CompactFirst()
        pixels = np.lib.format.open_memmap(folder / "pixels.npy", "w+", np.uint8, shape)
        found: tuple[list[np.ndarray], ...] = ([], [])
        for index in track(range(len(qualities)), "crops"):
            (pixels[index],), quality = next(crops), int(qualities[index]) + 1
            data = codec.encode(pixels[index], quality)
            for symbols, kept in zip(codec.symbols(data, (side, side), quality), found, strict=True):
                kept.append(np.clip(symbols, -127, 127).astype(np.int8))
        pixels.flush()
        for name, values in (("quality", qualities.astype(np.uint8)), ("coarse", found[0]), ("fine", found[1])):
            np.save(folder / f"{name}.npy", np.stack(values) if isinstance(values, list) else values)
    return Written(folder)


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> None:
    """Trains, or resumes, in ``out``, and writes ``compact_written.safetensors`` there."""
    torch.manual_seed(config.seed)
    pictures, left_out = split(data)
    drawn = np.random.default_rng(config.seed).integers(0, SUBSTEPS * (KNOTS - 1) + 1, config.crops)
    crops = written(pictures, out / "crops", drawn, config)
    held_out = written(left_out, out / "held-out", np.resize(SHOWN, config.held_out), config)
    hierarchy = learn_hierarchy(crops, held_out, out, config, device)
    synthesis = learn_synthesis(crops, held_out, out, config, device)
    save_file(written_package(hierarchy, synthesis), out / FILE)


def learn_hierarchy(crops: Written, held_out: Written, out: Path, config: Config, device: Device) -> Hierarchy:
    """The coarse entropy model: in floats, then as the 8-bit integers it will be."""
    model = Hierarchy()
    start(model, crops.latents[0], crops.quality)
    rate, batches = config.rate, _batches(crops, config.batch, config.seed)
    optimizer = Muon(model, rate, weight_decay=0.0, shares=_hierarchys_shares)
    run = Run(out / "hierarchy", model, config.minutes, rate, optimizer=optimizer, device=device)

    def losses(in_integers: bool) -> dict[str, Tensor]:
        chosen = next(batches)
        inputs = device.batch(crops.symbols(chosen, 0)), device.batch(crops.qualities(chosen))
        cost = torch.func.functional_call(model, with_whole_rows(model), inputs) if in_integers else model(*inputs)
        return {"coarse": (cost * loss_shares(inputs[1])).sum() / config.crop**2}

    def validate(average: Any) -> dict[str, float]:
        return bytes_of(average, held_out, device)

    run.train(lambda: losses(False), validate, every_minutes=2.0)
    model.load_state_dict(run.average.state_dict())
    rate, folder = config.settling_rate, out / f"settling-{run.step}"  # a run that went on settles anew
    optimizer = Muon(model, rate, weight_decay=0.0, shares=_hierarchys_shares)
    last = Run(folder, model, config.settling_minutes, rate, optimizer=optimizer, device=device)
    last.train(lambda: losses(True), validate, every_minutes=2.0)
    settled: Hierarchy = device.home(last.average)
    return settled


def learn_synthesis(crops: Written, held_out: Written, out: Path, config: Config, device: Device) -> nn.Module:
    """The synthesis, from where it stood; all else of the transforms stays."""
    transforms = device.place(copy.deepcopy(package_weights(first=True).transforms))
    model = transforms.synthesis.requires_grad_(True).train()
    rate, batches = config.synthesis_rate, _batches(crops, config.synthesis_batch, config.seed)
    optimizer = Muon(model, rate, weight_decay=0.0, shares=_synthesiss_shares)
    run = Run(out / "synthesis", model, config.synthesis_minutes, rate, optimizer=optimizer, device=device)

    def losses() -> dict[str, Tensor]:
        chosen = next(batches)
        coarse, fine = (device.batch(crops.symbols(chosen, level)) for level in range(2))
        x, quality = device.batch(to_unit(crops.pixels[chosen])), device.batch(crops.qualities(chosen))
        with autocast("convolution", device=x.device):
            picture = transforms.pictures(coarse, fine, quality).float()
        worth = loss_shares(quality) * trade_off(quality) / 3 * PIXEL**2
        return {"error": (worth * error_to(x, SHARE)(picture)).sum() / config.crop**2}

    def validate(average: Any) -> dict[str, float]:
        return errors_of(transforms.with_synthesis(average), held_out, device)

    run.train(losses, validate, every_minutes=4.0)
    return device.home(run.average)


@torch.no_grad()
def bytes_of(model: Any, crops: Written, device: Device = CPU) -> dict[str, float]:
    """Mean bytes of a crop's coarse symbols at each quality, by the entropy model in whole numbers."""
    figures, whole = {}, with_whole_rows(model)
    for shown, chosen in _by_quality(crops):
        inputs = device.batch(crops.symbols(chosen, 0)), device.batch(crops.qualities(chosen))
        figures[f"bytes{shown}"] = torch.func.functional_call(model, whole, inputs).mean().item() / 8
    return figures


@torch.no_grad()
def errors_of(transforms: Transforms, crops: Written, device: Device = CPU) -> dict[str, float]:
    """Mean PSNR, in dB, of crops at each quality, and the error with its share of structure, in grey levels²."""
    figures, limit = {}, 127.5 / PIXEL
    for shown, indices in _by_quality(crops):
        values, errors = [], []
        for chosen in np.array_split(indices, -(-len(indices) // SHOWN_AT_ONCE)):
            x = device.batch(to_unit(crops.pixels[chosen]))
            coarse, fine = (device.batch(crops.symbols(chosen, level)) for level in range(2))
            picture = transforms.pictures(coarse, fine, device.batch(crops.qualities(chosen))).float()
            errors.append(error_to(x, SHARE)(picture) / x[0].numel() * PIXEL**2)
            values.append(10 * (255**2 / distortion(picture.clamp(-limit, limit), x, 0)).log10())
        figures[f"psnr{shown}"], figures[f"error{shown}"] = (torch.cat(v).mean().item() for v in (values, errors))
    return figures


def _by_quality(crops: Written) -> list[tuple[int, np.ndarray]]:
    return [(int(q), np.flatnonzero(crops.quality == q)) for q in np.unique(crops.quality)]


def _batches(crops: Written, count: int, seed: int) -> Iterator[np.ndarray]:
    """Endless indices of crops, sorted, as a disk likes them."""
    random = np.random.default_rng(seed)
    while True:
        yield np.sort(random.choice(len(crops), min(count, len(crops)), replace=False))


def _hierarchys_shares(name: str, parameter: nn.Parameter) -> float | None:
    """Of the learning rate, as :class:`Muon` takes them: vectors, and what depends on the quality, move more."""
    return 2.0 if "quality" in name or parameter.ndim < 2 else None


def _synthesiss_shares(name: str, parameter: nn.Parameter) -> float | None:
    """Likewise: as in the codec's own training."""
    return shares(f"transforms.synthesis.{name}", parameter)
