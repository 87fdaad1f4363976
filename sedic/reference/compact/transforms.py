"""Pixels to latents and back, in float32: the only part of the codec that may differ in the last bit.

Two latents: ``coarse`` at 1/32 of the picture's size, ``fine`` at 1/16. Each transform is a sum of a linear one,
which starts as the pictures' Karhunen–Loève transform (16×16 blocks, then 2×2 of their lowest coefficients), and a
residual network, which starts at zero: training begins with a sound transform coder. All convolutions run at 1/8,
1/16 and 1/32.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

COARSE, FINE = 32, 64  # channels of the two latents
LOWEST = 8  # of a 16×16 block's coefficients go into the coarse latent
KNOTS = 8  # qualities that were trained, 0 … 7; those between are interpolated
EIGHTH, SIXTEENTH = 128, 192  # channels of the networks
PIXEL = 64.0  # grey levels in the transforms' unit
SLOPE = 0.1  # of the leaky ReLUs
STEP = 10.0  # of the latents, about, in the same unit, at a middle quality


class Conv(nn.Conv2d):
    """A convolution of odd size with zeros around; one that is not trained keeps nothing for its gradient.

    PyTorch's own would keep its input, although only the weights' gradient needs that: most of an encoder's memory.
    """

    def __init__(self, inputs: int, outputs: int, side: int = 1, bias: bool = True) -> None:
        super().__init__(inputs, outputs, side, padding=side // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        if self.weight.requires_grad or not x.requires_grad:
            return super().forward(x)
        return _Frozen.apply(x, self.weight, self.bias)


class _Frozen(torch.autograd.Function):
    """A convolution, and its gradient with respect to its input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (weight,), (gradient,) = ctx.saved_tensors, gradients
        # The transposed convolution, as the plain one that it is: up to three times quicker on processors.
        turned = weight.to(gradient.dtype).transpose(0, 1).flip(2, 3).contiguous(memory_format=torch.channels_last)
        return F.conv2d(gradient, turned, padding=weight.shape[-1] // 2), None, None


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
        self.narrow = Conv(channels, half)
        self.middle = Conv(half, half, 3)
        self.widen = zero(Conv(half, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        hidden = F.leaky_relu_(self.middle(F.leaky_relu_(self.narrow(x), SLOPE)), SLOPE)
        return x + self.widen(hidden)


def blocks(channels: int, count: int) -> nn.Sequential:
    """``count`` of :class:`Block`."""
    return nn.Sequential(*(Block(channels) for _ in range(count)))


def zero(layer: Conv) -> Conv:
    """A convolution that begins by adding nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def at_quality(layer: Conv, knots: nn.ModuleList, quality: Tensor) -> list[Tensor]:
    """What depends on the quality, in the type of a network's weights: float32 would make all behind it float32."""
    return [each(quality).to(layer.weight.dtype) for each in knots]


class Analysis(nn.Module):
    """Pictures to latents, before they are divided by their steps."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Conv(3 * 256, LOWEST + FINE, bias=False)
        self.linear_coarse = Conv(4 * LOWEST, COARSE, bias=False)
        self.enter = Conv(3 * 64, EIGHTH)
        self.eighth = blocks(EIGHTH, 2)
        self.down = Conv(4 * EIGHTH, SIXTEENTH)
        self.sixteenth = blocks(SIXTEENTH, 4)
        self.fine = zero(Conv(SIXTEENTH, FINE))
        self.down_again = Conv(4 * SIXTEENTH, SIXTEENTH)
        self.thirtysecond = blocks(SIXTEENTH, 2)
        self.coarse = zero(Conv(SIXTEENTH, COARSE))
        self.quality = nn.ModuleList([Knots(EIGHTH), Knots(SIXTEENTH), Knots(SIXTEENTH)])

    def forward(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (N, 3, H, W), 32 dividing H and W -> coarse (N, 32, H/32, W/32), fine (N, 64, H/16, W/16)."""
        at_eighth, at_sixteenth, at_thirtysecond = at_quality(self.enter, self.quality, quality)
        h = self.enter(F.pixel_unshuffle(x, 8)) + at_eighth  # N,3,H,W -> N,128,H/8,W/8
        h = self.eighth(h)
        h = self.sixteenth(self.down(F.pixel_unshuffle(h, 2)) + at_sixteenth)
        fine = self.fine(h).float()
        h = self.thirtysecond(self.down_again(F.pixel_unshuffle(h, 2)) + at_thirtysecond)
        coarse = self.coarse(h).float()
        low, high = self.linear(F.pixel_unshuffle(x, 16)).split([LOWEST, FINE], 1)
        lowest = self.linear_coarse(F.pixel_unshuffle(low, 2)).float()
        return lowest + STEP * coarse, high.float() + STEP * fine


class Synthesis(nn.Module):
    """Latents back to pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Conv(LOWEST + FINE, 3 * 256, bias=False)
        self.linear_coarse = Conv(COARSE, 4 * LOWEST, bias=False)
        self.coarse = Conv(COARSE, SIXTEENTH, 3)
        self.thirtysecond = blocks(SIXTEENTH, 3)
        self.up = Conv(SIXTEENTH, 4 * SIXTEENTH)
        self.fine = Conv(FINE, SIXTEENTH, 3)
        self.sixteenth = blocks(SIXTEENTH, 6)
        self.up_again = Conv(SIXTEENTH, 4 * EIGHTH)
        self.eighth = blocks(EIGHTH, 4)
        self.leave = zero(Conv(EIGHTH, 3 * 64))
        self.quality = nn.ModuleList([Knots(SIXTEENTH), Knots(SIXTEENTH), Knots(EIGHTH)])

    def forward(self, coarse: Tensor, fine: Tensor, quality: Tensor) -> Tensor:
        """The latents as :class:`Analysis` gives them, quantised -> (N, 3, H, W)."""
        low = F.pixel_shuffle(self.linear_coarse(coarse), 2)
        x = F.pixel_shuffle(self.linear(torch.cat([low, fine], 1)), 16).float()
        at_thirtysecond, at_sixteenth, at_eighth = at_quality(self.leave, self.quality, quality)
        h = self.thirtysecond(self.coarse(coarse / (4 * STEP)) + at_thirtysecond)
        h = F.pixel_shuffle(self.up(h), 2) + self.fine(fine / STEP) + at_sixteenth
        h = F.pixel_shuffle(self.up_again(self.sixteenth(h)), 2) + at_eighth
        return x + F.pixel_shuffle(0.25 * self.leave(self.eighth(h)), 8).float()


class Transforms(nn.Module):
    """Both transforms, and the steps of the latents at each quality."""

    def __init__(self) -> None:
        super().__init__()
        self.analysis, self.synthesis = Analysis(), Synthesis()
        # Natural logarithms of 1 / step and of the step.
        self.divide_coarse, self.divide_fine = Knots(COARSE), Knots(FINE)
        self.multiply_coarse, self.multiply_fine = Knots(COARSE), Knots(FINE)

    def with_synthesis(self, synthesis: nn.Module) -> Transforms:
        """The same with another synthesis; all else is shared."""
        other = copy.copy(self)
        other._modules = self._modules | {"synthesis": synthesis}
        return other

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
