"""LoRAs of every naming land in the layer that they name, as strong as told, or it is said why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headless import layouts
from headless.layouts import SD15, SDXL
from sedic import codec
from sedic.errors import SedicError
from sedic.restoration.diffusers_backend import lora
from sedic.restoration.diffusers_backend.denoiser import DiffusersModels

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
CHECKPOINTS = "input_blocks.1.1.transformer_blocks.0.attn1.to_q"
FLAT = LAYER.replace(".", "_")


@pytest.fixture
def models() -> DiffusersModels:
    """Tiny and random: an SD-like network, and two text encoders as SDXL has."""
    import diffusers
    import transformers

    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        in_channels=4, out_channels=4, sample_size=8, block_out_channels=(8, 16), norm_num_groups=4,
        cross_attention_dim=8, attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    text = transformers.CLIPTextConfig(
        vocab_size=10, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, projection_dim=8
    )
    return DiffusersModels(
        autoencoder=None, unet=unet, controlnet=None, text_encoder=transformers.CLIPTextModel(text), tokenizer=None,
        text_encoder_2=transformers.CLIPTextModelWithProjection(text),
    )  # fmt: skip


def weight(models: DiffusersModels, name: str = LAYER) -> torch.Tensor:
    return models.unet.get_submodule(name).weight.detach().clone()


def file(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    save_file({key: value.clone() for key, value in state.items()}, folder / "few.safetensors")
    return folder / "few.safetensors"


def pair(out: int = 8, inside: tuple[int, ...] = (8,), rank: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rank, *inside, generator=generator), torch.randn(out, rank, generator=generator)


@pytest.mark.parametrize(
    ("down", "up"),
    [
        (f"lora_unet_{FLAT}.lora_down.weight", f"lora_unet_{FLAT}.lora_up.weight"),
        (f"lora_unet_{CHECKPOINTS.replace('.', '_')}.lora_down.weight",
         f"lora_unet_{CHECKPOINTS.replace('.', '_')}.lora_up.weight"),
        (f"diffusion_model.{CHECKPOINTS}.lora_down.weight", f"diffusion_model.{CHECKPOINTS}.lora_up.weight"),
        (f"unet.{LAYER}.lora_A.weight", f"unet.{LAYER}.lora_B.weight"),
        (f"base_model.model.{LAYER}.lora_A.default.weight", f"base_model.model.{LAYER}.lora_B.default.weight"),
        (f"unet.{LAYER}.lora.down.weight", f"unet.{LAYER}.lora.up.weight"),
        (f"{LAYER.replace('to_q', 'processor.to_q')}_lora.down.weight",
         f"{LAYER.replace('to_q', 'processor.to_q')}_lora.up.weight"),
    ],
)  # fmt: skip
def test_every_naming_lands_in_its_layer_and_nowhere_else(models, tmp_path, down, up):
    before, others = weight(models), {k: v.clone() for k, v in models.unet.state_dict().items()}
    first, second = pair()
    lora.add(models, file(tmp_path, {down: first, up: second}), 0.5)
    torch.testing.assert_close(weight(models), before + 0.5 * second @ first)
    changed = [k for k, v in models.unet.state_dict().items() if not torch.equal(v, others[k])]
    assert changed == [f"{LAYER}.weight"]


def test_alpha_divides_by_the_rank_and_strengths_add_up(models, tmp_path):
    before, (down, up) = weight(models), pair()
    state = {f"lora_unet_{FLAT}.lora_down.weight": down, f"lora_unet_{FLAT}.lora_up.weight": up}
    path = file(tmp_path, state | {f"lora_unet_{FLAT}.alpha": torch.tensor(1.0)})
    for strength in (2.0, -0.5):
        lora.add(models, path, strength)
    torch.testing.assert_close(weight(models), before + 1.5 * 0.5 * up @ down)


def test_convolutions_and_the_text_encoders_are_changed(models, tmp_path):
    """As LCM's own LoRA has them, with the first matrix a convolution and the second of one cell."""
    place = "down_blocks.0.resnets.0.conv1"
    before, (down, up) = weight(models, place), pair(8, (8, 3, 3))
    state = {f"lora_unet_{place.replace('.', '_')}.lora_down.weight": down,
             f"lora_unet_{place.replace('.', '_')}.lora_up.weight": up[:, :, None, None]}  # fmt: skip
    for number, prefix in enumerate(("lora_te1_text_model_encoder", "text_encoder_2.text_model.encoder")):
        first, second = pair()
        join = "_" if number == 0 else "."
        name = join.join([prefix, "layers", "0", "self_attn", "q_proj"])
        state |= {f"{name}.lora_down.weight": first, f"{name}.lora_up.weight": second}
    was = [[v.clone() for v in e.state_dict().values()] for e in (models.text_encoder, models.text_encoder_2)]
    lora.add(models, file(tmp_path, state), 1.0)
    expected = before + torch.einsum("or,rihw->oihw", up, down)
    torch.testing.assert_close(weight(models, place), expected)
    for encoder, old in zip((models.text_encoder, models.text_encoder_2), was, strict=True):
        changed = [k for (k, v), o in zip(encoder.state_dict().items(), old, strict=True) if not torch.equal(v, o)]
        assert [key.endswith("q_proj.weight") for key in changed] == [True]


@pytest.mark.parametrize("shape", [SD15, SDXL], ids=["SD 1.5", "SDXL"])
def test_checkpoint_names_are_those_that_diffusers_converts(shape):
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    layout = layouts.unet(shape)
    numbered = {f"model.diffusion_model.{key}": torch.tensor(n) for n, key in enumerate(layout)}
    large = "label_emb.0.0.weight" in layout
    config = {"layers_per_block": 2, "addition_embed_type": "text_time" if large else None}
    converted = convert_ldm_unet_checkpoint(numbered, config)
    keys, found = list(layout), 0
    for key, number in converted.items():
        original = keys[int(number)]
        if key.endswith(".weight") and len(layout[original]) > 1:
            name = original.removesuffix(".weight")
            assert name in lora.checkpoint_names(key.removesuffix(".weight"), 2), (key, name)
            found += 1
    assert found > 180


def test_layers_that_are_not_there_are_told_and_the_others_changed(models, tmp_path):
    before, (down, up) = weight(models), pair()
    state = {f"unet.{name}.lora_{side}.weight": value for name in (LAYER, "mid_block.more.to_q")
             for side, value in (("A", down), ("B", up))}  # fmt: skip
    with pytest.warns(UserWarning, match=r"few.safetensors: 1 of 2 layers .*first is unet.mid_block.more.to_q"):
        lora.add(models, file(tmp_path, state), 1.0)
    assert not torch.equal(weight(models), before)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"lora_A": pair(8, (16,))[0], "lora_B": pair()[1]},
         rf"few.safetensors changes unet.{re.escape(LAYER)} by 8×16, and these models have 8×8"),
        ({"lora_A": pair()[0], "lora_B": pair(8, (8,), 3)[1]}, "made for their family"),
        ({"lora_A": pair()[0]}, "no LoRA of pairs of matrices"),
        ({"lora_A": pair()[0], "lora_B": pair()[1], "dora_scale": pair()[0]}, r"dora_scale.*in ComfyUI"),
        ({"hada_w1_a": pair()[0]}, r"hada_w1_a.*in ComfyUI"),
    ],
)  # fmt: skip
def test_a_lora_that_does_not_fit_is_told_in_one_sentence(models, tmp_path, state, told):
    path = file(tmp_path, {f"unet.{LAYER}.{key}.weight": value for key, value in state.items()})
    with pytest.raises(SedicError, match=told) as caught:
        lora.add(models, path, 1.0)
    assert "\n" not in str(caught.value)


def test_a_lora_of_a_transformer_lands_nowhere_and_is_told(models, tmp_path):
    down, up = pair()
    name = "transformer.single_transformer_blocks.0.attn.to_q"
    path = file(tmp_path, {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up})
    with pytest.raises(SedicError, match=rf"no layer that these models have \(its first is {re.escape(name)}\)"):
        lora.add(models, path, 1.0)


def test_a_missing_file_or_a_strength_that_is_no_number_is_told(models, tmp_path):
    with pytest.raises(SedicError, match=r"no LoRA .*absent.safetensors; name a file"):
        lora.add(models, tmp_path / "absent.safetensors", 1.0)
    down, up = pair()
    path = file(tmp_path, {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up})
    with pytest.raises(SedicError, match="strength of the LoRA few.safetensors is nan"):
        lora.add(models, path, float("nan"))


def test_load_models_adds_each_lora_to_the_embedded_models(tmp_path):
    """What ``sedic decode --lora`` calls."""
    name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    plain = codec.load_models().unet.get_submodule(name).weight
    down, up = pair(len(plain), plain.shape[1:])
    path = file(tmp_path, {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up})
    changed = codec.load_models("embedded", "cpu", "bfloat16", [(path, 1.0), (path, 0.5)])
    expected = (plain + 1.5 * up @ down).bfloat16()
    torch.testing.assert_close(changed.unet.get_submodule(name).weight, expected)
