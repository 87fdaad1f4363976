"""What stands before a stage when the stage before it is bypassed, and which objects a graph's stages pick."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from headless.client import Client, ClientError
from headless.graph import find_node, read_workflow, set_input

from .scene import sample


def test_without_a_stage_before_the_picture_stands_for_it(restore, steering, stage) -> None:
    mask = stage.mask[None]
    alone = steering.LatentMaskFuse.execute(mask).result[0]
    wired = steering.LatentMaskFuse.execute(mask, stage.image).result[0]
    _, _, image = sample(restore, stage, fusion=alone)
    _, _, expected = sample(restore, stage, fusion=wired)
    assert torch.equal(image, expected)
    _, _, plain = sample(restore, stage)
    assert not torch.equal(image, plain)


def test_a_stage_without_object_and_without_a_stage_before_passes_the_picture_on(restore, steering, stage) -> None:
    fusion = steering.LatentMaskFuse.execute(torch.zeros(1, 8, 8)).result[0]
    _, _, image = sample(restore, stage, fusion=fusion)
    assert torch.equal(image, stage.image)


def test_custom_sampling_asks_for_what_stands_before(restore, steering, stage, library) -> None:
    fusion = steering.LatentMaskFuse.execute(stage.mask[None]).result[0]
    with pytest.raises(library.errors.SedicError, match="wire a LATENT"):
        restore.ORAGSamplerSelect.execute(stage.model, "euler", fusion=fusion)


@pytest.fixture
def semantics(pack):
    """Three objects, the last one the largest."""
    module = importlib.import_module(f"{pack.__name__}.sedic.semantics")
    masks = np.zeros((3, 16, 16), bool)
    masks[0, :4, :4] = masks[1, 4:10, 4:10] = masks[2, :3, :] = True
    names = ("cup", "saucer", "table")
    return module.Semantics("", tuple(module.SceneObject(n, "", m) for n, m in zip(names, masks, strict=True)))


def picks(*choices: tuple[int, str]) -> dict:
    """A queued graph of Semantic Objects on one wire."""
    inputs = [{"semantics": ["1", 1], "index": index, "order": order} for index, order in choices]
    return {str(n): {"class_type": "SEDIC_SemanticObject", "inputs": i} for n, i in enumerate(inputs, 10)}


@pytest.mark.parametrize(
    ("choices", "refused"),
    [
        (((1, "largest first"), (2, "file"), (3, "file")), True),
        (((1, "file"), (2, "file"), (3, "file")), False),
        (((1, "largest first"), (2, "largest first"), (3, "largest first")), False),
        (((2, "file"), (2, "file")), False),  # on purpose
        (((3, "file"), (2, "largest first")), False),  # two different ones
    ],
)
def test_two_orders_that_pick_one_object_are_refused(pack, library, semantics, choices, refused) -> None:
    order = importlib.import_module(f"{pack.__name__}.nodes.order")
    index, along = choices[0]
    call = semantics, index, along, picks(*choices), "10"
    if not refused:
        order.check_alike(*call)
        return
    with pytest.raises(library.errors.SedicError, match="'table', which would be restored twice"):
        order.check_alike(*call)


def test_an_order_on_one_stage_alone_ends_in_one_sentence(client: Client, repository: Path) -> None:
    graph = read_workflow(repository / "headless" / "sedic_decode.json")
    set_input(graph, "Semantic Object 1.order=smallest first")
    cut = {"Semantic Object 1", "Load Bitstream", "Unpack Bitstream", "Semantic Object 3"}
    keep = {find_node(graph, title) for title in cut}
    first = find_node(graph, "Semantic Object 1")
    small = {number: node for number, node in graph.items() if number in keep}
    small["90"] = {"class_type": "MaskToImage", "inputs": {"mask": [first, 0]}}
    small["91"] = {"class_type": "PreviewImage", "inputs": {"images": ["90", 0]}}
    with pytest.raises(
        ClientError, match=r"Semantic Object 1 failed: .*give all Semantic Objects the same order"
    ) as said:
        client.run(small)
    assert "\n" not in str(said.value)
