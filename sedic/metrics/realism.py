"""How far a set of pictures lies from a set of others, by features of both: Fréchet and kernel distance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import SedicError


class _Given(nn.Module):
    """Features that were made already, in the place of torchmetrics' network."""

    def __init__(self, size: int):
        super().__init__()
        self.num_features = size

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(a: np.ndarray, b: np.ndarray, fewer: bool = False) -> float:
    """|μa − μb|² + tr(Σa + Σb − 2(ΣaΣb)^½) of the Gaussians through both sets (Heusel et al. 2017).

    It falls as the sets grow: compare only figures of equally many samples.

    Args:
        a: (N, D), N well above D.
        b: (M, D).
        fewer: whether D samples or less may be compared, as papers do with Inception's 2,048 features; two at least.

    Raises:
        SedicError: too few samples for a covariance.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    if min(len(a), len(b)) <= (1 if fewer else a.shape[1]):
        raise SedicError(
            f"{min(len(a), len(b))} samples are too few for a Fréchet distance over {a.shape[1]} features; measure "
            "more pictures."
        )
    metric = FrechetInceptionDistance(feature=_Given(a.shape[1]))
    metric.update(torch.from_numpy(a).double(), real=True)
    metric.update(torch.from_numpy(b).double(), real=False)
    return float(metric.compute())


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy under (x·y/D + 1)³ (Bińkowski et al. 2018).

    About 0, and below it as often as above, for two samples of one distribution.

    Args:
        a: (N, D), N at least 2.
        b: (M, D).
    """
    from torchmetrics.image.kid import poly_mmd

    # torchmetrics wants both of one size
    size = min(len(a), len(b))
    first, second = (torch.from_numpy(features[:size]).double() for features in (a, b))
    return float(poly_mmd(first, second))
