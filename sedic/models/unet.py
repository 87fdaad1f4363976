"""The embedded UNet and its ControlNet: Stable Diffusion 1.x's shape at any width, under diffusers' names.

They take diffusers' words for a shape and answer as its ``UNet2DConditionModel`` and ``ControlNetModel`` do, so that
the decoder and ComfyUI's loaders know no difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import GROUPS, Down, Residual, Transformer, Up


class TimeEmbedding(nn.Module):
    """(B, C) of :func:`waves` -> (B, D)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(channels, out_channels), nn.Linear(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(x)))


def waves(times: Tensor, channels: int) -> Tensor:
    """Training steps (B,) as cosines and sines of falling frequencies, (B, channels) float32 (Ho et al. 2020)."""
    half = channels // 2
    rates = torch.exp(-math.log(10000) / half * torch.arange(half, dtype=torch.float32, device=times.device))
    angles = times[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], -1)


class Level(nn.Module):
    """Residual blocks of one size, with transformers where it attends, and the way to the next size.

    Args:
        widths: channels in and out of each residual block.
        time_channels: of the time.
        heads, context_channels: of the transformers; no heads: none.
        down, up: whether the next level is half the size, or twice.
    """

    def __init__(self, widths: Sequence[tuple[int, int]], time_channels: int, heads: int, context_channels: int,
                 down: bool = False, up: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.has_cross_attention = heads > 0
        self.resnets = nn.ModuleList([Residual(*pair, time_channels) for pair in widths])
        outs = [out for _, out in widths] if heads else []
        self.attentions = nn.ModuleList([Transformer(out, heads, context_channels) for out in outs])
        self.downsamplers = nn.ModuleList([Down(widths[-1][1])] if down else [])
        self.upsamplers = nn.ModuleList([Up(widths[-1][1])] if up else [])

    def layer(self, index: int, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        """One residual block with the transformer behind it."""
        x = self.resnets[index](x, time)
        return self.attentions[index](x, context) if self.has_cross_attention else x


class Middle(nn.Module):
    """A transformer between two residual blocks."""

    def __init__(self, channels: int, time_channels: int, heads: int, context_channels: int) -> None:
        super().__init__()
        self.has_cross_attention = True
        self.resnets = nn.ModuleList([Residual(channels, channels, time_channels) for _ in range(2)])
        self.attentions = nn.ModuleList([Transformer(channels, heads, context_channels)])

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        x = self.attentions[0](self.resnets[0](x, time), context)
        return self.resnets[1](x, time)


class Contracting(nn.Module):
    """The way down that both networks have: conv_in, time_embedding, down_blocks, mid_block."""

    def __init__(self, *, in_channels: int, block_out_channels: Sequence[int], layers_per_block: int,
                 cross_attention_dim: int, attention_head_dim: int, down_block_types: Sequence[str],
                 **others: object) -> None:  # fmt: skip
        super().__init__()
        self.config = SimpleNamespace(
            in_channels=in_channels, block_out_channels=block_out_channels, layers_per_block=layers_per_block,
            cross_attention_dim=cross_attention_dim, attention_head_dim=attention_head_dim,
            down_block_types=down_block_types, **others,
        )  # fmt: skip
        widths, time_channels = list(block_out_channels), 4 * block_out_channels[0]
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(widths[0], time_channels)
        self.down_blocks: Any = nn.ModuleList()
        for level, (kind, out) in enumerate(zip(down_block_types, widths, strict=True)):
            pairs = [(widths[max(0, level - 1)], out), *[(out, out)] * (layers_per_block - 1)]
            heads = attention_head_dim * kind.startswith("CrossAttn")
            last = level == len(widths) - 1
            self.down_blocks.append(Level(pairs, time_channels, heads, cross_attention_dim, down=not last))
        self.mid_block = Middle(widths[-1], time_channels, attention_head_dim, cross_attention_dim)
        # Channels of what :meth:`down` gives.
        self.skip_widths = [widths[0]]
        for level, width in enumerate(widths):
            self.skip_widths += [width] * (layers_per_block + (level < len(widths) - 1))

    @property
    def device(self) -> torch.device:
        return self.conv_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.conv_in.weight.dtype

    def time(self, z: Tensor, time: Tensor | int) -> Tensor:
        """The training steps of z's latents, one or one each, embedded: (B, T)."""
        times = torch.as_tensor(time, device=z.device).reshape(-1).expand(len(z))
        return self.time_embedding(waves(times, self.conv_in.out_channels).to(z.dtype))

    def down(self, x: Tensor, time: Tensor, context: Tensor) -> list[Tensor]:
        """``x`` and what each layer and step down makes of it: what the way up is given."""
        found = [x]
        for block in self.down_blocks:
            for index in range(len(block.resnets)):
                found.append(block.layer(index, found[-1], time, context))
            for step in block.downsamplers:
                found.append(step(found[-1]))
        return found


class UNet(Contracting):
    """v or ε of a noisy latent under a text: (B, C, h, w) -> (B, C, h, w).

    Args:
        sample_size: side of the latents in training.
        out_channels: of the answer.
        up_block_types: as diffusers has them; those with ``CrossAttn`` attend.
        others: see :data:`.embedded.UNET`.
    """

    def __init__(self, *, sample_size: int, out_channels: int, up_block_types: Sequence[str], **others) -> None:
        super().__init__(sample_size=sample_size, out_channels=out_channels, up_block_types=up_block_types, **others)
        shape, widths = self.config, list(self.config.block_out_channels)
        skips = list(self.skip_widths)
        self.up_blocks: Any = nn.ModuleList()
        below = widths[-1]
        for level, (kind, out) in enumerate(zip(up_block_types, reversed(widths), strict=True)):
            pairs = []
            for _ in range(shape.layers_per_block + 1):
                pairs.append((below + skips.pop(), out))
                below = out
            heads = shape.attention_head_dim * kind.startswith("CrossAttn")
            last = level == len(widths) - 1
            self.up_blocks.append(Level(pairs, 4 * widths[0], heads, shape.cross_attention_dim, up=not last))
        self.conv_norm_out = nn.GroupNorm(GROUPS, widths[0])
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)

    def forward(
        self,
        z: Tensor,
        time: Tensor | int,
        context: Tensor,
        down_block_additional_residuals: Sequence[Tensor] = (),
        mid_block_additional_residual: Tensor | None = None,
    ) -> SimpleNamespace:
        """The answer as ``.sample``.

        Args:
            z: noisy latent, (B, C, h, w).
            time: training step, one or (B,).
            context: the text's features, (B, T, D).
            down_block_additional_residuals, mid_block_additional_residual: from a :class:`ControlNet`.
        """
        embedded = self.time(z, time)
        skips = self.down(self.conv_in(z), embedded, context)
        x = self.mid_block(skips[-1], embedded, context)
        if mid_block_additional_residual is not None:
            x = x + mid_block_additional_residual
        if down_block_additional_residuals:
            skips = [skip + added for skip, added in zip(skips, down_block_additional_residuals, strict=True)]
        for block in self.up_blocks:
            for index in range(len(block.resnets)):
                x = block.layer(index, torch.cat([x, skips.pop()], 1), embedded, context)
            for step in block.upsamplers:
                x = step(x, skips[-1].shape[-2:])
        return SimpleNamespace(sample=self.conv_out(F.silu(self.conv_norm_out(x))))


class Hint(nn.Module):
    """The condition, (B, K, h, w), for the first layer, (B, C, h, w); of the latent's size already."""

    def __init__(self, channels: int, width: int, out_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.conv_out = nn.Conv2d(width, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(F.silu(self.conv_in(x)))


class ControlNet(Contracting):
    """What a condition adds to a :class:`UNet`'s way up.

    Args:
        conditioning_channels: of the condition.
        conditioning_embedding_out_channels: width of what reads it; one number.
        others: see :data:`.embedded.CONTROLNET`.
    """

    def __init__(
        self, *, conditioning_channels: int, conditioning_embedding_out_channels: tuple[int], **others
    ) -> None:
        super().__init__(
            conditioning_channels=conditioning_channels,
            conditioning_embedding_out_channels=conditioning_embedding_out_channels, **others,
        )  # fmt: skip
        widths = list(self.config.block_out_channels)
        (width,) = conditioning_embedding_out_channels
        self.controlnet_cond_embedding = Hint(conditioning_channels, width, widths[0])
        self.controlnet_down_blocks = nn.ModuleList([nn.Conv2d(width, width, 1) for width in self.skip_widths])
        self.controlnet_mid_block = nn.Conv2d(widths[-1], widths[-1], 1)
        # A new one changes nothing until it is trained (Zhang et al. 2023).
        for layer in (self.controlnet_cond_embedding.conv_out, *self.controlnet_down_blocks, self.controlnet_mid_block):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, z: Tensor, time: Tensor | int, context: Tensor, controlnet_cond: Tensor, return_dict: bool = False
    ) -> tuple[list[Tensor], Tensor]:
        """What is added to the skips and to the middle; ``controlnet_cond`` is the condition, (B, K, h, w)."""
        embedded = self.time(z, time)
        found = self.down(self.conv_in(z) + self.controlnet_cond_embedding(controlnet_cond), embedded, context)
        middle = self.mid_block(found[-1], embedded, context)
        added = [layer(x) for layer, x in zip(self.controlnet_down_blocks, found, strict=True)]
        return added, self.controlnet_mid_block(middle)
