"""Large pictures in tiles: the blend adds nothing of its own, memory is a tile's, and no seam is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sedic import codec
from sedic.restoration.denoiser import AttentionMap
from sedic.restoration.energy import attention_energy, mask_on_grid
from sedic.restoration.guidance import Guidance, GuidanceSettings, energy_of, guide
from sedic.restoration.stages import decode
from sedic.restoration.tiles import tiled, windows
from sedic.semantics import SceneObject, Semantics

from .scenes import FEW, run, scene
from .toy import ToyDenoiser

SIGMA = torch.tensor(2.0)
SIZES = [(32, 32), (32, 40), (64, 96), (16, 200), (8, 8), (40, 33 * 8)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [8, 32, 64])
def test_shares_of_all_tiles_add_to_one_everywhere(size, side):
    total = torch.zeros(size)
    for place in windows(*size, side):
        total[place.rows, place.columns] += place.share
        assert place.share.shape[0] <= side
        assert place.share.shape[1] <= side
        assert place.rows.start % 8 == place.columns.start % 8 == 0
        assert (place.share > 0).all()
    torch.testing.assert_close(total, torch.ones(size))


@pytest.mark.parametrize("side", [32, 64])
def test_neighbours_overlap_and_fade_into_one_another(side):
    first, second = windows(8, 96, side)[:2]
    overlap = first.columns.stop - second.columns.start
    assert overlap >= side // 4
    assert (first.share[0, -overlap:].diff() <= 1e-6).all()
    assert first.share[0, -1] < 0.1
    assert (first.share[0, :-overlap] == 1).all()


def large() -> torch.Tensor:
    return torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(5)) * 4


def test_a_picture_that_fits_is_left_to_the_denoiser_itself():
    denoiser = ToyDenoiser(torch.zeros(()))
    assert tiled(denoiser, large(), 768) is denoiser
    assert tiled(denoiser, large(), 704) is not denoiser


def test_a_denoiser_that_looks_at_each_cell_alone_gives_the_same_in_tiles():
    mean = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(6))
    denoiser = ToyDenoiser(mean, spread=0.3)
    whole = denoiser.denoise(large(), SIGMA)
    torch.testing.assert_close(tiled(denoiser, large(), 256).denoise(large(), SIGMA), whole)
    flat = ToyDenoiser(torch.full((1, 3, 64, 96), 0.3))
    torch.testing.assert_close(tiled(flat, large(), 256).denoise(large(), SIGMA), flat.mean)


def test_the_network_never_sees_more_than_a_tile():
    denoiser = ToyDenoiser(torch.zeros(1, 3, 64, 96))
    tiled(denoiser, large(), 256).denoise(large(), SIGMA)
    assert max(max(size) for size in denoiser.sizes) == 32
    models, _ = run(scene(1, 128, 256), replace(FEW, working_size=64), size=(128, 256))
    assert {size for one in models.denoisers for size in one.sizes} == {(8, 8)}


def test_attention_of_tiles_is_the_whole_pictures_with_its_gradient():
    """Each cell attends alone in the toy, so that tiles and whole agree."""
    denoiser = ToyDenoiser(torch.zeros(()))
    mask = torch.zeros(512, 768)
    mask[100:300, 200:500] = 1
    guidance = Guidance(mask, (1, 3), GuidanceSettings(threshold=0.0, updates=2))
    found = []
    for one in (denoiser, tiled(denoiser, large(), 256)):
        leaf = large().requires_grad_()
        energy = energy_of(one, leaf, SIGMA, guidance)
        found.append((energy.detach(), torch.autograd.grad(energy, leaf)[0]))
    torch.testing.assert_close(found[1][0], found[0][0])
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(
        guide(tiled(denoiser, large(), 256), large(), SIGMA, guidance), guide(denoiser, large(), SIGMA, guidance)
    )


def test_attention_on_a_coarser_grid_lands_where_its_tile_lies():
    class Coarse(ToyDenoiser):
        """Attends, on a grid of quarters, by the mean of each of its cells."""

        def attention(self, x, sigma, layers, through_control=True):
            small = torch.nn.functional.avg_pool2d(x, 4).flatten(2)[0].T  # cells,3
            return [AttentionMap(small.softmax(-1)[None], (x.shape[-2] // 4, x.shape[-1] // 4))]

    denoiser = Coarse(torch.zeros(()))
    (whole,), (parts,) = (one.attention(large(), SIGMA, ["x"]) for one in (denoiser, tiled(denoiser, large(), 256)))
    assert parts.grid == whole.grid == (16, 24)
    torch.testing.assert_close(parts.weights, whole.weights)
    mask = mask_on_grid(torch.eye(64, 96), parts.grid)
    assert attention_energy(parts.weights, mask, [0]) > 0


# Seams, on the embedded network


def picture(kind: str, height: int, width: int) -> torch.Tensor:
    if kind == "flat":
        return torch.full((1, 3, height, width), 0.5)
    ramp = torch.linspace(0.2, 0.8, width).expand(3, height, width)[None]
    return ramp.contiguous()


@pytest.mark.parametrize("kind", ["flat", "gradient"])
def test_no_seam_in_a_flat_picture_and_a_gradient(kind):
    """Steps where tiles begin and end are no larger than those between the autoencoder's other cells."""
    height, width = 128, 320
    objects = (SceneObject("grey wall", "plain grey wall", np.pad(np.ones((64, 160), bool), ((32, 32), (80, 80)))),)
    settings = replace(
        codec.default_settings(), object_steps=2, overall_steps=3, working_size=128,
        guidance=GuidanceSettings(updates=1, threshold=0.0, t_prime=0.5),
    )  # fmt: skip
    *_, final = decode(
        codec.load_models(), picture(kind, height, width), Semantics("a plain grey wall", objects), settings
    )
    levels = final.image[0].mean(0).mean(0) * 255  # of each column
    steps = levels.diff().abs()
    edges = sorted({8 * edge for place in windows(16, 40, 16) for edge in (place.columns.start, place.columns.stop)})
    seams = torch.stack([steps[edge - 1] for edge in edges if 0 < edge < width])
    others = torch.stack([steps[edge - 1] for edge in range(8, width, 8) if edge not in edges])
    assert len(seams) >= 4
    assert seams.max() <= others.max() + 0.25
