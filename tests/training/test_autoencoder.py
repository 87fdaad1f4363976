"""The embedded autoencoder: where its training starts, its shapes, and how weights are stored."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sedic.models import embedded
from sedic.training.diffusion.autoencoder import start_from_components, weigh_channels


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(0)
    return F.interpolate(torch.rand(8, 3, 12, 12), 64, mode="bicubic").clamp(0, 1) * 2 - 1


def test_training_starts_at_the_best_linear_code(images):
    model = embedded.new_autoencoder()
    start_from_components(model, images)
    blocks = F.pixel_unshuffle(images, 8).movedim(1, -1).flatten(0, -2).double()
    values = torch.linalg.eigvalsh(torch.cov((blocks - blocks.mean(0)).T))
    best = values[: -embedded.LATENT_CHANNELS].sum() / 192
    with torch.no_grad():
        latents = model.encode(images).latents
        error = (model.decode(latents).sample - images).square().mean()
    torch.testing.assert_close(error.double(), best, rtol=0.01, atol=1e-7)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(embedded.LATENT_CHANNELS), rtol=0.01, atol=0.01)
    assert latents.mean((0, 2, 3)).abs().max() < 1e-3


def test_weighing_the_channels_keeps_the_pictures(images):
    model = embedded.new_autoencoder()
    start_from_components(model, images)
    for half in (model.encoder, model.decoder):
        torch.nn.init.normal_(half.correction.weight, std=0.02)
    with torch.no_grad():
        before = model.encode(images).latents
        picture = model.decode(before).sample
        weigh_channels(model)
        after = model.encode(images).latents
        torch.testing.assert_close(model.decode(after).sample, picture, rtol=1e-3, atol=1e-3)
    ratio = after.std((0, 2, 3)) / before.std((0, 2, 3))
    assert (ratio[:-1] >= ratio[1:] - 1e-4).all()  # components come in falling order
    torch.testing.assert_close(ratio.square().mean(), torch.ones(()), rtol=0.01, atol=0)


def test_latents_are_an_eighth_of_the_picture(images):
    model = embedded.new_autoencoder()
    latents = model.encode(images[:, :, :48]).latents
    assert latents.shape == (8, embedded.LATENT_CHANNELS, 6, 8)
    assert model.decode(latents).sample.shape == (8, 3, 48, 64)


def test_stored_weights_come_back_within_half_a_step(tmp_path):
    torch.manual_seed(0)
    model = embedded.new_autoencoder()
    embedded.save("autoencoder", model, tmp_path)
    again = embedded.read_state("autoencoder", tmp_path)
    for name, value in model.state_dict().items():
        if value.ndim < 2:
            torch.testing.assert_close(again[name], value, rtol=1e-3, atol=1e-4)
        else:
            step = value.flatten(1).abs().amax(1) / 127
            assert ((again[name] - value).flatten(1).abs().amax(1) <= 0.501 * step).all()
    size = (tmp_path / "autoencoder.safetensors").stat().st_size
    assert size < 1.1 * sum(value.numel() for value in model.state_dict().values())


def test_words_that_training_never_saw_get_the_mean_word(tmp_path):
    torch.manual_seed(0)
    model = embedded.new_text_encoder()
    seen = torch.zeros(49408, dtype=torch.bool)
    seen[[5, 7]] = True
    embedded.save("text_encoder", model, tmp_path, seen)
    table = embedded.read_state("text_encoder", tmp_path)["embeddings.token_embedding.weight"]
    torch.testing.assert_close(table[9], table[[5, 7]].mean(0))
    assert not torch.allclose(table[5], table[7])
