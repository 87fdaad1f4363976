"""Models made for few steps: their folders, their defaults, and the families that the command line has not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sedic import codec
from sedic.bitstream import Hints, SedicFile
from sedic.errors import SedicError
from sedic.models import embedded
from sedic.restoration.denoiser import Picture
from sedic.restoration.diffusers_backend.denoiser import DiffusersModels
from sedic.restoration.diffusers_backend.folder import made_for_few_steps, read_folder
from sedic.restoration.settings import FEW_GUIDANCE, FEW_STEPS, GuidanceSettings, Settings, few_steps, guidance_in
from sedic.restoration.solvers import SOLVERS
from sedic.restoration.stages import decode, restore
from sedic.restoration.starts import noise_levels_of, stage_noise, step_noise
from sedic.semantics import SceneObject, Semantics

from .toy import ToyModels

SIGMA = torch.tensor(2.0)
TURBO = {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}


@pytest.fixture(scope="module")
def turbo(tmp_path_factory) -> Path:
    """SDXL-Turbo's folder as it is published in half precision, tiny and random: no ControlNet, two text encoders."""
    import diffusers
    import transformers

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("turbo")
    half = {"variant": "fp16"}
    diffusers.UNet2DConditionModel(
        sample_size=64, in_channels=4, out_channels=4, block_out_channels=(8, 16), norm_num_groups=4,
        cross_attention_dim=16, attention_head_dim=(1, 2), transformer_layers_per_block=(1, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=8 + 6 * 8,
        use_linear_projection=True,
    ).half().save_pretrained(path / "unet", **half)  # fmt: skip
    diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4,) * 4, norm_num_groups=2, latent_channels=4, scaling_factor=0.13025,
    ).half().save_pretrained(path / "vae", **half)  # fmt: skip
    text = transformers.CLIPTextConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2,
                                       projection_dim=8)  # fmt: skip
    for part, kind in (("text_encoder", transformers.CLIPTextModel),
                       ("text_encoder_2", transformers.CLIPTextModelWithProjection)):  # fmt: skip
        kind(text).half().save_pretrained(path / part, **half)
    for part in ("tokenizer", "tokenizer_2"):
        shutil.copytree(embedded.WEIGHTS / "tokenizer", path / part)
    (path / "scheduler").mkdir()
    (path / "scheduler" / "scheduler_config.json").write_text(json.dumps(TURBO | {"prediction_type": "epsilon"}))
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"}))
    return path


def test_a_turbo_folder_in_half_precision_is_read_and_restores_in_one_step(turbo):
    models = read_folder(turbo)
    assert models.where == str(turbo)
    assert models.native_size == 512
    assert {p.dtype for part in (models.unet, models.autoencoder, models.text_encoder, models.text_encoder_2)
            for p in part.parameters()} == {torch.float32}  # fmt: skip
    picture = Picture(torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(1)), models.encode)
    denoiser = models.condition("red cup", "", 1.0, picture)
    assert denoiser.positive.hidden.shape == (1, 77, 16)
    sigmas = noise_levels_of(lambda n: models.sigmas("sgm_uniform", n), 1, "lcm")
    x = models.start(stage_noise(picture.latent, 0, 1), sigmas[0], torch.zeros_like(picture.latent))
    end = restore(denoiser, x, sigmas, SOLVERS["lcm"], fresh_noise=lambda: step_noise(x, 0, 1)).latents[-1]
    assert torch.equal(end, denoiser.denoise(x, sigmas[0]))


def test_a_folder_for_few_steps_has_their_settings(turbo):
    found = codec.default_settings(str(turbo))
    assert found == few_steps(Settings())
    assert (found.object_steps, found.object_scale, found.sampler) == (4, 1.0, "lcm")
    assert codec.default_settings("nowhere") == Settings()


@pytest.mark.parametrize(
    ("scheduler", "few"),
    [
        (TURBO, True),
        ({"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"}, True),
        ({"_class_name": "LCMScheduler"}, True),
        ({"_class_name": "TCDScheduler"}, True),
        ({"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"}, False),
        (TURBO | {"rescale_betas_zero_snr": True}, False),  # of models whose noise ends in nothing but noise
        ({"_class_name": "DDIMScheduler", "timestep_spacing": "trailing"}, False),
        ({}, False),
        ([], False),
    ],
)
def test_a_folder_says_by_its_scheduler_whether_it_was_made_for_few_steps(tmp_path, scheduler, few):
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    assert made_for_few_steps(tmp_path) == few


@pytest.mark.parametrize("steps", [1, FEW_STEPS, FEW_STEPS + 1])
def test_few_steps_are_guided_as_few_and_what_somebody_chose_stays(steps):
    expected = GuidanceSettings(**FEW_GUIDANCE) if steps <= FEW_STEPS else GuidanceSettings()
    for before in (GuidanceSettings(), GuidanceSettings(**FEW_GUIDANCE)):
        assert guidance_in(steps, before) == expected
    file = SedicFile(64, 64, 1, 9, None, Semantics(), hints=Hints(object_steps=steps))
    assert codec.settings_of(file, Settings()).guidance == expected
    own = GuidanceSettings(eta=30.0)
    assert guidance_in(steps, own) is own


def test_the_embedded_models_keep_their_own_guidance_in_few_steps():
    assert few_steps(codec.default_settings(), 2).guidance == codec.default_settings().guidance


def test_a_decode_in_few_steps_ends_with_what_the_network_says_of_each_stage():
    models, settings = ToyModels(), few_steps(Settings(), 2)
    mask = np.zeros((64, 128), bool)
    mask[16:48, 32:80] = True
    semantics = Semantics("all of it", (SceneObject("cup", "red cup", mask),))
    *_, final = decode(models, torch.rand(1, 3, 64, 128), semantics, settings)
    assert [scale for _, _, scale, _ in models.conditions] == [1.0, 1.0]
    assert models.schedules == [("sgm_uniform", 2)] * 2
    cup, whole = models.denoisers
    assert (len(cup.denoised_at), len(whole.denoised_at)) == (2, 2)
    assert len(cup.attention_at) == 2  # every step is guided, once
    torch.testing.assert_close(final.latent, whole.mean, atol=0.2, rtol=0)  # up to its spread


def test_a_consistency_model_is_told_the_scale_and_asked_once():
    """LCM's own network: classifier-free guidance is in its weights, by a number beside the time."""
    import diffusers

    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), norm_num_groups=4,
        cross_attention_dim=8, attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), time_cond_proj_dim=16,
    ).eval()  # fmt: skip
    models = DiffusersModels(None, unet, None, None, None)
    calls = []
    unet.register_forward_pre_hook(lambda _, given, named: calls.append(given[0].shape[0]), with_kwargs=True)
    models._texts = {text: _text(text) for text in ("cup", "")}
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    weak, strong = (models.condition("cup", "", scale, Picture(x, lambda i: i)).denoise(x, SIGMA) for scale in (1, 8))
    assert calls == [1, 1]
    assert not torch.equal(weak, strong)


def _text(text: str):
    from sedic.restoration.diffusers_backend.denoiser import Text

    return Text(torch.randn(1, 77, 8, generator=torch.Generator().manual_seed(len(text))))


# Transformers


@pytest.mark.parametrize(("kind", "index"), [("FluxPipeline", True), ("StableDiffusion3Pipeline", True), ("", False)])
def test_a_folder_of_a_diffusion_transformer_is_refused_with_where_it_runs(tmp_path, kind, index):
    (tmp_path / "vae").mkdir()
    if index:
        (tmp_path / "model_index.json").write_text(
            json.dumps({"_class_name": kind, "transformer": ["diffusers", "FluxTransformer2DModel"]})
        )
    else:
        (tmp_path / "transformer").mkdir()
    with pytest.raises(SedicError, match=rf"a {kind or 'transformer'}, a diffusion transformer.*in ComfyUI") as caught:
        read_folder(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.double_blocks.0.img_attn.qkv.weight",
        "double_blocks.0.img_attn.qkv.weight",
        "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",
        "transformer_blocks.0.attn.add_q_proj.weight",
    ],
)
def test_a_single_file_of_a_diffusion_transformer_is_refused_likewise(tmp_path, key):
    save_file({key: torch.zeros(2, 2)}, tmp_path / "flux.safetensors")
    with pytest.raises(SedicError, match=r"flux.safetensors holds a transformer, a diffusion transformer.*ComfyUI"):
        read_folder(tmp_path)
