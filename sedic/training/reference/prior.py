"""The entropy model of the ``compact`` reference while it is trained: the float twin of its integer network.

What it computes, in which passes, is said in :mod:`sedic.reference.compact.prior`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...reference.compact.prior import (
    ACTIVATION_BITS,
    MEAN_SHIFT,
    MOST_ACTIVATION,
    MOST_SYMBOL,
    SCALE_BITS,
    SCALES,
    TURNS,
)
from ...reference.compact.prior import LEAST_SCALE as LEAST_WHOLE_SCALE
from ...reference.compact.refine import logistic_bits
from ...reference.compact.transforms import COARSE, FINE, Knots

HIDDEN, NARROW, HINTS = 96, 64, 64
MOST = MOST_ACTIVATION / (1 << ACTIVATION_BITS)  # of an activation
# Base-2 logarithms.
LEAST_SCALE, MOST_SCALE = (scale / (1 << SCALE_BITS) for scale in (LEAST_WHOLE_SCALE, LEAST_WHOLE_SCALE + SCALES - 1))
UNITS = {level: float(1 << shift) for level, shift in MEAN_SHIFT.items()}  # in which the networks think


def pass_masks(channels: int, rows: int, columns: int, device: torch.device | str = "cpu") -> Tensor:
    """Which symbols each pass codes, (4, channels, rows, columns) bool."""
    row, column, channel = (torch.arange(count, device=device) for count in (rows, columns, channels))
    phase = 2 * (row[:, None] % 2) + column[None] % 2
    group = channel[:, None, None] % 4
    return torch.stack([group == (phase ^ turn)[None] for turn in TURNS])


class Step(nn.Module):
    """What one pass expects of all channels: from the symbols known so far, and hints."""

    def __init__(self, channels: int, hints: int, linear: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels + hints, HIDDEN, 3, padding=1)
        self.second = nn.Conv2d(HIDDEN, NARROW, 3, padding=1)
        self.last = nn.Conv2d(NARROW, 2 * channels, 1)
        self.linear = nn.Conv2d(channels, channels, 3, padding=1, bias=False) if linear else None
        self.quality_first, self.quality_last = Knots(HIDDEN), Knots(2 * channels)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        if linear:
            nn.init.zeros_(self.linear.weight)  # type: ignore[union-attr]

    def forward(self, known: Tensor, hints: Tensor | None, quality: Tensor) -> Tensor:
        """-> (N, 2·channels, H, W): means, then base-2 logarithms of scales."""
        h = known if hints is None else torch.cat([known, hints], 1)
        h = (self.first(h) + self.quality_first(quality)).clamp(0, MOST)
        h = self.second(h).clamp(0, MOST)
        out = self.last(h).float() + self.quality_last(quality)
        if self.linear is not None:
            mean, scale = out.chunk(2, 1)
            out = torch.cat([mean + self.linear(known).float(), scale], 1)
        return out


class Prior(nn.Module):
    """Mean and scale of every symbol's logistic distribution."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse = nn.ModuleList([Step(COARSE, 0, True) for _ in TURNS])
        self.spread = nn.Conv2d(COARSE, HIDDEN, 3, padding=1)
        self.hints = nn.Conv2d(HIDDEN, 4 * HINTS, 1)
        self.fine = nn.ModuleList([Step(FINE, HINTS, False) for _ in TURNS])

    def forward(self, coarse: Tensor, fine: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Symbols (N, 32, h, w) and (N, 64, 2h, 2w) -> for each latent, means and scales' logarithms, side by side."""
        most = MOST_SYMBOL
        small = coarse.clamp(-most["coarse"], most["coarse"]) / UNITS["coarse"]
        hints = F.pixel_shuffle(self.hints(self.spread(small).clamp(0, MOST)), 2).clamp(0, MOST)
        return (
            _all_passes(self.coarse, small, None, quality, UNITS["coarse"]),
            _all_passes(self.fine, fine.clamp(-most["fine"], most["fine"]), hints, quality, UNITS["fine"]),
        )


def _all_passes(steps: nn.ModuleList, symbols: Tensor, hints: Tensor | None, quality: Tensor, unit: float) -> Tensor:
    channels, rows, columns = symbols.shape[1:]
    masks = pass_masks(channels, rows, columns, symbols.device)
    known = torch.zeros_like(masks[0])
    total: Tensor | float = 0.0
    for step, mask in zip(steps, masks, strict=True):
        out = step(symbols * known, hints, quality)
        total = total + out * torch.cat([mask * unit, mask], 0)
        known = known | mask
    mean, scale = total.chunk(2, 1)  # type: ignore[union-attr]
    return torch.cat([mean, scale.clamp(LEAST_SCALE, MOST_SCALE)], 1)


def bits(symbols: Tensor, expected: Tensor) -> Tensor:
    """What each symbol costs; ``expected``: means, and base-2 logarithms of scales, side by side."""
    mean, scale = expected.chunk(2, 1)
    return logistic_bits((symbols - mean).abs(), torch.exp2(scale))
