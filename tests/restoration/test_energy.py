"""Eq. 2 by hand, its gradient by differences, and masks that never vanish on a coarse grid."""

from __future__ import annotations

import pytest
import torch

from sedic.restoration.denoiser import AttentionMap, attention_grid, attention_weights
from sedic.restoration.energy import attention_energy, find_tokens, mask_on_grid, mean_energy

LEFT = torch.tensor([[1.0, 0.0], [1.0, 0.0]])


def where(*cells: float) -> torch.Tensor:
    """Attention of one head whose only token is spread over four cells like this."""
    return torch.tensor(cells).reshape(1, 4, 1)


@pytest.mark.parametrize(
    ("cells", "energy"),
    [((0.3, 0, 0.9, 0), 0.0), ((0, 0.3, 0, 0.9), 1.0), ((0.2, 0.2, 0.2, 0.2), 0.25), ((0.6, 0.1, 0, 0.1), 0.0625)],
)
def test_energy_is_the_square_of_what_falls_outside(cells, energy):
    assert attention_energy(where(*cells), LEFT, [0]).item() == pytest.approx(energy, abs=1e-6)


def test_energy_is_the_mean_over_heads_and_tokens_and_other_tokens_count_nothing():
    inside, outside, both = (0.5, 0, 0.5, 0), (0, 0.5, 0, 0.5), (0.5, 0.5, 0.5, 0.5)
    first = torch.tensor([inside, outside, both]).T  # 4 cells, 3 tokens
    second = torch.tensor([outside, outside, inside]).T
    attention = torch.stack([first, second])
    assert attention_energy(attention, LEFT, [0, 2]).item() == pytest.approx((0 + 0.25 + 1 + 0) / 4)
    assert attention_energy(attention, LEFT, [1]).item() == pytest.approx(1)


def test_energy_works_at_any_aspect_ratio():
    attention = torch.zeros(1, 15, 1)
    attention[0, 7] = 0.5  # row 1, column 2 of 3×5
    mask = torch.zeros(3, 5)
    mask[1, 2] = 1
    assert attention_energy(attention, mask, [0]).item() == 0


def test_gradient_is_that_of_central_differences():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    mask = (torch.arange(6) % 2).reshape(2, 3).double()
    assert torch.autograd.gradcheck(lambda scores: attention_energy(scores.softmax(-1), mask, [1, 3]), logits)


@pytest.mark.parametrize(
    ("mask", "tokens", "told"),
    [
        (torch.zeros(2, 2), [0], "mask is empty"),
        (torch.ones(2, 3), [0], "6 cells, the attention 4"),
        (LEFT, [], "not among the 1"),
        (LEFT, [1], "not among the 1"),
        (LEFT, [-1], "not among the 1"),
    ],
)
def test_each_wrong_argument_is_told(mask, tokens, told):
    with pytest.raises(ValueError, match=told):
        attention_energy(where(1, 1, 1, 1), mask, tokens)


def test_cells_half_covered_or_more_are_inside():
    mask = torch.zeros(4, 8)
    mask[:, 2:5] = 1  # the second cell of four wholly, the third half
    mask[0, 7] = 1  # a quarter of the last
    assert mask_on_grid(mask, (2, 4)).tolist() == [[0, 1, 1, 0], [0, 1, 1, 0]]


@pytest.mark.parametrize("grid", [(8, 8), (3, 5), (1, 1), (64, 96), (40, 30)])
@pytest.mark.parametrize("pixel", [(0, 0), (31, 20), (63, 95)])
def test_a_single_pixel_is_never_lost(grid, pixel):
    mask = torch.zeros(64, 96)
    mask[pixel] = 1
    on_grid = mask_on_grid(mask, grid)
    assert on_grid.shape == grid
    assert on_grid.any()
    assert set(on_grid.unique().tolist()) <= {0.0, 1.0}
    row, column = pixel[0] * grid[0] // 64, pixel[1] * grid[1] // 96
    assert on_grid[row, column] == 1


def test_empty_and_full_masks_stay_so():
    assert not mask_on_grid(torch.zeros(16, 16), (4, 4)).any()
    assert mask_on_grid(torch.ones(17, 9), (4, 4)).all()


def test_layers_of_different_grids_count_alike():
    mask = torch.zeros(4, 4)
    mask[:, :2] = 1
    fine = torch.full((1, 16, 1), 0.1)
    coarse = torch.tensor([0.0, 0.4]).reshape(1, 2, 1)
    maps = [AttentionMap(fine, (4, 4)), AttentionMap(coarse, (1, 2))]
    assert mean_energy(maps, mask, [0]).item() == pytest.approx((0.25 + 1) / 2)


def test_attention_weights_are_the_softmax_over_tokens_in_float32():
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 6, 8, generator=generator), torch.randn(2, 5, 8, generator=generator)
    weights = attention_weights(query.half(), key.half(), 2)
    assert weights.shape == (2, 6, 5)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6))
    by_hand = (query[0, :, 4:] @ key[0, :, 4:].T / 2).softmax(-1)  # second head, of width 4
    torch.testing.assert_close(attention_weights(query, key, 2)[1], by_hand)


@pytest.mark.parametrize(
    ("cells", "size", "grid"),
    [(64, (8, 8), (8, 8)), (16, (8, 8), (4, 4)), (96, (16, 24), (8, 12)), (15, (9, 5), (5, 3)), (1, (8, 8), (1, 1))],
)
def test_a_layers_grid_is_found_from_its_cells(cells, size, grid):
    assert attention_grid(cells, *size) == grid


def test_cells_of_no_grid_are_told():
    with pytest.raises(ValueError, match="17 cells"):
        attention_grid(17, 8, 8)


def test_every_occurrence_of_a_phrase_is_found():
    assert find_tokens([9, 1, 2, 5, 1, 2, 1], [1, 2]) == [1, 2, 4, 5]
    assert find_tokens([9, 1], [2]) == find_tokens([9], [9, 1]) == find_tokens([1], []) == []
