"""What Algorithm 1 asks of a diffusion model: two protocols, so that it runs on any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

ATTENTION_LAYERS = ("first up block", "second up block", "middle block")
"""Choices for the cross-attention that guidance reads.

``first up block``: the first block of the upsampling branch that has cross-attention (LDM output blocks 3-5 of
SD 1.5); ``second up block``: the one after it (output blocks 6-8), the other reading of the paper's "middle block of
the upsampling branch"; ``middle block``: the bottleneck.
"""


@dataclass(frozen=True)
class AttentionMap:
    """One cross-attention layer's weights for one picture.

    Attributes:
        weights: softmax over the T text tokens, (heads, H·W, T), float32, differentiable in x.
        grid: (H, W) of the layer.
    """

    weights: Tensor
    grid: tuple[int, int]


class Denoiser(Protocol):
    """A model bound to one stage's text, negative text, guidance scale and condition picture."""

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Predicted clean latent for ``x`` (B, C, h, w) at the noise level ``sigma`` (scalar), CFG included."""
        ...

    def attention(self, x: Tensor, sigma: Tensor, layers: str) -> list[AttentionMap]:
        """Cross-attention of the conditional half, with gradients to ``x``; stops behind the last layer read.

        Args:
            x: latent (1, C, h, w) that requires a gradient.
            sigma: its noise level, scalar.
            layers: one of :data:`ATTENTION_LAYERS`.
        """
        ...


class Models(Protocol):
    """An autoencoder, a text encoder, a denoising network and a ControlNet that belong together."""

    def encode(self, image: Tensor) -> Tensor:
        """Picture (1, 3, H, W) in [0, 1], H and W multiples of 64, to the latent that the denoiser works on."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Latent to picture, (1, 3, H, W) in [0, 1]."""
        ...

    def sigmas(self, scheduler: str, steps: int) -> Tensor:
        """Falling noise levels, (steps + 1,), the last one 0."""
        ...

    def start(self, noise: Tensor, sigma: Tensor, latent: Tensor) -> Tensor:
        """First x of a stage: standard normal ``noise`` at level ``sigma`` around ``latent``."""
        ...

    def condition(self, text: str, negative: str, scale: float, image: Tensor) -> Denoiser:
        """Binds texts, guidance scale and the condition picture, (1, 3, H, W) in [0, 1]."""
        ...

    def token_positions(self, text: str, phrase: str) -> Sequence[int]:
        """Where the tokens of ``phrase`` stand among those of ``text``."""
        ...


def attention_weights(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """softmax(q kᵀ / √d) of the first picture in float32: (B, H·W, C), (B, T, C) -> (heads, H·W, T)."""
    query = query[0].float().unflatten(-1, (heads, -1)).transpose(0, 1)  # H·W,C -> heads,H·W,d
    key = key[0].float().unflatten(-1, (heads, -1)).permute(1, 2, 0)  # T,C -> heads,d,T
    return (query @ key * query.shape[-1] ** -0.5).softmax(-1)


def attention_grid(cells: int, height: int, width: int) -> tuple[int, int]:
    """(H, W) of a layer with ``cells`` queries in a network that halves a (height, width) latent, rounding up.

    Raises:
        ValueError: no number of halvings gives as many cells.
    """
    grid = height, width
    while grid[0] * grid[1] > cells:
        grid = -(-grid[0] // 2), -(-grid[1] // 2)
    if grid[0] * grid[1] != cells:
        raise ValueError(
            f"{cells} cells are no halving of a {height}×{width} latent; use sizes that are multiples of 64."
        )
    return grid
