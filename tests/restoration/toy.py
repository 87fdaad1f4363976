"""Models of a few lines for Algorithm 1: every answer can be computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from sedic.restoration.denoiser import AttentionMap, Picture, variance_exploding

HEADS, TOKENS = 2, 5


@dataclass
class ToyDenoiser:
    """Knows that clean latents are normal around ``mean`` with deviation ``spread``, and remembers its calls."""

    mean: Tensor
    spread: float = 0.0
    attention_at: list[float] = field(default_factory=list)
    denoised_at: list[float] = field(default_factory=list)
    asked: list[tuple[tuple[str, ...], bool]] = field(default_factory=list)
    sizes: list[tuple[int, ...]] = field(default_factory=list)
    stride: float = 1.0
    noised = staticmethod(variance_exploding)

    def window(self, rows: slice, columns: slice) -> ToyDenoiser:
        """Shares the memory of calls."""
        mean = self.mean[..., rows, columns] if self.mean.ndim else self.mean
        return replace(self, mean=mean)

    def picture(self, index: int) -> ToyDenoiser:
        """All are alike."""
        return self

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.denoised_at.append(float(sigma))
        self.sizes.append(tuple(x.shape[-2:]))
        variance = self.spread**2
        return (variance * x + sigma**2 * self.mean) / (variance + sigma**2)

    def solution(self, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
        """Where the probability flow ODE leads from x at ``sigma``."""
        ratio = ((self.spread**2 + sigma_next**2) / (self.spread**2 + sigma**2)) ** 0.5
        return self.mean + (x - self.mean) * ratio

    def attention(
        self, x: Tensor, sigma: Tensor, layers: Sequence[str], through_control: bool = True
    ) -> list[AttentionMap]:
        self.attention_at.append(float(sigma))
        self.asked.append((tuple(layers), through_control))
        return [AttentionMap(attention_of(x / (1 + sigma**2).sqrt()), (x.shape[-2], x.shape[-1]))]


def attention_of(z: Tensor) -> Tensor:
    """Softmax over tokens of fixed projections of z, (1, C, h, w) -> (HEADS, h·w, TOKENS)."""
    keys = torch.randn(HEADS, z.shape[1], TOKENS, generator=torch.Generator().manual_seed(3), dtype=z.dtype)
    return (z.flatten(2).transpose(1, 2) @ keys).softmax(-1)


@dataclass
class ToyModels:
    """Latents are pictures shrunk by 8; a text's length is where its denoiser leads. All calls are kept."""

    conditions: list[tuple[str, str, float, Tensor]] = field(default_factory=list)
    denoisers: list[ToyDenoiser] = field(default_factory=list)
    schedules: list[tuple[str, int]] = field(default_factory=list)
    around: list[Tensor] = field(default_factory=list)
    native_size: int = 512
    coded: list[str] = field(default_factory=list)

    def encode(self, image: Tensor) -> Tensor:
        self.coded.append("encode")
        assert image.shape[-2] % 64 == image.shape[-1] % 64 == 0
        return F.avg_pool2d(image, 8)

    def decode(self, latent: Tensor) -> Tensor:
        self.coded.append("decode")
        return F.interpolate(latent, scale_factor=8).clamp(0, 1)

    def sigmas(self, scheduler: str, steps: int) -> Tensor:
        self.schedules.append((scheduler, steps))
        return torch.cat([torch.linspace(4 if scheduler == "simple" else 3, 0.5, steps), torch.zeros(1)])

    def start(self, noise: Tensor, sigma: Tensor, latent: Tensor) -> Tensor:
        self.around.append(latent)
        return noise * (1 + sigma**2).sqrt() + latent

    def condition(self, text: str, negative: str, scale: float, picture: Picture) -> ToyDenoiser:
        self.conditions.append((text, negative, scale, picture.image))
        self.denoisers.append(ToyDenoiser(picture.latent * 0.5 + len(text) / 100, spread=0.1))
        return self.denoisers[-1]

    def token_positions(self, text: str, phrase: str) -> list[int]:
        return [0, 1] if phrase in text and phrase != "unknown" else []
