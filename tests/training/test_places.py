"""Words and the places where they belong: what the diffusion training minimises and what it is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sedic.models.embedded import new_unet, tokenizer
from sedic.restoration.energy import attention_energy
from sedic.training.data import Picture
from sedic.training.diffusion.examples import Texts
from sedic.training.diffusion.networks import Config
from sedic.training.diffusion.places import energy_of_places, watched_attention
from sedic.training.diffusion.regions import regions
from sedic.understanding.appearance import describe, measure


def test_energy_of_a_batch_is_eq_2_of_each_name():
    torch.manual_seed(0)
    weights = torch.rand(2, 4, 64, 77).softmax(-1)
    masks = torch.zeros(2, 3, 8, 8)
    masks[0, 0, :4], masks[0, 2, 2:5, 1:], masks[1, 1, :, 3:] = 1, 1, 1
    places = torch.zeros(2, 3, 77)
    places[0, 0, [1, 2]], places[0, 2, 5], places[1, 1, [3, 7, 8]] = 1, 1, 1
    expected = [
        attention_energy(weights[0], masks[0, 0], [1, 2]),
        attention_energy(weights[0], masks[0, 2], [5]),
        attention_energy(weights[1], masks[1, 1], [3, 7, 8]),
    ]
    found = energy_of_places([weights], places, masks)
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_watching_the_attention_changes_nothing():
    torch.manual_seed(0)
    unet = new_unet().eval()
    z, text = torch.randn(1, unet.config.in_channels, 16, 16), torch.randn(1, 77, unet.config.cross_attention_dim)
    with torch.no_grad():
        plain = unet(z, 500, text).sample
        with watched_attention(unet) as kept:
            watched = unet(z, 500, text).sample
        again = unet(z, 500, text).sample
    torch.testing.assert_close(watched, plain, rtol=1e-4, atol=1e-5)
    assert torch.equal(again, plain)
    assert {w.shape[2] for w in kept} == {16, 64}  # both up blocks with cross-attention
    assert all(torch.allclose(w.sum(-1), torch.ones(())) for w in kept)


@pytest.fixture(scope="module")
def texts() -> Texts:
    words = {"captions": ["a man on a beach"], "names": ["red umbrella", "brown dog"], "details": ["smooth", "furry"]}
    return Texts([words], Config(no_text=0.0))


def test_places_are_the_tokens_of_the_name(texts):
    tokens, places = texts.encode([("a man on a beach", -1), ("red umbrella", 0), ("furry", -1), ("brown dog", 1)], 2)

    def read(tokens: torch.Tensor) -> str:
        return " ".join(tokenizer().backend.decode(tokens.tolist()).replace("</w>", " ").split())

    assert read(tokens[places[0] > 0]) == "red umbrella"
    assert read(tokens[places[1] > 0]) == "brown dog"
    assert read(tokens).split(",")[0].strip() == "a man on a beach"
    assert len(tokens) == 77


def test_a_long_text_is_cut_and_its_names_stay_inside(texts):
    tokens, places = texts.encode([("word " * 100, -1), ("red umbrella", 0)], 2)
    assert len(tokens) == 77
    assert tokens[-1] == tokenizer().eos_token_id
    assert not places.any()


def test_only_regions_that_an_example_sees_are_named(texts):
    masks = torch.zeros(2, 16, 16)
    masks[1, 4:] = 1
    drawn = [texts.draw(0, masks, np.random.default_rng(seed)) for seed in range(30)]
    assert {region for parts in drawn for _, region in parts} == {-1, 1}


def test_regions_of_a_picture_nobody_annotated_follow_its_edges():
    pixels = np.zeros((128, 160, 3), np.uint8)
    pixels[:, :80], pixels[:, 80:] = (200, 20, 20), (20, 60, 200)
    found = regions(pixels, Picture(path=None))
    assert {region.name for region in found} == {"red area", "blue area"}
    red = next(region for region in found if region.name == "red area")
    assert (red.mask == (np.arange(160) < 80)).mean() > 0.97


@pytest.mark.parametrize(
    ("angle", "word"), [(0, "vertical striped"), (90, "horizontal striped"), (45, "diagonal striped")]
)
def test_stripes_are_told_with_their_direction(angle, word):
    y, x = np.mgrid[:96, :96]
    wave = np.sin((x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))) * 0.8)
    pixels = np.repeat((128 + 100 * wave)[..., None], 3, 2).astype(np.uint8)
    assert word in describe(pixels)


def test_words_tell_flat_from_rough():
    random = np.random.default_rng(0)
    flat, rough = np.full((64, 64, 3), 150, np.uint8), random.integers(60, 250, (64, 64, 3)).astype(np.uint8)
    assert "smooth" in describe(flat)
    assert "smooth" not in describe(rough)
    everywhere = np.ones((64, 64), bool)
    assert measure(flat, everywhere).strength == 0 < measure(rough, everywhere).strength
    assert describe(flat, np.zeros((64, 64), bool)) == ""
