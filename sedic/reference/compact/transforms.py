"""Pixels to latents and back, in float32: the only part of the codec that may differ in the last bit.

Two latents: ``coarse`` at 1/32 of the picture's size, ``fine`` at 1/16. Each transform is a sum of a linear one,
which starts as the pictures' Karhunen–Loève transform (16×16 blocks, then 2×2 of their lowest coefficients), and a
residual network, which starts at zero: training begins with a sound transform coder. All convolutions run at 1/8,
1/16 and 1/32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

COARSE, FINE = 32, 64  # channels of the two latents
LOWEST = 8  # of a 16×16 block's coefficients go into the coarse latent
KNOTS = 8  # qualities that were trained, 0 … 7; those between are interpolated
STRIDE = 32
EIGHTH, SIXTEENTH = 128, 192  # channels of the networks
PIXEL = 64.0  # grey levels in the transforms' unit
STEP = 10.0  # of the latents, about, in the same unit, at a middle quality


class Knots(nn.Module):
    """Vectors that depend on the quality: one at each knot, linear between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(KNOTS, channels))

    def forward(self, quality: Tensor) -> Tensor:
        """``quality`` (N,) float in 0 … 7 -> (N, channels, 1, 1)."""
        low = quality.floor().clamp(0, KNOTS - 2)
        share = (quality - low)[:, None]
        index = low.long()
        return torch.lerp(self.values[index], self.values[index + 1], share)[:, :, None, None]


class Block(nn.Module):
    """Residual bottleneck: 1×1, 3×3, 1×1, half the channels between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.narrow = nn.Conv2d(channels, half, 1)
        self.middle = nn.Conv2d(half, half, 3, padding=1)
        self.widen = nn.Conv2d(half, channels, 1)
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(self.widen.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        inner = F.leaky_relu(self.middle(F.leaky_relu(self.narrow(x), 0.1)), 0.1)
        return x + self.widen(inner)


def blocks(channels: int, count: int) -> nn.Sequential:
    """``count`` of :class:`Block`."""
    return nn.Sequential(*(Block(channels) for _ in range(count)))


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class Analysis(nn.Module):
    """Pictures to latents, before they are divided by their steps."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv2d(3 * 256, LOWEST + FINE, 1, bias=False)
        self.linear_coarse = nn.Conv2d(4 * LOWEST, COARSE, 1, bias=False)
        self.enter = nn.Conv2d(3 * 64, EIGHTH, 1)
        self.eighth = blocks(EIGHTH, 2)
        self.down = nn.Conv2d(4 * EIGHTH, SIXTEENTH, 1)
        self.sixteenth = blocks(SIXTEENTH, 4)
        self.fine = _zero(nn.Conv2d(SIXTEENTH, FINE, 1))
        self.down_again = nn.Conv2d(4 * SIXTEENTH, SIXTEENTH, 1)
        self.thirtysecond = blocks(SIXTEENTH, 2)
        self.coarse = _zero(nn.Conv2d(SIXTEENTH, COARSE, 1))
        self.quality = nn.ModuleList([Knots(EIGHTH), Knots(SIXTEENTH), Knots(SIXTEENTH)])

    def forward(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (N, 3, H, W), 32 dividing H and W -> coarse (N, 32, H/32, W/32), fine (N, 64, H/16, W/16)."""
        h = self.enter(F.pixel_unshuffle(x, 8)) + self.quality[0](quality)  # N,3,H,W -> N,128,H/8,W/8
        h = self.eighth(h)
        h = self.sixteenth(self.down(F.pixel_unshuffle(h, 2)) + self.quality[1](quality))
        fine = self.fine(h).float()
        h = self.thirtysecond(self.down_again(F.pixel_unshuffle(h, 2)) + self.quality[2](quality))
        coarse = self.coarse(h).float()
        low, high = self.linear(F.pixel_unshuffle(x, 16)).split([LOWEST, FINE], 1)
        lowest = self.linear_coarse(F.pixel_unshuffle(low, 2)).float()
        return lowest + STEP * coarse, high.float() + STEP * fine


class Synthesis(nn.Module):
    """Latents back to pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv2d(LOWEST + FINE, 3 * 256, 1, bias=False)
        self.linear_coarse = nn.Conv2d(COARSE, 4 * LOWEST, 1, bias=False)
        self.coarse = nn.Conv2d(COARSE, SIXTEENTH, 3, padding=1)
        self.thirtysecond = blocks(SIXTEENTH, 3)
        self.up = nn.Conv2d(SIXTEENTH, 4 * SIXTEENTH, 1)
        self.fine = nn.Conv2d(FINE, SIXTEENTH, 3, padding=1)
        self.sixteenth = blocks(SIXTEENTH, 6)
        self.up_again = nn.Conv2d(SIXTEENTH, 4 * EIGHTH, 1)
        self.eighth = blocks(EIGHTH, 4)
        self.leave = _zero(nn.Conv2d(EIGHTH, 3 * 64, 1))
        self.quality = nn.ModuleList([Knots(SIXTEENTH), Knots(SIXTEENTH), Knots(EIGHTH)])

    def forward(self, coarse: Tensor, fine: Tensor, quality: Tensor) -> Tensor:
        """The latents as :class:`Analysis` gives them, quantised -> (N, 3, H, W)."""
        low = F.pixel_shuffle(self.linear_coarse(coarse), 2)
        x = F.pixel_shuffle(self.linear(torch.cat([low, fine], 1)), 16).float()
        h = self.thirtysecond(self.coarse(coarse / (4 * STEP)) + self.quality[0](quality))
        h = F.pixel_shuffle(self.up(h), 2) + self.fine(fine / STEP) + self.quality[1](quality)
        h = F.pixel_shuffle(self.up_again(self.sixteenth(h)), 2) + self.quality[2](quality)
        return x + 0.25 * F.pixel_shuffle(self.leave(self.eighth(h)), 8).float()


class Transforms(nn.Module):
    """Both transforms, and the steps of the latents at each quality."""

    def __init__(self) -> None:
        super().__init__()
        self.analysis, self.synthesis = Analysis(), Synthesis()
        # Natural logarithms of 1 / step and of the step.
        self.divide_coarse, self.divide_fine = Knots(COARSE), Knots(FINE)
        self.multiply_coarse, self.multiply_fine = Knots(COARSE), Knots(FINE)

    def latents(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures in the transforms' unit to latents in steps, unrounded."""
        coarse, fine = self.analysis(x, quality)
        return coarse * self.divide_coarse(quality).exp(), fine * self.divide_fine(quality).exp()

    def steps(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Sizes of the latents' steps, in the transforms' unit: (N, 32, 1, 1) and (N, 64, 1, 1)."""
        return self.multiply_coarse(quality).exp(), self.multiply_fine(quality).exp()

    def pictures(self, coarse: Tensor, fine: Tensor, quality: Tensor) -> Tensor:
        """Rounded latents, in steps, to pictures in the transforms' unit."""
        coarse_step, fine_step = self.steps(quality)
        return self.synthesis(coarse * coarse_step, fine * fine_step, quality)
