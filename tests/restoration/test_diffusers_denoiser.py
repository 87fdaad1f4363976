"""diffusers' models behind the protocol: noise levels, texts, predictions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sedic.errors import SedicError
from sedic.restoration.denoiser import Picture
from sedic.restoration.diffusers_backend.denoiser import CHUNK, DiffusersModels
from sedic.restoration.diffusers_backend.schedules import SCHEDULES, karras_schedule, noise_levels, simple_schedule

SIGMA = torch.tensor(2.0)


# Noise levels


def test_noise_levels_are_stable_diffusions():
    table = noise_levels()
    assert table.shape == (1000,)
    assert table[0].item() == pytest.approx(0.0292, abs=5e-5)
    assert table[-1].item() == pytest.approx(14.6146, abs=5e-5)
    assert (table.diff() > 0).all()


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 10, 20, 50])
def test_schedules_fall_from_the_top_to_zero(schedule, steps):
    sigmas = schedule(noise_levels(), steps)
    assert sigmas.shape == (steps + 1,)
    assert sigmas[0].item() == pytest.approx(14.6146, rel=1e-4)
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


def test_simple_takes_every_stride_and_karras_is_even_in_its_root():
    table = noise_levels()
    assert simple_schedule(table, 4).tolist() == [*table[[999, 749, 499, 249]].tolist(), 0]
    sigmas = karras_schedule(table, 6)
    assert sigmas[-2].item() == pytest.approx(table[0].item(), rel=1e-3)
    roots = sigmas[:-1] ** (1 / 7)
    torch.testing.assert_close(roots.diff(), roots.diff().mean().expand(5), rtol=1e-3, atol=1e-4)


def test_unknown_schedule_names_the_known():
    with pytest.raises(SedicError, match=r"'sgm' .*simple, karras, exponential"):
        stub_models().sigmas("sgm", 4)


# Small stand-ins


class Words:
    """A tokenizer: every letter is a token; 1 begins, 2 ends, 3 pads."""

    bos_token_id, eos_token_id, pad_token_id = 1, 2, 2

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [ord(letter) for letter in text]}


class Echo:
    """A text encoder that gives each token's number, and remembers what it was given."""

    def __call__(self, tokens):
        self.tokens = tokens
        return (tokens[..., None].float().expand(-1, -1, 4),)


class Network(nn.Module):
    """A UNet that answers ``answer(z, text)`` and remembers its arguments."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, answer):
        super().__init__()
        self.answer, self.calls = answer, []

    def forward(self, z, time, text, **residuals):
        self.calls.append((z, int(time), text, residuals))
        return SimpleNamespace(sample=self.answer(z, text))


def stub_models(answer=lambda z, text: z, **fields) -> DiffusersModels:
    parts = {"autoencoder": None, "controlnet": None, "text_encoder": Echo(), "tokenizer": Words()}
    return DiffusersModels(unet=Network(answer), **(parts | fields))


def blank() -> Picture:
    return Picture(torch.zeros(1, 3, 64, 64), lambda image: image)


# Texts


def test_text_is_begun_ended_and_filled():
    models = stub_models()
    assert models.embed("ab").hidden.shape == (1, 77, 4)
    assert models.text_encoder.tokens.tolist() == [[1, 97, 98, *[2] * 74]]
    assert models.embed("").hidden.shape == (1, 77, 4)


def test_text_is_filled_with_the_tokenizers_own_filling():
    models = stub_models()
    models.tokenizer.pad_token_id = 3  # Stable Diffusion 2 ends with one token and fills with another
    models.embed("ab")
    assert models.text_encoder.tokens.tolist() == [[1, 97, 98, 2, *[3] * 73]]


@pytest.mark.parametrize(("letters", "chunks"), [(75, 1), (76, 2), (150, 2), (151, 3)])
def test_long_text_is_encoded_in_chunks(letters, chunks):
    models = stub_models()
    text = "a" * (letters - 1) + "z"
    assert models.embed(text).hidden.shape == (1, 77 * chunks, 4)
    rows = models.text_encoder.tokens.tolist()
    assert all(row[0] == 1 and 2 in row for row in rows)
    inner = [token for row in rows for token in row if token > 3]
    assert inner == [ord(letter) for letter in text]
    assert CHUNK == 75


def test_a_text_is_encoded_once_however_many_stages_share_it():
    models = stub_models()
    encoded: list[int] = []
    encode = models.text_encoder
    models.text_encoder = lambda tokens: encoded.append(len(tokens)) or encode(tokens)
    for text in ("cup", "spoon", "cup", "a table"):
        models.condition(text, "blurry", 3.5, blank())
    assert len(encoded) == 4, "three texts and the negative one"
    for number in range(40):
        models.embed(f"text {number}")
    assert len(models._texts) <= 16, "and not for ever"


def test_token_positions_point_into_the_embedded_text():
    models = stub_models()
    text = "x" * 80 + "cup" + "y" * 80 + "cup"
    positions = models.token_positions(text, "cup")
    embedded = models.embed(text).hidden[0, :, 0]
    assert [chr(int(embedded[k])) for k in positions] == list("cupcup")
    assert models.token_positions(text, "pot") == []


# Predictions


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_perfect_network_gives_the_clean_latent(prediction):
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    signal, spread = 1 / (1 + SIGMA**2).sqrt(), SIGMA / (1 + SIGMA**2).sqrt()
    answer = noise if prediction == "epsilon" else signal * noise - spread * clean
    models = stub_models(lambda z, text: answer, prediction=prediction)
    x = clean + SIGMA * noise
    denoised = models.condition("a", "b", 1.0, blank()).denoise(x, SIGMA)
    torch.testing.assert_close(denoised, clean, rtol=1e-4, atol=1e-5)
    ((z, time, _, residuals),) = models.unet.calls
    torch.testing.assert_close(z, signal * clean + spread * noise)
    assert abs(models.table[time] - SIGMA) < 0.01
    assert residuals == {}


def test_guidance_scale_leads_from_the_negative_to_the_positive():
    models = stub_models(lambda z, text: text[:, :1, :1, None].expand_as(z) * 0 + text[:, 1:2, :1, None])
    x, picture = torch.zeros(1, 4, 8, 8), blank()
    one, other = (models.condition(text, "", 1.0, picture).denoise(x, SIGMA) for text in "ab")
    guided = models.condition("a", "b", 3.5, picture).denoise(x, SIGMA)
    torch.testing.assert_close(guided, other + 3.5 * (one - other))
    assert len(models.unet.calls) == 3, "both halves go through the network at once"


def test_texts_of_different_lengths_are_repeated_to_one():
    models = stub_models()
    denoiser = models.condition("a" * 100, "b", 2.0, blank())
    denoiser.denoise(torch.zeros(1, 4, 8, 8), SIGMA)
    text = models.unet.calls[-1][2]
    assert text.shape == (2, 154, 4)
    assert torch.equal(text[1, :77], text[1, 77:])


def test_start_is_pure_noise_at_the_top_level_and_the_noised_latent_below():
    noise, latent = torch.randn(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    top = stub_models().table[-1]
    torch.testing.assert_close(stub_models().start(noise, top, latent), noise * (1 + top**2) ** 0.5 + 1)
    torch.testing.assert_close(stub_models().start(noise, SIGMA, latent), noise * 2 + 1)


@pytest.mark.parametrize("latent_condition", [True, False])
def test_controlnet_gets_the_latent_or_the_picture(latent_condition):
    hints = []

    class Control:
        def __call__(self, z, time, text, controlnet_cond, return_dict):
            hints.append(controlnet_cond)
            return ["down"], "middle"

    models = stub_models(controlnet=Control(), latent_condition=latent_condition)
    models.encode = lambda image: torch.full((1, 4, 8, 8), 7.0)
    picture = torch.rand(1, 3, 64, 64)
    models.condition("a", "b", 2.0, Picture(picture, models.encode)).denoise(torch.zeros(1, 4, 8, 8), SIGMA)
    expected = models.encode(picture) if latent_condition else picture
    assert torch.equal(hints[0], expected.expand(2, -1, -1, -1))
    assert models.unet.calls[0][3] == {
        "down_block_additional_residuals": ["down"],
        "mid_block_additional_residual": "middle",
    }
