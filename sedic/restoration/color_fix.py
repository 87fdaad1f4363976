"""A restored picture gets the colours of its reference back.

A reference of a thousand bytes has lost its fine structure and kept its colours; a diffusion model restores the one and
lets the other drift, a little with every stage. The remedy is StableSR's wavelet colour correction (Wang et al. 2024,
"Exploiting diffusion prior for real-world image super-resolution", section 3.4), which DiffBIR applies, too: what is
coarser than about 32 pixels is the reference's to say.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 5
"""Of the à trous wavelet; what they leave is smoothed with a standard deviation of 13 pixels."""


def coarse(image: Tensor) -> Tensor:
    """What the wavelet leaves of (B, C, H, W): filters of 1/4, 1/2, 1/4, with taps twice as far apart each time."""
    channels, kernel = image.shape[1], torch.tensor([0.25, 0.5, 0.25]).to(image)
    for apart in (2**level for level in range(LEVELS)):
        image = F.pad(image, (apart,) * 4, mode="replicate")
        for taps in (kernel.reshape(1, 1, 3, 1), kernel.reshape(1, 1, 1, 3)):
            image = F.conv2d(image, taps.expand(channels, 1, -1, -1), groups=channels, dilation=apart)
    return image


def fix_colors(image: Tensor, reference: Tensor) -> Tensor:
    """``image``, (B, 3, H, W), with what is coarse of ``reference``, of the same size; can leave the range of both."""
    return image + coarse(reference.to(image) - image)
