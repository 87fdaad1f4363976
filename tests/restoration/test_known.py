"""What a pass for attention computed is not computed again by the step on the same latent."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from sedic.codec import load_models
from sedic.restoration.denoiser import ATTENTION_LAYERS, CONTROL_LAYERS, Picture

SIGMA = torch.tensor(5.0)
LAYERS = [*ATTENTION_LAYERS[:3], CONTROL_LAYERS]


@pytest.fixture(scope="module")
def models():
    return load_models()


def bound(models, scale: float = 1.0):
    picture = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(3))
    return models.condition("red cup, a glossy red cup", "blurry", scale, Picture(picture, models.encode))


def latent() -> torch.Tensor:
    return torch.randn(1, 20, 8, 16, generator=torch.Generator().manual_seed(2)) * 4


def read(denoiser, x, layer):
    with torch.enable_grad():
        return denoiser.attention(x.clone().requires_grad_(), SIGMA, [layer])


@contextmanager
def convolutions(monkeypatch):
    """Counts those that are computed inside."""
    made, original = [], torch.nn.Conv2d.forward

    def counted(self, x):
        made.append(self)
        return original(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Conv2d, "forward", counted)
        yield made


@pytest.mark.parametrize("layer", LAYERS)
def test_a_step_behind_a_look_at_the_same_latent_is_the_plain_step_bit_for_bit(models, layer):
    plain = bound(models).denoise(latent(), SIGMA)
    looking = bound(models)
    read(looking, latent(), layer)
    assert torch.equal(looking.denoise(latent(), SIGMA), plain)
    assert torch.equal(looking.denoise(latent(), SIGMA), plain)


def test_a_step_on_another_latent_or_level_knows_nothing_of_the_look(models):
    other, level = latent() + 1, torch.tensor(4.0)
    looking = bound(models)
    read(looking, latent(), LAYERS[0])
    assert torch.equal(looking.denoise(other, SIGMA), bound(models).denoise(other, SIGMA))
    read(looking, latent(), LAYERS[0])
    assert torch.equal(looking.denoise(latent(), level), bound(models).denoise(latent(), level))


def test_with_classifier_free_guidance_a_step_is_the_plain_one(models):
    looking = bound(models, 2.0)
    read(looking, latent(), LAYERS[0])
    assert torch.equal(looking.denoise(latent(), SIGMA), bound(models, 2.0).denoise(latent(), SIGMA))


def test_a_look_and_its_step_compute_each_convolution_once_but_those_of_the_last_transformer(models, monkeypatch):
    looking, plain = bound(models), bound(models)
    with convolutions(monkeypatch) as made:
        plain.denoise(latent(), SIGMA)
    whole = len(made)
    with convolutions(monkeypatch) as made:
        read(looking, latent(), LAYERS[0])
        looking.denoise(latent(), SIGMA)
    assert len(made) == whole + 1


def test_the_condition_is_looked_at_once_a_stage(models, monkeypatch):
    denoiser, hint = bound(models), models.controlnet.controlnet_cond_embedding
    with convolutions(monkeypatch) as made:
        for level in (5.0, 3.0, 1.0):
            denoiser.denoise(latent(), torch.tensor(level))
    assert made.count(hint.conv_in) == made.count(hint.conv_out) == 1
    part = denoiser.window(slice(0, 8), slice(0, 8))
    assert part.denoise(latent()[..., :8], SIGMA).shape == (1, 20, 8, 8)
