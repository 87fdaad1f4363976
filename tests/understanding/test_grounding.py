from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

from sedic.understanding.checkpoints import ModelError, models_in
from sedic.understanding.masks.grounding import Detector, PartialMatch, load_detector
from sedic.understanding.masks.phrases import heads_of

from . import dino_recipe

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def write_vocabulary(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text(dino_recipe.vocabulary(), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A transformers folder with a small random detector of the true class."""
    folder = tmp_path_factory.mktemp("models") / "small-dino"
    backbone = SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=7, out_indices=[2, 3, 4]
    )
    text = BertConfig(
        vocab_size=1033,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    sizes = {"encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 64}
    torch.manual_seed(0)
    model = GroundingDinoForObjectDetection(
        GroundingDinoConfig(backbone_config=backbone, text_config=text, num_queries=12, **sizes)
    )
    model.save_pretrained(folder)
    write_vocabulary(folder)
    (folder / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 64, "longest_edge": 128}}')
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """An original checkpoint file with BERT's vocabulary beside it, and the original package's answer."""
    folder = tmp_path_factory.mktemp("grounding-dino")
    known = json.loads(dino_recipe.FILE.read_text(encoding="utf-8"))
    tensors = dino_recipe.weights(known["shapes"])
    tensors["bert.embeddings.position_ids"] = torch.arange(16)[None]
    tensors["label_enc.weight"] = torch.zeros(4, 8)
    tensors["backbone.0.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49, dtype=torch.long)
    path = folder / "any name.pth"
    torch.save({"model": {f"module.{k}": v for k, v in tensors.items()}}, path)
    write_vocabulary(folder / "bert-base-uncased")
    return path, known


def test_an_original_checkpoint_answers_as_in_its_own_package(original):
    path, known = original
    model = load_detector(path).model
    with torch.no_grad():
        answer = model(pixel_values=dino_recipe.picture(), input_ids=torch.tensor(dino_recipe.TOKENS))
    tokens = len(dino_recipe.TOKENS[0])
    torch.testing.assert_close(answer.logits[0, :, :tokens], torch.tensor(known["logits"]), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(answer.pred_boxes[0], torch.tensor(known["boxes"]), atol=1e-4, rtol=1e-3)


def test_an_original_checkpoint_finds_boxes_inside_the_picture(original):
    detector = load_detector(original[0])
    detector.size = (64, 128)
    boxes = detector.boxes(IMAGE, "Red Barn.", box_threshold=0, text_threshold=0)
    assert boxes
    assert [b.score for b in boxes] == sorted((b.score for b in boxes), reverse=True)
    assert all(0 <= b.x0 <= b.x1 <= 64 and 0 <= b.y0 <= b.y1 <= 48 for b in boxes)


def test_file_and_folder_of_the_same_weights_find_the_same_boxes(original, tmp_path):
    from_file = load_detector(original[0])
    from_file.model.save_pretrained(tmp_path)
    write_vocabulary(tmp_path)
    from_folder = load_detector(tmp_path)
    boxes = [d.boxes(IMAGE, "red barn", box_threshold=0, text_threshold=0) for d in (from_file, from_folder)]
    assert boxes[0]
    assert boxes[0] == boxes[1]


def test_a_transformers_folder_loads_from_local_files_and_finds_boxes(folder, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.socket.connect", no_network)
    detector = load_detector(folder)
    assert detector.size == (64, 128)
    assert detector.model.config.disable_custom_kernels
    assert detector.boxes(IMAGE, "red barn", box_threshold=0, text_threshold=0)
    assert detector.boxes(IMAGE, "red barn", box_threshold=1) == []


class Answer:
    """Stands for the network: fixed logits and boxes."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, probabilities, boxes):
        self.logits = torch.logit(torch.tensor([probabilities]), eps=1e-4)
        self.pred_boxes = torch.tensor([boxes])

    def __call__(self, **_inputs):
        return self


def detector_with(folder, probabilities, boxes):
    return Detector(Answer(probabilities, boxes), load_detector(folder).tokenizer, (64, 128))


def test_boxes_are_in_pixels_and_only_those_above_both_thresholds(folder):
    # Tokens of "red barn.": [CLS] red barn . [SEP]
    probabilities = [
        [0.0, 0.1, 0.6, 0.0, 0.0],  # found
        [0.0, 0.1, 0.2, 0.0, 0.0],  # too unsure
        [0.0, 0.1, 0.1, 0.9, 0.0],  # the full stop, no word of the name
    ]
    boxes = [[0.5, 0.5, 0.5, 0.25], [0.5, 0.5, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1]]
    with pytest.warns(PartialMatch, match="not surely 'red'"):
        found = detector_with(folder, probabilities, boxes).boxes(IMAGE, "red barn")
    assert [b.corners for b in found] == [pytest.approx((16, 18, 48, 30))]
    assert found[0].score == pytest.approx(0.6, abs=1e-3)


def test_the_same_place_is_found_once(folder):
    boxes = [[0.5, 0.5, 0.4, 0.4], [0.5, 0.5, 0.41, 0.4], [0.2, 0.2, 0.1, 0.1]]
    found = detector_with(folder, [[0.0, 0.5, 0.5, 0, 0], [0.0, 0.9, 0.5, 0, 0], [0.0, 0.3, 0.4, 0, 0]], boxes)
    assert [round(b.score, 2) for b in found.boxes(IMAGE, "red barn")] == [0.9, 0.4]


def test_a_red_car_is_no_red_barn_and_that_is_told(folder):
    # Tokens of "red barn.": [CLS] red barn . [SEP]
    detector = detector_with(folder, [[0.0, 0.9, 0.1, 0.0, 0.0]], [[0.5, 0.5, 0.5, 0.25]])
    with pytest.warns(PartialMatch, match="'red barn' .*one place shows no more of it than 'red', and left out"):
        assert detector.boxes(IMAGE, "red barn") == []


def test_a_barn_that_may_not_be_red_is_found_and_that_is_told(folder):
    detector = detector_with(folder, [[0.0, 0.1, 0.9, 0.0, 0.0]], [[0.5, 0.5, 0.5, 0.25]])
    with pytest.warns(PartialMatch, match="'red barn' is matched only in part: .*not surely 'red'"):
        assert len(detector.boxes(IMAGE, "red barn")) == 1


def test_a_barn_that_is_red_is_found_without_a_word(folder, recwarn):
    detector = detector_with(folder, [[0.0, 0.5, 0.9, 0.0, 0.0]], [[0.5, 0.5, 0.5, 0.25]])
    assert len(detector.boxes(IMAGE, "red barn")) == 1
    assert not [w for w in recwarn if issubclass(w.category, PartialMatch)]


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("red barn", "barn"),
        ("cup of coffee", "cup"),
        ("girl in white dress", "girl"),
        ("old man riding bicycle", "man"),
        ("young smiling woman", "woman"),
        ("red brick building", "building"),
        ("wooden dining table", "table"),
        ("group of people", "group people"),
        ("pair of brown leather shoes", "pair shoes"),
        ("dog and cat", "dog cat"),
        ("black and white cat", "cat"),
        ("man dressed in black", "man"),
        ("boat 2", "boat"),
        ("car (left)", "car"),
        ("barn, red", "barn"),
        ("t-shirt", "t-shirt"),
        ("red", "red"),
        ("…", ""),
    ],
)
def test_the_noun_that_a_name_is_about_is_found(name, heads):
    assert " ".join(name[start:end] for start, end in heads_of(name)) == heads


def test_a_missing_checkpoint_names_file_folder_and_source(tmp_path):
    with pytest.raises(ModelError) as caught:
        load_detector(tmp_path / "groundingdino_swint_ogc.pth")
    for part in ("groundingdino_swint_ogc.pth", str(tmp_path), "github.com/IDEA-Research/GroundingDINO"):
        assert part in str(caught.value)


def test_a_missing_vocabulary_names_its_folder_and_source(original, tmp_path):
    path = tmp_path / "models" / "dino.pth"
    path.parent.mkdir()
    path.write_bytes(original[0].read_bytes())
    with pytest.raises(ModelError, match=r"bert-base-uncased folder .*models.*huggingface\.co/google-bert"):
        load_detector(path)


def test_a_folder_without_tokenizer_is_told(folder, tmp_path):
    for file in folder.iterdir():
        if file.name != "vocab.txt":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match="no BERT tokenizer"):
        load_detector(tmp_path)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint_is_told(original, tmp_path, content):
    path = tmp_path / "dino.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged or of another kind"):
        load_detector(path, original[0].parent / "bert-base-uncased")


def test_a_checkpoint_that_would_run_code_is_refused(original, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "dino.pth"
    torch.save({"model": Evil()}, path)
    with pytest.raises(ModelError):
        load_detector(path, original[0].parent / "bert-base-uncased")
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_land_are_an_error(original, folder, tmp_path):
    tensors = torch.load(original[0], weights_only=True)["model"]
    del tensors["module.feat_map.bias"]
    path = tmp_path / "dino.pth"
    torch.save({"model": tensors}, path)
    with pytest.raises(ModelError, match=r"not a whole Grounding DINO: 1 weights .*text_projection\.bias"):
        load_detector(path, original[0].parent / "bert-base-uncased")

    import safetensors.torch

    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    del weights["model.text_projection.bias"]
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"not a whole Grounding DINO: 1 weights"):
        load_detector(tmp_path)


def test_another_model_is_told_apart_by_its_contents(folder, original, tmp_path):
    other = tmp_path / "groundingdino_swint_ogc.pth"
    torch.save({"conv.weight": torch.zeros(3)}, other)
    with pytest.raises(ModelError, match="no checkpoint of Grounding DINO"):
        load_detector(other, original[0].parent / "bert-base-uncased")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="holds no Grounding DINO"):
        load_detector(tmp_path)


def test_models_are_listed_by_what_they_are(folder, original):
    assert models_in(original[0].parent, ("grounding-dino",)) == [original[0].name]
    assert models_in(folder.parent, ("grounding-dino",)) == ["small-dino"]
    assert models_in(folder.parent, ("sam",)) == []
    assert models_in(folder / "nowhere", ("sam",)) == []
