from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .test_grounding import folder as small_dino  # noqa: F401
from .test_segment import folder as small_sam  # noqa: F401
from .test_segment import sam  # noqa: F401


@pytest.fixture(scope="module")
def ran(comfyui_path, repository, small_dino, small_sam, sam, tmp_path_factory):  # noqa: F811
    """What the two nodes gave inside ComfyUI."""
    base = tmp_path_factory.mktemp("comfyui")
    for kind, folder in (("grounding-dino", small_dino), ("sams", small_sam)):
        shutil.copytree(folder, base / "models" / kind / folder.name)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "segmenters").mkdir()
    torch.save(sam.state_dict(), elsewhere / "segmenters" / "other-sam.pth")
    (base / "extra_model_paths.yaml").write_text(f"another program:\n  base_path: {elsewhere}\n  sams: segmenters\n")
    script = Path(__file__).with_name("nodes_in_comfyui.py")
    command = [sys.executable, str(script), str(comfyui_path), str(repository), str(base)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=base, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_input_has_a_tooltip_and_none_takes_a_key(ran):
    for info in ran["info"].values():
        for group in info["input"].values():
            for name, spec in group.items():
                assert spec[1].get("tooltip"), name
                assert "key" not in name
    order = ran["info"]["SEDIC_GroundedSAM"]["input_order"]
    assert order["required"] == ["image", "semantics", "mode", "detector", "segmenter", "boxes"]
    assert order["optional"][:3] == ["mask_1", "mask_2", "mask_3"]
    assert order["optional"][3:] == ["masks", "box_threshold", "text_threshold", "several", "bounding_boxes"]
    order = ran["info"]["SEDIC_LMMTextualize"]["input_order"]
    assert order["required"] == ["image", "mode", "text", "endpoint", "objects", "detail_words", "overall_words"]
    assert order["optional"] == ["name_words", "local_model", "attempt", "preset"]


def test_the_papers_thresholds_are_the_defaults(ran):
    optional = ran["info"]["SEDIC_GroundedSAM"]["input"]["optional"]
    assert [optional[key][1]["default"] for key in ("box_threshold", "text_threshold")] == [0.3, 0.25]


def test_models_of_all_model_folders_are_offered_beside_none(ran):
    required = ran["info"]["SEDIC_GroundedSAM"]["input"]["required"]
    assert [required[k][1]["options"] for k in ("detector", "segmenter")] == [
        ["none", "small-dino"],
        ["none", "other-sam.pth", "small-sam"],
    ]


def test_the_embedded_eyes_need_no_words_and_say_what_they_found_and_left_out(ran):
    assert ran["seen"].startswith("overall: a photograph, ")
    assert "Found: nothing" in ran["seen"]
    assert "Left out: " in ran["seen"]


def test_a_name_that_the_embedded_eyes_do_not_know_is_told_as_such(ran):
    assert "'pond' ends in no name that the embedded eyes know" in ran["unknown name"]
    assert "'barn' ends" not in ran["unknown name"]


def test_modes_are_only_ever_appended_as_saved_graphs_name_them(ran):
    options = [spec[1]["options"] if spec[0] == "COMBO" else spec[0] for spec in ran["modes"]]
    assert options == [
        ["typed", "endpoint", "local model", "embedded"],
        ["auto", "masks", "boxes", "models", "embedded", "detected"],
    ]


def test_typed_words_are_shown_within_the_limits(ran):
    assert ran["typed"].startswith("barn: red old\npond: wet\noverall: a quiet yard\n")
    assert "1 cut" in ran["typed"]


def test_a_preset_stands_in_for_the_widgets(ran):
    assert ran["preset"].startswith("barn: red old wood\noverall: a quiet yard\n")
    assert "left out pond" in ran["preset"]


def test_a_missing_profile_is_told_with_the_file_to_write(ran):
    assert "endpoints.toml" in ran["no profile"]


def test_a_painted_mask_fits_the_picture_and_a_box_feeds_the_next_object(ran):
    (left, beside), (_, right) = ran["given"]
    assert (left, beside) == (1, 0)
    assert right > 0
    assert ran["shapes"] == [[2, 90, 120], [1, 90, 120, 3], [[90, 120], [90, 120]]]


def test_what_is_missing_is_told(ran):
    assert "no mask, box or detector for object 1, 'barn'" in ran["nothing"]
    assert "needs a detector" in ran["no detector"]
    for part in ("groundingdino_swint_ogc.pth", "grounding-dino", "github.com/IDEA-Research"):
        assert part in ran["missing"]
    assert ran["there"] == [True, True]


def test_a_model_name_is_no_way_out_of_the_models_folder(ran):
    assert "grounding-dino" in ran["way out"]
    assert ".." not in ran["way out"]


def test_models_find_and_drop_under_inference_mode(ran):
    shown, noted = ran["dropped"]
    assert "Hallucination: 'barn'" in shown
    assert noted == shown
    assert ran["empty batch"] == [1, 90, 120]
    for segmenter in ("small-sam", "other-sam.pth"):
        assert ran[f"by {segmenter}"]
        assert all(ran[f"by {segmenter}"])


def test_comfyuis_model_management_loads_keeps_and_frees_the_models(ran):
    managed = ran["management"]
    models = ["GroundingDinoForObjectDetection", "Sam"]
    assert managed["after the run"] == models  # the segmenter chosen first is gone
    assert managed["again the same"] == [True, True]
    assert managed["still once"] == models
    assert managed["unloaded"] == []
    assert managed["freed"] == [True, True]
    assert managed["read anew"]
    assert managed["once more"] == models[:1]


def test_masks_as_other_nodes_make_them_are_read_or_told(ran):
    odd = ran["odd"]
    assert odd["shares"] == pytest.approx([2000 / 10800, 8800 / 10800])
    for said in ("transparent in places", "mask_2 holds 2 masks", "'pond' covers 81%", "it looks inverted"):
        assert said in odd["notes"]
    assert "masks of earlier objects cover that of 'pond'" in odd["covered"]
    assert "mask_1 holds values that are no numbers" in odd["broken"]


def test_fusion_takes_shades_as_they_are_and_every_mask_of_a_batch(ran):
    fused = ran["fused"]
    assert fused["same"] == [True, True, True]
    assert fused["white"] == 1
    assert fused["told"] == []
    assert "is empty" in fused["empty"]


def test_a_batch_of_masks_serves_the_objects_without_one_of_their_own(ran):
    assert ran["batch"] == pytest.approx([0.5, 900 / (90 * 120)])
    assert "4 masks for 2 objects" in ran["too many"]


def test_comfyuis_own_bounding_boxes_are_taken_as_they_are(ran):
    same, notes, broken = ran["boxes"]
    assert same
    assert "bounding boxes of 2 pictures; the first's are taken" in notes
    assert "x, y, width and height in pixels" in broken


def test_an_object_that_another_node_has_not_found_is_dropped_with_a_note(ran):
    names, notes = ran["detected"]
    assert names == ["pond"]
    assert "Hallucination: 'barn'" in notes
