"""A restored picture gets the colours of its reference back.

A reference of a thousand bytes has lost its fine structure and kept its colours; a diffusion model restores the one and
lets the other drift, a little with every stage. The remedy is StableSR's wavelet colour correction (Wang et al. 2024,
"Exploiting diffusion prior for real-world image super-resolution", section 3.4), which DiffBIR applies, too: what is
coarser than about 32 pixels is the reference's to say.

What is finer is a guess, in large part: texture of the right strength in the wrong places. ``detail`` keeps a share of
it, less of what is coarser, because the coarser a wrong guess is, the more people see of it and the less it adds to a
picture's likeness to photographs (docs/embedded.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

POWERS = (1.0, 1.0, 1.5, 2.5, 8.0)
"""Of the share ``detail`` that is kept at each level, the finest first: structure of about 1, 2, 4, 8 and 16 pixels."""
LEVELS = len(POWERS)
"""Of the à trous wavelet; what they leave is smoothed with a standard deviation of 13 pixels."""


def smoothed(image: Tensor) -> Iterator[Tensor]:
    """What each level of the wavelet leaves of (B, C, H, W): filters of 1/4, 1/2, 1/4, with taps twice as far apart."""
    channels, kernel = image.shape[1], torch.tensor([0.25, 0.5, 0.25]).to(image)
    for apart in (2**level for level in range(LEVELS)):
        image = F.pad(image, (apart,) * 4, mode="replicate")
        for taps in (kernel.reshape(1, 1, 3, 1), kernel.reshape(1, 1, 1, 3)):
            image = F.conv2d(image, taps.expand(channels, 1, -1, -1), groups=channels, dilation=apart)
        yield image


def fix_colors(image: Tensor, reference: Tensor, detail: float = 1.0) -> Tensor:
    """``image`` with what is coarse of ``reference``, and with less of its own detail; can leave the range of both.

    Args:
        image: (B, 3, H, W).
        reference: of the same size.
        detail: share of what is finest that is kept of ``image`` where it differs, in [0, 1]; to the power of
            :data:`POWERS` at each level. 1 keeps all that is not coarse, 0 gives the reference.
    """
    missing = reference.to(image) - image
    back, rest = torch.zeros_like(missing), missing
    for power, coarser in zip(POWERS, smoothed(missing), strict=True):
        back, rest = back + (1 - detail**power) * (rest - coarser), coarser
    return image + (back + rest)
