"""MS-SSIM with a gradient is the metric."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from sedic.metrics import ms_ssim
from sedic.metrics.structure import Structure


def test_structure_is_ms_ssim_and_has_a_gradient_everywhere():
    random = np.random.default_rng(0)
    a = np.kron(random.integers(0, 256, (12, 12, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    b = np.clip(a + random.normal(0, 30, a.shape), 0, 255).astype(np.uint8)
    first, second = (torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (a, b))
    assert Structure(second)(first).item() == pytest.approx(ms_ssim(a, b), abs=1e-4)
    opposite = (255 - first).requires_grad_(True)
    Structure(first)(opposite).sum().backward()
    assert torch.isfinite(opposite.grad).all()


def test_a_side_without_room_for_the_coarsest_window_is_told():
    with pytest.raises(ValueError, match="176 pixels a side"):
        Structure(torch.zeros(1, 3, 175, 300))


def test_at_half_the_size_what_only_the_finest_scale_sees_does_not_count():
    original = 255 * torch.rand(1, 2, 192, 208, generator=torch.Generator().manual_seed(0))
    noisy = original + 80 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(96, 104)  # gone at half the size
    halved, of_noisy = (avg_pool2d(p, 2) for p in (original, noisy))
    assert torch.allclose(Structure(halved, finest=1)(of_noisy), torch.ones(1), atol=1e-5)
    assert Structure(original)(noisy) < 0.99
    assert Structure(halved, finest=1)(of_noisy + 30 * torch.randn_like(halved)) < 0.9
    with pytest.raises(ValueError, match="176 pixels a side"):
        Structure(halved[..., :87], finest=1)
