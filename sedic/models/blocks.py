"""What the embedded UNet and ControlNet are made of: residual blocks and transformers, under diffusers' names.

The arithmetic is that of diffusers' ``ResnetBlock2D`` and ``Transformer2DModel`` in Stable Diffusion 1.x's shape, which
a test compares; importing diffusers for it would take longer than restoring a small picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32  # of channels, in every group norm


class Residual(nn.Module):
    """Two convolutions with the time between them, (B, C, h, w) and (B, T) -> (B, D, h, w)."""

    def __init__(self, channels: int, out_channels: int, time_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(time_channels, out_channels)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(x)))
        inner = inner + self.time_emb_proj(F.silu(time))[:, :, None, None]
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(inner)))


class Attention(nn.Module):
    """Attention of x, (B, N, C), to itself or to ``context``, (B, T, D); ``processor`` computes it, and can be another.

    Attributes:
        processor: called as diffusers calls its own, with this module, x and ``encoder_hidden_states``.
    """

    def __init__(self, channels: int, heads: int, context_channels: int | None = None) -> None:
        super().__init__()
        source = context_channels or channels
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(source, channels, bias=False)
        self.to_v = nn.Linear(source, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])
        self.processor: Callable[..., Tensor] = attend

    def set_processor(self, processor: Callable[..., Tensor]) -> None:
        """Computes with another one from now on."""
        self.processor = processor

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.processor(self, x, encoder_hidden_states=context)


def attend(attention: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention with the layers of ``attention``, (B, N, C) -> (B, N, C)."""
    context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
    query, key, value = (
        layer(source).unflatten(-1, (attention.heads, -1)).transpose(1, 2)  # B,N,heads·d -> B,heads,N,d
        for layer, source in ((attention.to_q, hidden_states), (attention.to_k, context), (attention.to_v, context))
    )
    return attention.to_out[0](F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class GatedLinear(nn.Module):
    """One half of a linear map times the GELU of the other (Shazeer 2020, GEGLU)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * out_channels)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, -1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """Each position by itself, (B, N, C) -> (B, N, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The middle one stands where diffusers has its dropout, which is none here.
        self.net = nn.Sequential(GatedLinear(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Attention to the picture, attention to the words, feed-forward; (B, N, C) -> (B, N, C)."""

    def __init__(self, channels: int, heads: int, context_channels: int) -> None:
        super().__init__()
        self.norm1, self.attn1 = nn.LayerNorm(channels), Attention(channels, heads)
        self.norm2, self.attn2 = nn.LayerNorm(channels), Attention(channels, heads, context_channels)
        self.norm3, self.ff = nn.LayerNorm(channels), FeedForward(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    """A transformer block over the cells of (B, C, h, w), which it is added to."""

    def __init__(self, channels: int, heads: int, context_channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, context_channels)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        inner = self.proj_in(self.norm(x))
        height, width = inner.shape[-2:]
        cells = inner.permute(0, 2, 3, 1).flatten(1, 2)  # B,C,h,w -> B,h·w,C
        for block in self.transformer_blocks:
            cells = block(cells, context)
        return x + self.proj_out(cells.unflatten(1, (height, width)).permute(0, 3, 1, 2))


class Down(nn.Module):
    """Half the size, (B, C, h, w) -> (B, C, ⌈h/2⌉, ⌈w/2⌉)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Up(nn.Module):
    """The size of the level above, (B, C, h, w) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        return self.conv(F.interpolate(x, size=size, mode="nearest"))
