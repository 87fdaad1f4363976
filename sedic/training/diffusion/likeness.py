"""SSIMULACRA2 as a term of training: what a person misses, or did not ask for, in a picture beside its original.

Features and a discriminator (:mod:`.perceptual`) know what photographs look like, and forgive a texture in the wrong
place. People do not, where they compare picture with picture, and SSIMULACRA2 (Sneyers 2022, libjxl) was fitted to what
they said: structural similarity, edges that are new and edges that are lost, in an opponent colour space at six
resolutions. The package ``ssimulacra2`` measures with NumPy; here the same steps, with its constants, have a gradient.
"""

from __future__ import annotations

import torch
from ssimulacra2 import ssimulacra2 as published
from torch import Tensor, nn
from torch.nn import functional as F

_SCALES, _SMALLEST = published.kNumScales, 8
_SIGMA, _RADIUS = 1.5, 5  # of the blur
_TINY = 1e-20  # keeps the gradient of a fourth root finite


class Likeness(nn.Module):
    """SSIMULACRA2's score, 100 for equal pictures and without bound below."""

    taps: Tensor
    opsin: Tensor
    bias: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.exp(-0.5 * (torch.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
        self.register_buffer("taps", taps / taps.sum())
        self.register_buffer("opsin", torch.tensor(published.kOpsinAbsorbanceMatrix).float().reshape(3, 3, 1, 1))
        self.register_buffer("bias", torch.tensor(published.kOpsinAbsorbanceBias).float())
        # Of channel, scale, norm (mean or mean fourth power), kind (structure, artefact, loss).
        self.register_buffer("weights", torch.tensor(published.weights).float().reshape(3, _SCALES, 2, 3))

    def forward(self, restored: Tensor, original: Tensor) -> Tensor:
        """The score of each picture, (B,), differentiable in ``restored``.

        Args:
            restored: (B, 3, H, W) in [-1, 1]; what leaves it is taken as its end.
            original: of the same size, a multiple of 32, at least 64 pixels a side. Below 256 the coarsest of the six
                resolutions are left out.
        """
        ours, true = (_linear((x.float().clamp(-1, 1) + 1) / 2) for x in (restored, original))
        worse = ours.new_zeros(len(ours))
        for scale in range(_SCALES):
            if scale:
                ours, true = F.avg_pool2d(ours, 2), F.avg_pool2d(true, 2)
            if min(ours.shape[-2:]) < _SMALLEST:
                break
            # B,3,kinds of an error at a place,H,W -> both norms of it
            errors = self._errors(self._opponent(true), self._opponent(ours))
            norms = torch.stack([errors.mean((3, 4)), (errors**4).mean((3, 4)).add(_TINY) ** 0.25], 2)
            worse = worse + (self.weights[:, scale] * norms).sum((1, 2, 3))
        worse = 0.9562382616834844 * worse
        worse = 2.326765642916932 * worse - 0.020884521182843837 * worse**2 + 6.248496625763138e-05 * worse**3
        return 100 - 10 * worse.clamp_min(1e-6) ** 0.6276336467831387

    def _opponent(self, linear: Tensor) -> Tensor:
        """Linear RGB as XYB, each made positive, (B, 3, H, W)."""
        mixed = F.conv2d(linear, self.opsin, self.bias).clamp_min(1e-9) ** (1 / 3)
        red, green, blue = (mixed - self.bias.reshape(3, 1, 1) ** (1 / 3)).unbind(1)
        x, y = (red - green) / 2, (red + green) / 2
        return torch.stack([14 * x + 0.42, y + 0.01, blue - y + 0.55], 1)

    def _errors(self, true: Tensor, ours: Tensor) -> Tensor:
        """Structure lost, edges that are new and edges that are gone, by place, (B, 3, 3, H, W)."""
        pairs = torch.cat([true, ours, true * true, ours * ours, true * ours], 1)
        of_true, of_ours, true_2, ours_2, both = self._blurred(pairs).chunk(5, 1)
        alike = 1 - (of_true - of_ours).square()
        covariance = 2 * (both - of_true * of_ours) + published.kC2
        variances = (true_2 - of_true.square()) + (ours_2 - of_ours.square()) + published.kC2
        edges = (1 + (ours - of_ours).abs()) / (1 + (true - of_true).abs()) - 1
        return torch.stack([(1 - alike * covariance / variances).relu(), edges.relu(), (-edges).relu()], 2)

    def _blurred(self, x: Tensor) -> Tensor:
        """As the package blurs: mirrored above and below, black at the sides."""
        channels = x.shape[1]
        x = torch.cat([x[..., :_RADIUS, :].flip(-2), x, x[..., -_RADIUS:, :].flip(-2)], -2)
        x = F.conv2d(x, self.taps.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        across = self.taps.reshape(1, 1, 1, -1).expand(channels, 1, 1, -1)
        return F.conv2d(x, across, groups=channels, padding=(0, _RADIUS))


def _linear(srgb: Tensor) -> Tensor:
    """sRGB in [0, 1] without its curve."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp_min(0.04) + 0.055) / 1.055) ** 2.4)
