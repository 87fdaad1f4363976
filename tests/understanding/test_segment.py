from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import segment_anything
import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from sedic.understanding.checkpoints import ModelError
from sedic.understanding.masks import sam_original
from sedic.understanding.masks.segment import MaskError, fill_holes, grabcut, inside, load_segmenter

from .sam_names import in_transformers

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def disc(height=240, width=320, centre=(130, 150), radius=60):
    """A textured red disc on textured green, and where it is."""
    rows, columns = np.mgrid[:height, :width]
    mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    noise = np.random.default_rng(1).normal(0, 12, (height, width, 3))
    image = np.where(mask[..., None], (190, 60, 50), (60, 130, 80)) + noise
    return image.clip(0, 255).astype(np.uint8), mask


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_grabcut_finds_the_disc_in_a_loose_box():
    image, mask = disc()
    assert iou(grabcut(image, (70, 50, 230, 210)), mask) > 0.9


def test_grabcut_finds_the_disc_in_a_large_picture_at_its_full_size():
    image, mask = disc(1200, 1600, (650, 750), 300)
    found = grabcut(image, (350, 250, 1150, 1050))
    assert found.shape == mask.shape
    assert iou(found, mask) > 0.9


def test_grabcut_gives_the_same_mask_at_every_call():
    image, _ = disc()
    masks = [grabcut(image, (70, 50, 230, 210)) for _ in range(3)]
    assert all((m == masks[0]).all() for m in masks)


def test_grabcut_stays_inside_its_box_and_never_comes_back_empty():
    plain = np.full((60, 80, 3), 128, np.uint8)
    found = grabcut(plain, (20, 10, 50, 40))
    assert found[10:40, 20:50].any()
    assert not found[:10].any()
    assert not found[:, 50:].any()


def test_grabcut_takes_a_box_around_the_whole_picture():
    image, mask = disc()
    assert iou(grabcut(image, (0, 0, 320, 240)), mask) > 0.8


@pytest.mark.parametrize("box", [(400, 10, 500, 50), (50, 50, 50, 90), (90, 10, 20, 50), (float("nan"), 0, 9, 9)])
def test_a_box_that_holds_nothing_is_told(box):
    with pytest.raises(MaskError, match=r"x0 y0 x1 y1"):
        grabcut(disc()[0], box)


def test_a_box_that_leaves_the_picture_is_cut_to_it():
    assert inside((-5, 10, 500, 20), 320, 240) == (0, 10, 320, 20)


def test_small_holes_are_filled_and_large_ones_and_bays_kept():
    mask = np.ones((100, 100), bool)
    mask[10:12, 10:12] = False  # 4 pixels
    mask[50:70, 50:70] = False
    mask[0:2, 30:32] = False  # opens to the border
    filled = fill_holes(mask)
    assert filled[10:12, 10:12].all()
    assert not filled[50:70, 50:70].any()
    assert not filled[0:2, 30:32].any()


BOXES = ((10, 20, 60, 70), (0, 0, 120, 90), (50.5, 5, 110, 80))


@pytest.fixture(scope="module")
def sam():
    """A small network of the package's own classes with random weights."""
    torch.manual_seed(0)  # before the first weight is drawn
    encoder = ImageEncoderViT(
        depth=3,
        embed_dim=32,
        img_size=128,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=2,
        use_rel_pos=True,
        global_attn_indexes=(1,),
        window_size=3,
        out_chans=32,
    )
    prompt = PromptEncoder(embed_dim=32, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=4)
    between = TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=48, num_heads=8)
    decoder = MaskDecoder(transformer_dim=32, transformer=between, iou_head_hidden_dim=24)
    sam = Sam(encoder, prompt, decoder).eval()
    with torch.no_grad():
        for parameter in sam.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return sam


@pytest.fixture
def checkpoint(sam, tmp_path):
    """Saves the network's weights, changed or not, as a checkpoint file of any name."""

    def save(change=lambda tensors: None):
        tensors = dict(sam.state_dict())
        change(tensors)
        path = tmp_path / "any name.pth"
        torch.save(tensors, path)
        return path

    return save


def test_an_original_checkpoint_gives_the_masks_of_its_own_package(sam, checkpoint):
    segmenter = load_segmenter(checkpoint())
    predictor = segment_anything.SamPredictor(sam)
    predictor.set_image(IMAGE)
    masks = [predictor.predict(box=np.array(box), multimask_output=False)[0][0] for box in BOXES]
    for box, expected in zip(BOXES, masks, strict=True):
        assert 0.02 < expected.mean() < 0.98
        assert (segmenter.mask(IMAGE, [box]) == expected).mean() > 0.999
    assert (segmenter.mask(IMAGE, BOXES) == np.logical_or.reduce(masks)).mean() > 0.999


def test_file_and_folder_of_the_same_weights_give_the_same_masks(sam, checkpoint, tmp_path):
    vision = SamVisionConfig(
        hidden_size=32,
        output_channels=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=128,
        window_size=3,
        global_attn_indexes=[1],
        mlp_dim=128,
        num_pos_feats=16,
    )
    prompt = SamPromptEncoderConfig(hidden_size=32, image_size=128, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(hidden_size=32, mlp_dim=48, iou_head_hidden_dim=24)
    twin = SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))
    twin.load_state_dict(in_transformers(sam.state_dict()))
    twin.save_pretrained(tmp_path / "folder")
    file, folder = load_segmenter(checkpoint()), load_segmenter(tmp_path / "folder")
    for box in BOXES:
        assert (file.mask(IMAGE, [box]) == folder.mask(IMAGE, [box])).mean() > 0.999


def test_the_whole_picture_is_attended_to_head_by_head(checkpoint, monkeypatch):
    seen = []
    add = sam_original.add_decomposed_rel_pos
    monkeypatch.setattr(
        sam_original,
        "add_decomposed_rel_pos",
        lambda attention, *rest: seen.append(attention.shape) or add(attention, *rest),
    )
    load_segmenter(checkpoint()).mask(IMAGE, BOXES)
    assert seen == [(1, 64, 64)] * 2


def test_weights_that_were_stored_in_half_precision_run_in_single(checkpoint):
    path = checkpoint(lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()}))
    segmenter = load_segmenter(path)
    assert {p.dtype for p in segmenter.model.parameters()} == {torch.float32}
    assert segmenter.mask(IMAGE, BOXES).any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("mask_decoder.iou_token.weight"), r"1 weights do not fit, first mask_decoder\.iou_token"),
        (lambda t: t.update({"mask_decoder.hf_token.weight": torch.zeros(1, 32)}), "SAM-HQ"),
        (lambda t: t.update({"image_encoder.neck.1.bias": torch.zeros(7)}), r"first image_encoder\.neck\.1\.bias"),
        (lambda t: t.pop("image_encoder.pos_embed"), r"no checkpoint of Segment Anything \('image_encoder\.pos_embed'"),
        (lambda t: t.update({"image_encoder.pos_embed": torch.zeros(3)}), "no checkpoint of Segment Anything"),
        (lambda t: t.update({"prompt_encoder.no_mask_embed.weight": torch.zeros(1, 33)}), "other shapes"),
        (lambda t: t.update(surprise=print), "damaged or of another kind"),
    ],
)
def test_weights_that_do_not_land_are_an_error(checkpoint, change, said):
    with pytest.raises(ModelError, match=said):
        load_segmenter(checkpoint(change))


def test_a_missing_package_is_named_with_its_installation(checkpoint, monkeypatch):
    path = checkpoint()
    monkeypatch.delitem(sys.modules, sam_original.__name__)
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(ModelError, match=r"segment_anything.*pip install segment-anything torchvision, or take"):
        load_segmenter(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A transformers folder with a small random model of the true class."""
    folder = tmp_path_factory.mktemp("sams") / "small-sam"
    vision = SamVisionConfig(
        hidden_size=32,
        output_channels=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        window_size=2,
        global_attn_indexes=[1],
        mlp_dim=64,
        num_pos_feats=8,
    )
    prompt = SamPromptEncoderConfig(hidden_size=16, image_size=64, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(hidden_size=16, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16)
    torch.manual_seed(0)
    SamModel(
        SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    ).save_pretrained(folder)
    return folder


def test_a_transformers_folder_loads_from_local_files_and_gives_masks(folder, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.socket.connect", no_network)
    segmenter = load_segmenter(folder)
    boxes = [(10, 20, 60, 70), (50, 5, 110, 80)]
    masks = [segmenter.mask(IMAGE, [box]) for box in boxes]
    assert masks[0].shape == (90, 120)
    assert masks[0].dtype == bool
    assert (segmenter.mask(IMAGE, boxes) == masks[0] | masks[1]).all()


def test_a_missing_checkpoint_names_file_folder_and_source(tmp_path):
    with pytest.raises(ModelError) as caught:
        load_segmenter(tmp_path / "sam_vit_b_01ec64.pth")
    for part in ("sam_vit_b_01ec64.pth", str(tmp_path), "github.com/facebookresearch/segment-anything"):
        assert part in str(caught.value)


def test_another_model_is_told_apart_by_its_contents(tmp_path):
    path = tmp_path / "sam_vit_b_01ec64.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="no checkpoint of Segment Anything"):
        load_segmenter(path)
    path.write_bytes(b"junk")
    with pytest.raises(ModelError, match="damaged"):
        load_segmenter(path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="holds no Segment Anything"):
        load_segmenter(tmp_path)


@pytest.mark.parametrize("kind", ["vit_b", "vit_l", "vit_h"])
def test_every_weight_of_the_published_kinds_finds_its_place(kind):
    with torch.device("meta"):  # shapes alone
        published = segment_anything.sam_model_registry[kind]()
        own = sam_original.build(published.state_dict())
    assert {k: v.shape for k, v in own.state_dict().items()} == {k: v.shape for k, v in published.state_dict().items()}
    blocks = zip(own.image_encoder.blocks, published.image_encoder.blocks, strict=True)
    for ours, theirs in blocks:
        assert (ours.window_size, ours.attn.num_heads) == (theirs.window_size, theirs.attn.num_heads)
        assert ours.norm1.eps == theirs.norm1.eps
