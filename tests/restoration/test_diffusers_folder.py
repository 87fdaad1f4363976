"""A folder of diffusers' models, read from disk: latents, attention, and what is said of a damaged one."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from sedic.errors import SedicError
from sedic.restoration.denoiser import ATTENTION_LAYERS, Picture, attention_weights
from sedic.restoration.diffusers_backend.denoiser import DiffusersDenoiser, DiffusersModels
from sedic.restoration.diffusers_backend.folder import read_folder
from sedic.restoration.diffusers_backend.reading import attention_modules

FIRST_UP = ATTENTION_LAYERS[:1]

SIGMA = torch.tensor(2.0)


# A folder of tiny models


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """diffusers' layout, random weights, a tokenizer of single letters."""
    import diffusers
    import transformers

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models")
    shared = {"in_channels": 4, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4}
    shared |= {"cross_attention_dim": 8, "attention_head_dim": 2}
    shared |= {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D")}
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, out_channels=4, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **shared
    )
    unet.save_pretrained(path / "unet")
    control = diffusers.ControlNetModel(conditioning_channels=4, conditioning_embedding_out_channels=(8,), **shared)
    control.save_pretrained(path / "controlnet")
    vae = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4,) * 4,
        norm_num_groups=2,
        latent_channels=4,
        scaling_factor=0.5,
    )
    vae.save_pretrained(path / "vae")
    diffusers.DDIMScheduler(prediction_type="v_prediction").save_pretrained(path / "scheduler")
    letters = [chr(code) for code in range(33, 127)]
    tokens = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    text = transformers.CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=len(tokens) - 2,
        eos_token_id=len(tokens) - 1,
    )
    transformers.CLIPTextModel(text).save_pretrained(path / "text_encoder")
    (path / "tokenizer").mkdir()
    (path / "tokenizer" / "vocab.json").write_text(json.dumps({token: k for k, token in enumerate(tokens)}))
    (path / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    ends = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    config = {"tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>"} | ends
    (path / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def models(folder) -> DiffusersModels:
    return read_folder(folder)


def noisy() -> torch.Tensor:
    return torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(2)) * 2


def bound(models: DiffusersModels, scale: float = 1.0) -> DiffusersDenoiser:
    picture = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(3))
    return models.condition("cup, a red cup", "blurry", scale, Picture(picture, models.encode))


def test_folder_says_how_its_models_work(models):
    assert models.prediction == "v_prediction"
    assert models.latent_condition
    assert models.device == torch.device("cpu")
    assert not any(part.training for part in (models.unet, models.autoencoder, models.controlnet, models.text_encoder))


def test_latents_are_an_eighth_and_scaled(models):
    picture = torch.rand(1, 3, 64, 128)
    latent = models.encode(picture)
    assert latent.shape == (1, 4, 8, 16)
    with torch.no_grad():
        unscaled = models.autoencoder.encode(picture * 2 - 1).latent_dist.mode()
        decoded = models.autoencoder.decode(unscaled).sample / 2 + 0.5
    torch.testing.assert_close(latent, unscaled * 0.5)
    torch.testing.assert_close(models.decode(latent), decoded.clamp(0, 1))


def test_name_is_found_in_its_prompt(models):
    assert list(models.token_positions("cup, a red cup", "cup")) == [1, 2, 3, 9, 10, 11]


def test_attention_sums_to_one_and_is_what_the_network_computes(models):
    denoiser = bound(models)
    (module,) = attention_modules(models.unet, models.controlnet, FIRST_UP)[:1]
    kept = {}
    hooks = [
        getattr(module, name).register_forward_hook(lambda _, __, output, name=name: kept.setdefault(name, output))
        for name in ("to_q", "to_k")
    ]
    try:
        denoiser.denoise(noisy(), SIGMA)
    finally:
        for hook in hooks:
            hook.remove()
    maps = denoiser.attention(noisy().requires_grad_(), SIGMA, FIRST_UP)
    assert len(maps) == len(attention_modules(models.unet, models.controlnet, FIRST_UP))
    for one in maps:
        assert one.grid == (8, 16)
        assert one.weights.shape == (2, 128, 77)
        torch.testing.assert_close(one.weights.sum(-1), torch.ones(2, 128))
    torch.testing.assert_close(maps[0].weights, attention_weights(kept["to_q"], kept["to_k"], module.heads))


def test_attention_has_a_gradient_and_stops_behind_the_last_layer(models):
    behind = []
    hook = models.unet.conv_out.register_forward_hook(lambda *_: behind.append(1))
    try:
        x = noisy().requires_grad_()
        maps = bound(models).attention(x, SIGMA, FIRST_UP)
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(maps[-1].weights[:, :, 1].square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.any()
    assert not behind


def test_processors_are_back_after_attention_and_after_an_exception(models, monkeypatch):
    modules = attention_modules(models.unet, models.controlnet, FIRST_UP)
    before = [module.processor for module in modules]
    picture = bound(models).denoise(noisy(), SIGMA)
    bound(models).attention(noisy().requires_grad_(), SIGMA, FIRST_UP)
    assert all(module.processor is processor for module, processor in zip(modules, before, strict=True))
    assert torch.equal(bound(models).denoise(noisy(), SIGMA), picture)

    def fail(*_, **__):
        raise MemoryError("out of memory")

    monkeypatch.setattr(models.unet.mid_block, "forward", fail)
    with pytest.raises(MemoryError):
        bound(models).attention(noisy().requires_grad_(), SIGMA, FIRST_UP)
    assert all(module.processor is processor for module, processor in zip(modules, before, strict=True))


def test_layers_that_a_model_lacks_are_named_with_those_it_has(models):
    assert attention_modules(models.unet, models.controlnet, ["middle block"])
    with pytest.raises(SedicError, match=r"no second up block .*middle block, first up block"):
        attention_modules(models.unet, None, ["second up block"])


def test_scale_of_one_and_guidance_agree_on_a_real_network(models):
    positive = bound(models).denoise(noisy(), SIGMA)
    negative = DiffusersDenoiser(models, bound(models).negative, bound(models).negative, 1.0, bound(models).hint)
    expected = torch.lerp(negative.denoise(noisy(), SIGMA), positive, 3.5)
    torch.testing.assert_close(bound(models, 3.5).denoise(noisy(), SIGMA), expected, rtol=1e-3, atol=1e-4)
    assert math.isfinite(positive.sum().item())


def test_controlnet_may_be_absent(folder, tmp_path):
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        shutil.copytree(folder / part, tmp_path / part)
    models = read_folder(tmp_path)
    assert models.controlnet is None
    assert not models.latent_condition


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_missing_part_is_named_in_one_sentence(part, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / part)
    with pytest.raises(SedicError, match=rf"{part} cannot be read.*--models") as caught:
        read_folder(tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "file",
    ["unet/config.json", "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors",
     "tokenizer/vocab.json"],
)  # fmt: skip
def test_damaged_part_is_named_in_one_sentence(file, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "m")
    (tmp_path / "m" / file).write_bytes(b"\xffnothing of use")
    with pytest.raises(SedicError, match=rf"{Path(file).parts[0]} cannot be read") as caught:
        read_folder(tmp_path / "m")
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_an_error_in_one_sentence(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "m")
    config = tmp_path / "m" / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"cross_attention_dim": 16}))
    with pytest.raises(SedicError, match="unet cannot be read"):
        read_folder(tmp_path / "m")
