"""Trains the embedded UNet, ControlNet and text encoder together on cached latents.

Words are tied to places: half of the texts name one region, the others several or the whole, and beside the usual
error of v the energy of Eq. 2 is minimised for every name whose region is known. So the cross-attention learns where a
word belongs, which attention guidance needs, and which a small network does not find out in hours by itself (compare
TokenCompose, Wang et al., CVPR 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.embedded import TEXT_ENCODER, load, new_controlnet, new_text_encoder, new_unet, save
from ...models.precision import UNET, autocast
from ..device import CPU, Device
from ..loop import Run
from ..muon import Muon
from .examples import Examples, encode, unmixed
from .perceptual import Features, distances
from .places import energy_of_places, watched_attention
from .samples import sample_sheet
from .scenes import prepare


@dataclass
class Config:
    """The shipped weights were made with these values."""

    minutes: float = 74
    size: int = 256  # of the crops
    small_share: float = 0.55  # of the time is spent on quarters of the crops: more of them for the same work
    small_batch: int = 40
    batch: int = 12
    rate: float = 2e-3
    places: float = 0.1  # weight of the attention's energy
    perceptual: float = 0.02  # weight of the features' distance, in the later part of the time, on a part of the batch
    perceptual_share: float = 0.55
    perceptual_count: int = 8
    degraded_share: float = 0.06  # targets that stay degraded, named by the negative prompt: what CFG moves away from
    no_text: float = 0.1
    no_condition: float = 0.05
    seed: int = 0


class TextEncoder(nn.Module):
    """The text encoder with a record of the tokens it has seen, so that only those need to be shipped."""

    trained_tokens: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = new_text_encoder()
        self.register_buffer("trained_tokens", torch.zeros(TEXT_ENCODER["vocab_size"], dtype=torch.bool))


class Networks(nn.Module):
    """What is trained: (B, C, h, w) noisy latents, times, tokens, condition latents -> v."""

    def __init__(self) -> None:
        super().__init__()
        self.unet, self.controlnet, self.text = new_unet(), new_controlnet(), TextEncoder()

    def forward(self, z: Tensor, time: Tensor, tokens: Tensor, condition: Tensor, strength: Tensor) -> Tensor:
        text = self.text.encoder(tokens)[0]
        down, middle = self.controlnet(z, time, text, controlnet_cond=condition, return_dict=False)
        down, middle = [d * strength for d in down], middle * strength
        return self.unet(
            z, time, text, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample

    def save(self, out: Path) -> None:
        """Writes the weights of all three into ``out``."""
        save("unet", self.unet, out)
        save("controlnet", self.controlnet, out)
        save("text_encoder", self.text.encoder, out, self.text.trained_tokens)


class Perception:
    """Distance of features between the clean pictures that the network predicts and the true ones, both decoded.

    Args:
        decoder: of the autoencoder; frozen.
        config: its ``perceptual`` values.
        kept: share of the signal at each training step.
        device: where they are compared.
    """

    def __init__(self, decoder: nn.Module, config: Config, kept: Tensor, device: Device = CPU):
        self.decoder = device.place(decoder.requires_grad_(False).to(memory_format=torch.channels_last))
        self.features, self.config, self.kept = device.place(Features()), config, device.batch(kept)

    def __call__(self, batch: dict[str, Tensor], predicted: Tensor) -> Tensor:
        signal = self.kept[batch["time"]]
        # Where noise drowns the picture, a single prediction is a mean of pictures, and no texture may be asked of it.
        rows = torch.where(signal > 0.4, batch["strength"].flatten(), 0).nonzero().flatten()
        rows = rows[: self.config.perceptual_count]
        if not len(rows):
            return predicted.new_zeros(())
        side = min(predicted.shape[-1], self.config.size // 16)
        window = (slice(None), slice(None), slice(side), slice(side))
        clean, _ = unmixed(batch["z"][rows], predicted[rows], signal[rows].reshape(-1, 1, 1, 1))
        with autocast("convolution", device=predicted.device):
            ours, true = (self.decoder(latent[window]) for latent in (clean, batch["target"][rows]))
            with torch.no_grad():
                of_true = self.features(true)
            return self.config.perceptual * (signal[rows] * distances(self.features(ours), of_true).sum(0)).mean()


def watched(networks: Networks, batch: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
    """v at a batch, whose tokens count as trained from then on, and the attention behind it."""
    networks.text.trained_tokens[batch["tokens"].flatten()] = True
    with watched_attention(networks.unet) as attention, autocast(*UNET, device=batch["z"].device):
        v = networks(*(batch[name] for name in ("z", "time", "tokens", "condition", "strength"))).float()
    return v, attention


def errors(
    networks: Networks, batch: dict[str, Tensor], weight: float, perception: Perception | None = None
) -> dict[str, Tensor]:
    """The error of v, the weighted energy of the names' places, and what ``perception`` says."""
    predicted, attention = watched(networks, batch)
    terms = {
        "v": F.mse_loss(predicted, batch["v"]),
        "places": weight * energy_of_places(attention, batch["places"], batch["masks"]),
    }
    return terms if perception is None else terms | {"perceptual": perception(batch, predicted)}


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> Networks:
    """Trains, or resumes, in ``out``, and writes the weights there; the run ``autoencoder`` must lie beside it."""
    torch.manual_seed(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "crops.npy").is_file():
        prepare(data, out, config.size, config.seed)
    if not (out / "latents.npy").is_file():
        encode(out, out.parent / "autoencoder", device)
    examples = Examples(out, config)
    model = Networks().to(memory_format=torch.channels_last)
    optimizer = Muon(model, config.rate)
    run = Run(out, model, config.minutes, config.rate, warm_up=50, optimizer=optimizer, device=device)
    random = np.random.default_rng(config.seed + run.step)
    torch.manual_seed(config.seed + run.step)
    full = examples.latents.shape[-1]
    decoder = load("autoencoder", out.parent / "autoencoder").decoder
    perception = Perception(decoder, config, examples.kept, device)

    def losses() -> dict[str, Tensor]:
        progress = run.seconds / (60 * config.minutes)
        small = progress < config.small_share
        count, side = (config.small_batch, full // 2) if small else (config.batch, full)
        rows = examples.training[torch.randint(len(examples.training), (count,))]
        batch = device.batch(examples.noised(examples.batch(rows, side, random)))
        return errors(model, batch, config.places, perception if progress >= config.perceptual_share else None)

    @torch.no_grad()
    def validate(average: Networks) -> dict[str, float]:
        state = torch.get_rng_state()
        torch.manual_seed(1)
        found = []
        for rows in examples.held_out.split(32)[:4]:
            batch = examples.noised(examples.batch(rows, full, np.random.default_rng(1), True), True)
            found.append(errors(average, device.batch(batch), 1.0))
        torch.set_rng_state(state)
        figures = {f"held_out_{name}": float(np.mean([f[name].item() for f in found])) for name in found[0]}
        return figures | sample_sheet(average, examples, perception.decoder, perception.features, out, run.step, device)

    run.train(losses, validate, every_minutes=9)
    finished: Networks = device.home(run.average)
    finished.save(out)
    return finished
