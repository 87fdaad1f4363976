"""The reference's colours, behind each stage."""

from __future__ import annotations

import pytest
import torch

from sedic.restoration.color_fix import coarse, fix_colors


def test_a_tint_goes_and_fine_structure_stays():
    board = 0.2 * ((torch.arange(96)[:, None] + torch.arange(96)) % 2).float() - 0.1
    reference = torch.linspace(0.2, 0.8, 96).expand(1, 3, 96, 96)
    tint = torch.tensor([0.1, -0.05, 0.2]).reshape(1, 3, 1, 1)
    inside = (..., slice(31, 65), slice(31, 65))  # out of the border's reach
    fixed = fix_colors(reference + board + tint, reference)
    torch.testing.assert_close(fixed[inside], (reference + board)[inside])


def test_an_equal_picture_is_left_alone():
    image = torch.rand(1, 3, 40, 24, generator=torch.Generator().manual_seed(1))
    assert torch.equal(fix_colors(image, image), image)


def test_what_is_coarse_has_the_spread_that_is_told():
    point = torch.zeros(1, 1, 129, 129)
    point[..., 64, 64] = 1
    row = coarse(point)[0, 0].sum(0)
    assert row.sum().item() == pytest.approx(1)
    spread = (row * (torch.arange(129) - 64.0) ** 2).sum().sqrt().item()
    assert spread == pytest.approx(13, abs=0.1)


@pytest.mark.parametrize("size", [(1, 1), (16, 70)])
def test_borders_are_repeated_at_any_size(size):
    torch.testing.assert_close(coarse(torch.full((2, 3, *size), 0.7)), torch.full((2, 3, *size), 0.7))
