from __future__ import annotations

import json
import shutil

import pytest
import torch

from sedic.understanding.checkpoints import ModelError, load_folder, read_tensors, require
from sedic.understanding.masks.grounding import load_detector
from sedic.understanding.words.local import load_local

from .test_grounding import folder as small_dino  # noqa: F401
from .test_local import small_llava  # noqa: F401

SAM = {"image_encoder.pos_embed": (1, 4, 4, 8), "mask_decoder.iou_token.weight": (1, 8)}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"mask_decoder.hf_token.weight": (1, 8), "mask_decoder.compress_vit_feat.0.weight": (2, 2)}, "SAM-HQ"),
        ({"module.mask_decoder.hf_token.weight": (1, 8)}, "SAM-HQ"),
        ({"image_encoder.layers.1.blocks.0.attn.qkv.weight": (1, 8)}, "MobileSAM"),
        ({"image_encoder.trunk.pos_embed": (1, 8), "memory_attention.norm.weight": (8,)}, "SAM 2"),
        ({"image_encoder.blocks.0.attn.qkv.SCB": (8,)}, "quantised"),
        ({"image_encoder.blocks.0.attn.qkv.qweight": (8, 8)}, "quantised"),
    ],
)
def test_a_relative_is_named_as_what_it_is(tmp_path, names, told):
    path = tmp_path / "sam_vit_b_01ec64.pth"
    torch.save({name: torch.zeros(shape) for name, shape in {**SAM, **names}.items()}, path)
    with pytest.raises(ModelError, match=told) as caught:
        read_tensors(path, "Segment Anything")
    assert "fetch it again" not in str(caught.value)
    assert "take " in str(caught.value)


def test_weights_in_eight_bits_are_named(tmp_path):
    path = tmp_path / "sam.pth"
    torch.save({**{name: torch.zeros(shape) for name, shape in SAM.items()}, "x": torch.zeros(4, 4).char()}, path)
    with pytest.raises(ModelError, match="quantised weights"):
        read_tensors(path, "Segment Anything")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (
            "model.safetensors",
            "Access to model x/y is restricted. You must have access to it",
            "gated; accept its licence",
        ),
        ("config.json", "Access to model x/y is restricted.", "gated; accept its licence"),
        ("model.safetensors", "<!DOCTYPE html><html><title>Sign in</title>", "web page in place"),
        ("pytorch_model.bin", "Invalid username or password.", "gated; accept its licence"),
    ],
)
def test_what_lies_in_a_models_place_is_named(tmp_path, name, content, told):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_text(content)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ModelError, match=told) as caught:
            require(path, "The model", "somewhere")
        assert name in str(caught.value)


def test_a_file_of_llama_cpp_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    (tmp_path / "model-q4.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"quantised weights \(GGUF\).*name it as an endpoint"):
        load_local(tmp_path)


def test_a_quantised_folder_that_cannot_be_run_is_named(small_llava, tmp_path):  # noqa: F811
    shutil.copytree(small_llava, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="its weights are quantised by gptq, which cannot be run here") as caught:
        load_local(tmp_path)
    assert "fetch" not in str(caught.value)


def test_a_folder_without_weights_is_told_how_gated_ones_are_had(small_dino, tmp_path):  # noqa: F811
    shutil.copytree(small_dino, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no weights; .*gated.*log in first"):
        load_detector(tmp_path)


def test_loading_prints_nothing(small_dino, tmp_path, capfd, caplog):  # noqa: F811
    import safetensors.torch
    from transformers import GroundingDinoForObjectDetection

    shutil.copytree(small_dino, tmp_path, dirs_exist_ok=True)
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    weights["left.over"] = torch.zeros(3)
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights do not fit, first left\.over"):
        load_detector(tmp_path)
    load_folder(GroundingDinoForObjectDetection, tmp_path, "Grounding DINO", spare=True)
    load_detector(small_dino)
    output = capfd.readouterr()
    assert output.out + output.err == ""
    assert caplog.text == ""
