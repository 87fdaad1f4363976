"""Networks that expect something of everything, where untrained ones are silent."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


def opinionated(network: N, spread: float, of_quality: float) -> N:
    """Draws last and linear products, and what depends on the quality, with these standard deviations."""
    with torch.no_grad():
        for name, p in network.named_parameters():
            if "last.weight" in name or "linear.weight" in name:
                p.normal_(0, spread)
            elif "quality" in name:
                p.normal_(0, of_quality)
    return network.requires_grad_(False)
