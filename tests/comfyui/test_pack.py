"""Pack Bitstream keeps a budget, with the picture and without it."""

from __future__ import annotations

import importlib
import types

import numpy as np
import pytest
import torch

from sedic.codec import encode_reference
from sedic.semantics import SceneObject, Semantics

ROWS, COLUMNS = np.mgrid[:96, :128]
PICTURE = np.stack([COLUMNS, 2 * ROWS, 128 + 0 * ROWS], 2).astype(np.uint8)
PIXELS = ROWS.size


@pytest.fixture(scope="module")
def node(pack: types.ModuleType):
    return importlib.import_module(f"{pack.__name__}.nodes.bitstream").PackBitstream


def scene(objects: int = 3) -> Semantics:
    masks = [(j == COLUMNS // 32) & (ROWS > 16) for j in range(objects)]
    words = "An old lighthouse of white stone above a grey and stormy sea."
    return Semantics(words, tuple(SceneObject(f"tower {j}", words, mask) for j, mask in enumerate(masks)))


def test_new_inputs_are_optional_and_come_last(node):
    info = node.GET_NODE_INFO_V1()["input_order"]
    assert info["required"] == ["reference", "semantics", "seed"]
    assert info["optional"] == ["target_bpp", "preset", "image", "mask_cell", "smooth_masks"]


def test_without_a_budget_everything_is_packed(node):
    file, report = node.execute(encode_reference(PICTURE, "av1:120"), scene(), 0).args
    assert len(file.semantics.objects) == 3
    assert "object3" in report


@pytest.mark.parametrize("with_picture", [False, True])
def test_a_budget_is_kept_and_what_is_left_out_is_shown(node, with_picture):
    reference = encode_reference(PICTURE, "av1:120")
    image = torch.from_numpy(PICTURE)[None] / 255 if with_picture else None
    budget = 8 * (len(reference.data) + 60) / PIXELS
    file, report = node.execute(reference, scene(), 7, target_bpp=budget, image=image).args
    assert file.bits_per_pixel <= budget
    assert file.hints.seed == 7
    assert (file.reference == reference.data) == (not with_picture)
    assert ("leave out" in report) == (not with_picture)


def test_a_preset_limits_words_and_objects(node):
    file, report = node.execute(encode_reference(PICTURE, "av1:120"), scene(), 0, preset="low").args
    assert len(file.semantics.objects) == 1
    assert "left out tower 1" in report


def test_cells_and_smoothing_of_masks_are_the_users_choice(node):
    reference = encode_reference(PICTURE, "av1:120")
    noise = np.random.default_rng(2).random((12, 16)).repeat(8, 0).repeat(8, 1)
    distance = np.hypot(ROWS - 48, COLUMNS - 64)
    ragged = (distance < 32) ^ ((noise < 0.15) & (distance < 44))
    semantics = Semantics("", (SceneObject("spot", "", ragged),))

    def mask_bytes(**chosen) -> int:
        file, _ = node.execute(reference, semantics, 0, **chosen).args
        return file.sections[-1].mask_bytes

    assert mask_bytes(mask_cell=16) < mask_bytes(mask_cell=8) < mask_bytes(mask_cell=4)
    assert mask_bytes(mask_cell=8) < mask_bytes(mask_cell=8, smooth_masks=False)
