from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from sedic.understanding.checkpoints import ModelError, models_in
from sedic.understanding.masks.segment import TYPES, load_segmenter

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
BOXES = [(10, 20, 60, 70), (50, 5, 110, 80)]


def sizes(side=64):
    """A small SAM 2."""
    transformers = pytest.importorskip("transformers", minversion="4.56", reason="this transformers has no SAM 2")
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[side, side],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[4, 2, 4, 2],
        window_positional_embedding_background_size=[4, 4],
        global_attention_blocks=[3],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[side // s, side // s] for s in (4, 8, 16)],
        fpn_hidden_size=32,
    )
    return {
        "vision_config": vision,
        "prompt_encoder_config": transformers.Sam2PromptEncoderConfig(
            hidden_size=32, image_size=side, mask_input_channels=4
        ),
        "mask_decoder_config": transformers.Sam2MaskDecoderConfig(
            hidden_size=32, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16
        ),
    }


@pytest.fixture(scope="module", params=["Sam2Model", "Sam2VideoModel"])
def folder(request, tmp_path_factory):
    """A transformers folder with a small random model of the true class, as for pictures or as published."""
    import transformers

    parts = sizes()
    kind = getattr(transformers, request.param)
    config = kind.config_class(**parts)
    if request.param == "Sam2VideoModel":
        config = kind.config_class(
            **parts,
            memory_attention_hidden_size=32,
            memory_attention_num_layers=1,
            memory_attention_feed_forward_hidden_size=32,
            memory_attention_rope_feat_sizes=[4, 4],
            memory_encoder_hidden_size=32,
            memory_encoder_output_channels=16,
            mask_downsampler_embed_dim=32,
            memory_fuser_embed_dim=32,
            memory_fuser_intermediate_dim=32,
            memory_fuser_num_layers=1,
        )
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    folder = tmp_path_factory.mktemp("sams") / "small-sam2"
    model.save_pretrained(folder)
    return folder


def test_a_folder_gives_the_masks_of_transformers_own_processor(folder):
    from transformers import Sam2ImageProcessorFast, Sam2Processor

    segmenter = load_segmenter(folder)
    side = {"height": 64, "width": 64}
    processor = Sam2Processor(Sam2ImageProcessorFast(size=side, mask_size={"height": 16, "width": 16}), target_size=64)
    inputs = processor(images=IMAGE, input_boxes=[[list(box) for box in BOXES]], return_tensors="pt")
    with torch.no_grad():
        answer = segmenter.model(**inputs, multimask_output=False)
    expected = processor.post_process_masks(answer.pred_masks, inputs["original_sizes"])[0][:, 0].numpy()
    assert 0.02 < expected.mean() < 0.98
    for box, mask in zip(BOXES, expected, strict=True):
        assert (segmenter.mask(IMAGE, [box]) == mask).mean() > 0.98
    assert (segmenter.mask(IMAGE, BOXES) == expected.any(axis=0)).mean() > 0.98


def test_a_folder_is_listed_and_loads_without_a_network(folder, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.socket.connect", no_network)
    assert models_in(folder.parent, TYPES) == ["small-sam2"]
    mask = load_segmenter(folder).mask(IMAGE, BOXES[:1])
    assert (mask.shape, mask.dtype) == ((90, 120), bool)


def test_weights_that_do_not_land_are_an_error(folder, tmp_path):
    import safetensors.torch

    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    del weights["mask_decoder.iou_token.weight"]
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"not a whole SAM 2: 1 weights .*iou_token"):
        load_segmenter(tmp_path)


def test_an_older_transformers_is_told(tmp_path, monkeypatch):
    import types

    (tmp_path / "config.json").write_text('{"model_type": "sam2_video"}')
    monkeypatch.setitem(sys.modules, "transformers", types.SimpleNamespace(__version__="4.50.3"))
    with pytest.raises(ModelError, match=r"SAM 2, which transformers 4\.50\.3 does not know; update"):
        load_segmenter(tmp_path)
