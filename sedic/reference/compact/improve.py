"""The network of the encoder's second thoughts: where latents should rather be, from what the decoder says of them.

Iterative amortized inference (Marino, Yue, Mandt 2018): the gradient of the decoder's error says where each latent of
this very picture should go, the network how far, and what of it is not worth its bits. It begins as a Newton step and
learns what is better, for all pictures at once. Only the encoder has it, and no reader notices.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .transforms import COARSE, FINE, LOWEST, Conv, Knots, at_quality, blocks, zero

ROUNDS = 2
PACE = 0.4  # of a Newton step, as if the transforms were linear and orthonormal; the network makes that too long
HIDDEN = 160
FARTHEST = 4.0  # steps that a Newton step may take
MOST_QUALITY = 7.0  # that was trained
SEEN = 5  # values of each latent
MISSING = 4.0  # of the picture, about, in the transforms' unit


class Improver(nn.Module):
    """A round: symbols, and what is known of them, to where they should rather be."""

    def __init__(self) -> None:
        super().__init__()
        self.enter_fine = Conv(SEEN * FINE + FINE + LOWEST, HIDDEN)
        self.enter_coarse = Conv(SEEN * COARSE, HIDDEN)
        self.down = Conv(4 * HIDDEN, HIDDEN)
        self.fine0 = blocks(HIDDEN, 1)
        self.coarse0 = blocks(HIDDEN, 2)
        self.up = Conv(HIDDEN, 4 * HIDDEN)
        self.fine1 = blocks(HIDDEN, 2)
        self.leave_fine = zero(Conv(HIDDEN, 2 * FINE))
        self.leave_coarse = zero(Conv(HIDDEN, 2 * COARSE))
        self.quality = nn.ModuleList([Knots(HIDDEN), Knots(HIDDEN), Knots(HIDDEN)])

    def forward(
        self,
        symbols: Sequence[Tensor],
        moves: Sequence[Tensor],
        latents: Sequence[Tensor],
        expected: Sequence[tuple[Tensor, Tensor]],
        missing: Tensor,
        quality: Tensor,
    ) -> list[Tensor]:
        """Each of a pair is of the coarse latent, (N, 32, h, w), and of the fine one, (N, 64, 2h, 2w).

        Args:
            symbols: whole numbers.
            moves: of Newton steps, in steps of the quantiser.
            latents: as analysis gave them.
            expected: means and scales of the symbols.
            missing: what the linear analysis makes of the picture less the decoded one, (N, 72, 2h, 2w).
            quality: (N,) in 0 … 7; above that it is taken for 7.

        Returns:
            Latents, in steps.
        """
        quality = quality.clamp(max=MOST_QUALITY)
        seen_coarse, seen_fine = (
            _seen(k, move, y, *e) for k, move, y, e in zip(symbols, moves, latents, expected, strict=True)
        )
        at_fine, at_coarse, at_last = at_quality(self.enter_fine, self.quality, quality)
        fine = self.fine0(self.enter_fine(torch.cat([seen_fine, missing / MISSING], 1)) + at_fine)
        coarse = self.enter_coarse(seen_coarse) + self.down(F.pixel_unshuffle(fine, 2)) + at_coarse
        coarse = self.coarse0(coarse)
        fine = self.fine1(fine + F.pixel_shuffle(self.up(coarse), 2) + at_last)
        found = []
        for k, move, out in zip(symbols, moves, (self.leave_coarse(coarse), self.leave_fine(fine)), strict=True):
            pace, more = out.float().chunk(2, 1)
            found.append(k + (PACE + pace) * move.clamp(-FARTHEST, FARTHEST) + more)
        return found


def improvers() -> nn.ModuleList:
    """The networks of all rounds."""
    return nn.ModuleList(Improver() for _ in range(ROUNDS))


def _seen(k: Tensor, move: Tensor, latent: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """What the network sees of latents, (N, C, h, w) each: (N, 5·C, h, w) of about unit size."""
    near = (latent - k).clamp(-2, 2)
    return torch.cat([_squashed(k), _squashed(move).clamp(-2, 2), near, _squashed(mean - k), scale.log2() / 4], 1)


def _squashed(x: Tensor) -> Tensor:
    return x.sign() * x.abs().log1p()
