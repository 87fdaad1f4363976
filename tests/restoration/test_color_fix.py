"""The reference's colours, behind each stage."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from sedic.restoration.color_fix import LEVELS, POWERS, fix_colors, smoothed


def coarse(image):
    *_, last = smoothed(image)
    return last


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


@pytest.mark.parametrize("detail", [0.0, 0.3, 0.65])
def test_of_each_level_the_share_of_detail_to_its_power_is_kept(detail):
    reference, painted = torch.rand(2, 1, 3, 48, 40, generator=torch.Generator().manual_seed(2)).double()
    levels = [painted - reference, *smoothed(painted - reference)]
    bands = [finer - coarser for finer, coarser in pairwise(levels)]
    expected = reference + sum(detail**power * band for power, band in zip(POWERS, bands, strict=True))
    torch.testing.assert_close(fix_colors(painted, reference, detail), expected)
    assert len(bands) == LEVELS


def test_no_detail_is_the_reference():
    reference, painted = torch.rand(2, 1, 3, 24, 24, generator=torch.Generator().manual_seed(3)).double()
    torch.testing.assert_close(fix_colors(painted, reference, 0.0), reference)
