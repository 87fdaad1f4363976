"""MS-SSIM as something to be minimised: what :func:`.fidelity.ms_ssim` measures, with a gradient everywhere.

The metric cuts what is below zero off, and its powers have no gradient there; here it is cut a little above.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .fidelity import MS_SSIM_C1, MS_SSIM_C2, MS_SSIM_MIN_SIDE, MS_SSIM_SIGMA, MS_SSIM_WEIGHTS, MS_SSIM_WINDOW

LEAST = 1e-4  # of a scale's likeness
# Squared grey levels that MS-SSIM falling from 1 to 0 is worth: CompressAI's λ of its lowest quality for MS-SSIM, by
# that for the squared error. At 22 dB and 0.75, where references are, the two then weigh about the same.
WORTH = 2.40 / 0.0018


class Structure:
    """Multi-scale structural similarity to pictures, whose own part is computed once.

    Args:
        original: (N, C, H, W) float32 in grey levels, at full size each side at least
            :data:`~sedic.metrics.fidelity.MS_SSIM_MIN_SIDE`.
        finest: scale that all pictures are given at. 0 is full size; 1 is half of it, without three quarters of the
            work, and without the scale above, which has 4 % of the say.

    Raises:
        ValueError: a side is too short.
    """

    def __init__(self, original: Tensor, finest: int = 0) -> None:
        if min(original.shape[2:]) << finest < MS_SSIM_MIN_SIDE:
            raise ValueError(f"MS-SSIM needs {MS_SSIM_MIN_SIDE} pixels a side, not {tuple(original.shape[2:])}; "
                             "use larger pictures or crops.")  # fmt: skip
        off = torch.arange(MS_SSIM_WINDOW, device=original.device) - MS_SSIM_WINDOW // 2
        window = torch.exp(-(off**2) / (2 * MS_SSIM_SIGMA**2))
        self._window = window / window.sum()
        self._weights = MS_SSIM_WEIGHTS[finest:]
        self._scales: list[tuple[Tensor, Tensor, Tensor]] = []  # the picture, its windows' means and variances
        for number in range(len(self._weights)):
            original = F.avg_pool2d(original, 2) if number else original
            mean, square = self._blurred(original, original * original)
            self._scales.append((original, mean, square - mean**2))

    def __call__(self, picture: Tensor) -> Tensor:
        """Of each picture like the originals, mean over its channels: (N,) of at most 1, differentiable."""
        product = torch.ones(picture.shape[:2], device=picture.device)
        last = len(self._weights) - 1
        for number, (weight, known) in enumerate(zip(self._weights, self._scales, strict=True)):
            picture = F.avg_pool2d(picture, 2) if number else picture
            original, mean, variance = known
            own, square, both = self._blurred(picture, picture * picture, picture * original)
            likeness = (2 * (both - own * mean) + MS_SSIM_C2) / (square - own**2 + variance + MS_SSIM_C2)
            if number == last:
                likeness = likeness * (2 * own * mean + MS_SSIM_C1) / (own**2 + mean**2 + MS_SSIM_C1)
            product = product * likeness.mean((2, 3)).clamp(min=LEAST) ** weight  # N,C
        return product.mean(1)

    def _blurred(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """Weighted means of maps (N, C, H, W) under each window that lies within them."""
        joined = torch.cat(maps, 1)
        window = self._window.expand(joined.shape[1], 1, -1)
        joined = F.conv2d(joined, window[..., None], groups=len(window))
        return F.conv2d(joined, window[:, :, None], groups=len(window)).chunk(len(maps), 1)
