"""Single files in their authors' layouts, small and random, through diffusers' classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from headless import layouts
from headless.checkpoints import random_weights
from headless.layouts import SD15, SD21, SDXL, Layout
from sedic.errors import SedicError
from sedic.restoration.denoiser import ATTENTION_LAYERS, Picture
from sedic.restoration.diffusers_backend.checkpoints import read_files
from sedic.restoration.diffusers_backend.folder import read_folder
from sedic.restoration.guidance import Guidance, GuidanceSettings, guide

TEXT = 64
SIGMA = torch.tensor(3.0)
SHAPES = {
    "sd15": replace(SD15, width=64, context=TEXT),
    "sd21": replace(SD21, width=64, context=TEXT),
    "sdxl": replace(SDXL, width=64, context=2 * TEXT, pooled=TEXT + 6 * 256, depths=(0, 1, 2), middle=2),
}


def narrow(layout: Layout, factor: int) -> Layout:
    """The same names at a fraction of the width."""
    kept = (49408, 77)
    return {
        name: tuple(size // factor if size >= 64 and size not in kept else size for size in shape)
        for name, shape in layout.items()
    }


def under(prefix: str, layout: Layout) -> Layout:
    return {f"{prefix}.{name}": shape for name, shape in layout.items()}


def checkpoint(name: str) -> dict[str, torch.Tensor]:
    first = narrow(layouts.clip_l(), 12)
    texts = {
        "sd15": under("cond_stage_model.transformer", first),
        "sd21": under("cond_stage_model.model", layouts.open_clip(TEXT, 3)),
        "sdxl": under("conditioner.embedders.0.transformer", first)
        | under("conditioner.embedders.1.model", layouts.open_clip(TEXT, 3)),
    }[name]
    layout = under("model.diffusion_model", layouts.unet(SHAPES[name])) | texts
    return random_weights(layout | under("first_stage_model", narrow(layouts.autoencoder(), 4)), 0)


def control(name: str) -> dict[str, torch.Tensor]:
    return random_weights(layouts.control_net(SHAPES[name], hint=name != "sd21"), 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """ComfyUI's folders: SD 1.5 with tile, SD 2.1 with IRControlNet, SDXL with a union ControlNet."""
    import diffusers

    base = tmp_path_factory.mktemp("files")
    for name in SHAPES:
        for part in ("checkpoints", "controlnet"):
            (base / name / part).mkdir(parents=True)
        save_file(checkpoint(name), base / name / "checkpoints" / "base.safetensors")
    tile = {f"control_model.{key}": value for key, value in control("sd15").items()}
    torch.save(tile, base / "sd15" / "controlnet" / "tile.pth")
    torch.save({"state_dict": control("sd21")}, base / "sd21" / "controlnet" / "v2.pth")
    torch.manual_seed(0)
    union = diffusers.ControlNetUnionModel(
        block_out_channels=(64, 128, 256), transformer_layers_per_block=(1, 1, 2), attention_head_dim=(1, 2, 4),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), cross_attention_dim=128,
        addition_embed_type="text_time", addition_time_embed_dim=256, use_linear_projection=True,
        projection_class_embeddings_input_dim=TEXT + 6 * 256, num_control_type=8, num_trans_channel=64,
        num_proj_channel=64,
    )  # fmt: skip
    for weight in union.parameters():
        if weight.ndim > 1 and not weight.any():  # so before training
            torch.nn.init.normal_(weight, std=0.1)
    save_file(union.half().state_dict(), base / "sdxl" / "controlnet" / "union.safetensors")
    return base, {name: read_folder(base / name) for name in SHAPES}


@pytest.mark.parametrize("name", SHAPES)
def test_a_checkpoint_and_its_controlnet_run_a_guided_step(folders, name):
    models = folders[1][name]
    picture = Picture(torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(1)), models.encode)
    assert picture.latent.shape == (1, 4, 8, 16)
    assert models.decode(picture.latent).shape == (1, 3, 64, 128)
    assert models.native_size == (1024 if name == "sdxl" else 512)
    assert models.latent_condition == (name == "sd21")
    assert (models.text_encoder_2 is not None) == (name == "sdxl")
    denoiser = models.condition("red cup on a table", "blurry", 3.5, picture)
    assert denoiser.positive.hidden.shape == (1, 77, SHAPES[name].context)
    x = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(2)) * 3
    assert torch.isfinite(denoiser.denoise(x, SIGMA)).all()
    tokens = tuple(models.token_positions("red cup on a table", "red cup"))
    assert tokens == (1, 2)
    mask = torch.zeros(64, 128)
    mask[16:48, 32:80] = 1
    for layers in ATTENTION_LAYERS if name != "sdxl" else (*ATTENTION_LAYERS[:3], "control net"):
        settings = GuidanceSettings(layers=(layers,), threshold=0.0, updates=1)
        moved = guide(denoiser, x, SIGMA, Guidance(mask, tokens, settings))
        assert torch.isfinite(moved).all()
        assert not torch.equal(moved, x)


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_the_controlnet_is_shown_the_picture_and_acts(folders, name):
    models = folders[1][name]
    pictures = [Picture(torch.full((1, 3, 64, 64), level), models.encode) for level in (0.1, 0.9)]
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    dark, light = (models.condition("cup", "", 1.0, one).denoise(x, SIGMA) for one in pictures)
    assert not torch.allclose(dark, light, atol=1e-4)


def test_ir_control_net_is_the_concatenated_convolution(folders):
    models = folders[1]["sd21"]
    state = {key: value.float() for key, value in control("sd21").items()}
    z, hint = (torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(k)) for k in (3, 4))
    first = models.controlnet.conv_in(z) + models.controlnet.controlnet_cond_embedding(hint)
    weight, bias = state["input_blocks.0.0.weight"], state["input_blocks.0.0.bias"]
    expected = F.conv2d(torch.cat([z, hint], 1), weight, bias, padding=1)
    torch.testing.assert_close(first, expected, rtol=1e-4, atol=1e-4)


def test_every_tensor_of_a_checkpoint_lands_in_its_place(folders):
    """Spot checks where a mistake would pass unseen: what diffusers renames, splits or transposes."""
    state = {key: value.float() for key, value in checkpoint("sdxl").items()}
    models = folders[1]["sdxl"]
    found = models.unet.state_dict()
    assert torch.equal(found["conv_in.weight"], state["model.diffusion_model.input_blocks.0.0.weight"])
    place = "model.diffusion_model.output_blocks.0.1.transformer_blocks.1.attn2.to_k.weight"
    assert torch.equal(found["up_blocks.0.attentions.0.transformer_blocks.1.attn2.to_k.weight"], state[place])
    second = {key.removeprefix("text_model."): value for key, value in models.text_encoder_2.state_dict().items()}
    packed = state["conditioner.embedders.1.model.transformer.resblocks.2.attn.in_proj_weight"]
    for name, part in zip(("q_proj", "k_proj", "v_proj"), packed.chunk(3), strict=True):
        assert torch.equal(second[f"encoder.layers.2.self_attn.{name}.weight"], part)
    projection = state["conditioner.embedders.1.model.text_projection"].T
    assert torch.equal(second["text_projection.weight"], projection)
    assert models.tokenizer.pad_token_id == 49407
    assert models.tokenizer_2.pad_token_id == 0


def test_sd21_reads_the_last_layer_but_one(folders):
    assert folders[1]["sd21"].text_encoder.config.num_hidden_layers == 2
    assert folders[1]["sd15"].text_encoder.config.num_hidden_layers == 12


@pytest.mark.parametrize(("spread", "prediction"), [(0.2, "v_prediction"), (0.02, "epsilon")])
def test_sd21_at_768_is_told_from_sd21_base(folders, tmp_path, spread, prediction):
    state = checkpoint("sd21")
    norm = state["model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"]
    norm.copy_(torch.randn(norm.shape, generator=torch.Generator().manual_seed(0)) * spread)
    save_file(state, tmp_path / "sd21.safetensors")
    models = read_folder(tmp_path)
    assert models.prediction == prediction
    assert models.native_size == (768 if prediction == "v_prediction" else 512)
    assert models.controlnet is None


def test_a_large_picture_goes_through_the_autoencoder_in_tiles(folders, monkeypatch):
    models = folders[1]["sd15"]
    assert models.autoencoder.use_tiling
    assert models.autoencoder.tile_sample_min_size == 1024
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(models.autoencoder, "tile_sample_min_size", 64)
    monkeypatch.setattr(models.autoencoder, "tile_latent_min_size", 8)
    hooks = [part.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-2:]))
             for part in (models.autoencoder.encoder, models.autoencoder.decoder)]  # fmt: skip
    try:
        latent = models.encode(torch.rand(1, 3, 128, 192))
        picture = models.decode(latent)
    finally:
        for hook in hooks:
            hook.remove()
    assert latent.shape == (1, 4, 16, 24)
    assert picture.shape == (1, 3, 128, 192)
    assert len(seen) > 8
    assert max(max(size) for size in seen) == 64


# Folders that do not do


def test_a_folder_without_a_checkpoint_is_told(tmp_path):
    with pytest.raises(SedicError, match="neither diffusers' folders nor a checkpoint"):
        read_files(tmp_path)


def test_two_controlnets_are_told_by_name(folders, tmp_path):
    for name in ("base", "more"):
        (tmp_path / f"{name}.safetensors").write_bytes(
            (folders[0] / "sdxl" / "controlnet" / "union.safetensors").read_bytes()
        )
    with pytest.raises(SedicError, match=r"more than one ControlNet \(base.safetensors, more.safetensors\)"):
        read_files(tmp_path)


@pytest.mark.parametrize("change", ["cut", "garbage", "other"])
def test_a_damaged_or_foreign_file_is_told_in_one_sentence(folders, tmp_path, change):
    (tmp_path / "a.safetensors").symlink_to(folders[0] / "sd15" / "checkpoints" / "base.safetensors")
    state = control("sd15")
    if change == "cut":
        del state["middle_block.0.in_layers.2.weight"]
        torch.save(state, tmp_path / "tile.pth")
    elif change == "garbage":
        (tmp_path / "tile.pth").write_bytes(b"\x80no pickle of weights")
    else:
        torch.save({"something": torch.zeros(1)}, tmp_path / "tile.pth")
    with pytest.raises(SedicError, match=r"tile\.pth") as caught:
        read_files(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_controlnet_of_another_family_is_told(folders, tmp_path):
    (tmp_path / "a.safetensors").symlink_to(folders[0] / "sd21" / "checkpoints" / "base.safetensors")
    (tmp_path / "b.safetensors").symlink_to(folders[0] / "sdxl" / "controlnet" / "union.safetensors")
    with pytest.raises(SedicError, match=r"b\.safetensors does not fit .*belong together"):
        read_files(tmp_path)
