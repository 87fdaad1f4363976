"""The coarse entropy model of ``compact`` while it is trained: the float twin of its integer networks.

In which passes it goes through the symbols is said in :mod:`sedic.reference.compact.hierarchy`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...reference.compact.hierarchy import GROUPS, LEAST_ZERO, LEVEL, MARGIN, SETS, SIDE, ZERO_BITS, ZEROS, Lattice
from ...reference.compact.prior import MOST_SYMBOL, SUBSTEPS
from ...reference.compact.refine import logistic_bits
from ...reference.compact.transforms import COARSE, KNOTS, Knots
from .prior import LEAST_SCALE, MOST, MOST_SCALE, UNITS

HIDDEN, NARROW = 128, 64
LEAST_SHARE, MOST_SHARE = (share / (1 << ZERO_BITS) for share in (LEAST_ZERO, LEAST_ZERO + ZEROS - 1))
FIRST_SHARE = -3.0  # logit of the share of zeros that the networks begin with


class Group(nn.Module):
    """What a pass expects at its positions, of the channels ``first`` to ``end``."""

    def __init__(self, first: int, end: int) -> None:
        super().__init__()
        self.first, self.count = first, end - first
        self.own = nn.Linear(first, HIDDEN, bias=False) if first else None
        self.own_linear = _silent(first, self.count) if first else None
        self.second = nn.Linear(HIDDEN, NARROW)
        self.last = _silent(NARROW, 3 * self.count)
        self.quality_first, self.quality_last = Knots(HIDDEN), Knots(3 * self.count)

    def forward(self, hidden: Tensor, means: Tensor, here: Tensor, quality: Tensor) -> tuple[Tensor, ...]:
        """Of n positions in each of N pictures: means, logarithms of scales and logits of shares, (N, n, count) each.

        Args:
            hidden: what positions around give, (N, n, 128), or (N, 1, 128) where there are none.
            means: likewise, (N, n, channels), of all channels.
            here: the positions' own symbols, (N, n, channels), of which the groups before are seen.
            quality: (N,) in 0 … 7.
        """
        hidden = hidden + self.quality_first(quality)[:, None, :, 0, 0]
        means = means[..., self.first : self.first + self.count]
        if self.own is not None and self.own_linear is not None:
            before = here[..., : self.first]
            hidden, means = hidden + self.own(before), means + self.own_linear(before)
        else:
            hidden = hidden.expand(-1, here.shape[1], -1)
        hidden = self.second(hidden.clamp(0, MOST)).clamp(0, MOST)
        mean, scale, zero = (self.last(hidden) + self.quality_last(quality)[:, None, :, 0, 0]).chunk(3, -1)
        return mean + means, scale, zero


class Set(nn.Module):
    """The passes at the positions of a set."""

    def __init__(self, around: bool) -> None:
        super().__init__()
        seen = COARSE * SIDE * SIDE
        self.first = nn.Linear(seen, HIDDEN, bias=False) if around else None
        self.linear = _silent(seen, COARSE) if around else None
        self.groups = nn.ModuleList(Group(*group) for group in GROUPS)

    def forward(self, around: Tensor | None, here: Tensor, quality: Tensor) -> list[Tensor]:
        """Means, logarithms of scales and logits of shares, (N, n, channels) each."""
        if self.first is not None and self.linear is not None and around is not None:
            hidden, means = self.first(around), self.linear(around)
        else:
            hidden, means = (here.new_zeros(len(here), 1, count) for count in (HIDDEN, COARSE))
        found = [group(hidden, means, here, quality) for group in self.groups]
        return [torch.cat(kind, -1) for kind in zip(*found, strict=True)]


class Hierarchy(nn.Module):
    """The float twin of :class:`sedic.reference.compact.hierarchy.Hierarchy`."""

    def __init__(self) -> None:
        super().__init__()
        self.sets = nn.ModuleList(Set(number > 0) for number in range(len(SETS)))

    def forward(self, symbols: Tensor, quality: Tensor) -> Tensor:
        """Bits of coarse symbols (N, 32, h, w), 4 dividing h and w, at a quality (N,) of 0 … 7: (N,)."""
        unit, most = UNITS[LEVEL], MOST_SYMBOL[LEVEL]
        small = symbols.clamp(-most, most) / unit
        known, total = torch.zeros_like(small), symbols.new_zeros(len(symbols))
        for each, lattices in zip(self.sets, SETS, strict=True):
            assert isinstance(each, Set)
            here = torch.cat([_at(small, lattice) for lattice in lattices], 1)
            seen = [_windows(known, lattice) for lattice in lattices] if each.first is not None else []
            around = torch.cat(seen, 1) if seen else None
            mean, scale, zero = each(around, here, quality)
            whole = torch.cat([_at(symbols, lattice) for lattice in lattices], 1)
            total = total + bits(whole, mean * unit, scale, zero).sum((1, 2))
            known = known.clone()
            for row, column, step in lattices:
                known[:, :, row::step, column::step] = small[:, :, row::step, column::step]
        return total


def bits(symbols: Tensor, mean: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """What symbols cost under logistic distributions with zeros beside them.

    Args:
        symbols: whole numbers of any shape, as the others.
        mean: of the logistic distributions.
        scale: base-2 logarithms of their scales.
        zero: logits of the share of zeros that are added.
    """
    zero = zero.clamp(LEAST_SHARE, MOST_SHARE)
    logistic = logistic_bits((symbols - mean).abs(), scale.clamp(LEAST_SCALE, MOST_SCALE).exp2())
    other = logistic - F.logsigmoid(-zero) / math.log(2)
    both = -torch.logaddexp(F.logsigmoid(zero), -other * math.log(2)) / math.log(2)
    return torch.where(symbols == 0, both, other)


@torch.no_grad()
def start(model: Hierarchy, symbols: np.ndarray, quality: np.ndarray) -> None:
    """One distribution for each channel and quality, whatever is around."""
    for knot in range(KNOTS):
        near = symbols[np.abs(quality / SUBSTEPS - knot) < 0.75].astype(np.float32)
        if not len(near):
            continue
        deviation = torch.from_numpy(np.sqrt((near**2).mean((0, 2, 3))))
        scales = (deviation * math.sqrt(3) / math.pi).clamp(2.0**LEAST_SCALE * 2).log2()
        for each in model.sets:
            assert isinstance(each, Set)
            for (first, end), group in zip(GROUPS, each.groups, strict=True):
                assert isinstance(group, Group)
                values = group.quality_last.values[knot]
                values[end - first : 2 * (end - first)] = scales[first:end]
                values[2 * (end - first) :] = FIRST_SHARE


def _at(values: Tensor, lattice: Lattice) -> Tensor:
    """(N, C, h, w) at a lattice's positions, (N, n, C)."""
    row, column, step = lattice
    return values[:, :, row::step, column::step].flatten(2).mT


def _windows(known: Tensor, lattice: Lattice) -> Tensor:
    """What stands around a lattice's positions, (N, n, C·25), channel by channel."""
    row, column, step = lattice
    return F.unfold(F.pad(known, [MARGIN] * 4)[:, :, row:, column:], SIDE, stride=step).mT


def _silent(inputs: int, outputs: int) -> nn.Linear:
    """A product that begins by adding nothing."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.zeros_(layer.weight)
    return layer
