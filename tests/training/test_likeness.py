"""SSIMULACRA2 with a gradient: the package's figure, and a way to a better one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

pytest.importorskip("ssimulacra2")

from ssimulacra2 import compute_ssimulacra2

from sedic.demo import PHOTOGRAPH
from sedic.training.diffusion.likeness import Likeness

SIZE = 256


@pytest.fixture(scope="module")
def original() -> Image.Image:
    return Image.open(PHOTOGRAPH).convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _blurred(image: Image.Image, spread: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(spread))


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.mark.parametrize("spread", [1, 4])
def test_it_is_what_the_package_measures(original: Image.Image, spread: float, tmp_path: Path) -> None:
    restored = _blurred(original, spread)
    for name, image in (("original", original), ("restored", restored)):
        image.save(tmp_path / f"{name}.png")
    published = compute_ssimulacra2(str(tmp_path / "original.png"), str(tmp_path / "restored.png"))
    ours = Likeness()(_tensor(restored), _tensor(original)).item()
    assert ours == pytest.approx(published, abs=0.02)


def test_smaller_pictures_are_compared_at_fewer_resolutions(original: Image.Image) -> None:
    small = original.resize((64, 64), Image.Resampling.LANCZOS)
    score = Likeness()
    some, worse = (score(_tensor(_blurred(small, spread)), _tensor(small)) for spread in (1, 3))
    assert worse < some < 100


def test_each_picture_of_a_batch_has_its_own(original: Image.Image) -> None:
    some, worse = _blurred(original, 1), _blurred(original, 4)
    score = Likeness()
    together = score(torch.cat([_tensor(some), _tensor(worse)]), _tensor(original).repeat(2, 1, 1, 1))
    alone = torch.cat([score(_tensor(x), _tensor(original)) for x in (some, worse)])
    assert torch.allclose(together, alone, atol=1e-3)


def test_its_gradient_leads_nearer_to_the_original(original: Image.Image) -> None:
    true, restored = _tensor(original), _tensor(_blurred(original, 2)).requires_grad_()
    score = Likeness()
    before = score(restored, true)
    (slope,) = torch.autograd.grad(before.sum(), restored)
    assert score(restored + 0.01 * slope / slope.abs().max(), true) > before


def test_an_equal_picture_has_no_gradient_that_is_no_number(original: Image.Image) -> None:
    same = _tensor(original).requires_grad_()
    score = Likeness()(same, _tensor(original))
    score.sum().backward()
    assert score.item() > 99
    assert same.grad is not None
    assert same.grad.isfinite().all()
