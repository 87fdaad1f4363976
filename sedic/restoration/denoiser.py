"""What Algorithm 1 asks of a diffusion model: two protocols, so that it runs on any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from .settings import ATTENTION_LAYERS as ATTENTION_LAYERS
from .settings import CONTROL_LAYERS as CONTROL_LAYERS


@dataclass(frozen=True)
class AttentionMap:
    """One cross-attention layer's weights for one picture.

    Attributes:
        weights: softmax over the T text tokens, (heads, H·W, T), float32, differentiable in x.
        grid: (H, W) of the layer.
        tokens: the positions in the text that the T are; None: they are the whole text.
        from_control: whether the layer is a ControlNet's own.
    """

    weights: Tensor
    grid: tuple[int, int]
    tokens: tuple[int, ...] | None = None
    from_control: bool = False

    def places(self, tokens: Sequence[int]) -> list[int]:
        """Where positions in the text stand among the weights' T."""
        return list(tokens) if self.tokens is None else [self.tokens.index(token) for token in tokens]


class Denoiser(Protocol):
    """A model bound to one stage's text, negative text, guidance scale and condition picture."""

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Predicted clean latent for ``x`` (B, C, h, w) at the noise level ``sigma`` (scalar), CFG included."""
        ...

    @property
    def stride(self) -> float:
        """By which η is multiplied so that it moves this network's latents as far as Stable Diffusion's."""
        ...

    def noised(self, latent: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """x at the noise level ``sigma`` (scalar) of a clean latent and standard normal noise, linear in both.

        With variance exploding it is x0 + σε (:func:`variance_exploding`), in a flow model (1 − σ)x0 + σε.
        """
        ...

    def attention(
        self, x: Tensor, sigma: Tensor, layers: Sequence[str], through_control: bool = True
    ) -> list[AttentionMap]:
        """Cross-attention of the conditional half, with gradients to ``x``; stops behind the last layer read.

        Args:
            x: latent (1, C, h, w) that requires a gradient.
            sigma: its noise level, scalar.
            layers: some of :data:`ATTENTION_LAYERS`; the maps come in the order in which the network runs them.
            through_control: whether gradients also go through the ControlNet; without, what it adds is a constant,
                its forward pass runs without gradients, and :data:`CONTROL_LAYERS` cannot be among the layers.

        Raises:
            SedicError: the model has no such layers.
        """
        ...

    def window(self, rows: slice, columns: slice) -> Denoiser:
        """The same stage on a part of the latent, in cells: whatever the condition covers is cropped to it."""
        ...

    def picture(self, index: int) -> Denoiser:
        """Of a stage of several latents the one, counted from 0, for :meth:`attention`."""
        ...


class Picture:
    """A picture that may be asked for its latent: the autoencoder runs once, and only if somebody asks.

    Attributes:
        image: (1, 3, H, W) in [0, 1].
    """

    def __init__(self, image: Tensor, encode: Callable[[Tensor], Tensor]):
        self.image, self._encode = image, encode

    @cached_property
    def latent(self) -> Tensor:
        """The picture's latent, (1, C, h, w)."""
        return self._encode(self.image)


class Models(Protocol):
    """An autoencoder, a text encoder, a denoising network and a ControlNet that belong together."""

    @property
    def native_size(self) -> int:
        """The side in pixels that the network was trained at, a multiple of 64."""
        ...

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
        """First x of a stage: standard normal ``noise`` at level ``sigma`` around ``latent``.

        At the highest level the deviation is √(1 + σ²), which makes x pure noise for the network; below it is σ.
        """
        ...

    def condition(self, text: str, negative: str, scale: float, picture: Picture) -> Denoiser:
        """Binds texts, guidance scale and the condition picture; texts are encoded once each."""
        ...

    def token_positions(self, text: str, phrase: str) -> Sequence[int]:
        """Where the tokens of ``phrase`` stand among those of ``text``."""
        ...


def variance_exploding(latent: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """x0 + σε: ``noised`` of Stable Diffusion, in ComfyUI's convention."""
    return latent + sigma * noise


def attention_weights(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """softmax(q kᵀ / √d) of the first picture in float32: (B, H·W, C), (B, T, C) -> (heads, H·W, T)."""
    query = query[0].float().unflatten(-1, (heads, -1)).transpose(0, 1)  # H·W,C -> heads,H·W,d
    key = key[0].float().unflatten(-1, (heads, -1)).permute(1, 2, 0)  # T,C -> heads,d,T
    return (query @ key * query.shape[-1] ** -0.5).softmax(-1)


HALF_PRECISION_SCALE = 2.0**13
"""Gradients of the energy lie around 1e-6, where half precision has few digits left: they go through the network
multiplied by this."""


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, factor: float) -> Tensor:
        context.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * context.factor, None


def scaled_gradient(x: Tensor, factor: float) -> Tensor:
    """``x`` itself, whose gradient is multiplied by ``factor``."""
    return x if factor == 1 else _Scaled.apply(x, factor)


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
