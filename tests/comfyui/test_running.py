"""A restoration in progress: previews, one bar over all stages, what runs again, and stopping it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headless.client import Client, ClientError, Progress
from headless.graph import read_workflow, set_input, title
from sedic.demo import PHOTOGRAPH

from .scene import sample

STEPS = 2


@pytest.fixture
def graph(client: Client, repository: Path) -> dict:
    """The shipped graph with two steps a stage."""
    graph = read_workflow(repository / "headless" / "sedic_full.json")
    for node in graph.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = STEPS
    return graph


def test_changing_the_third_object_runs_again_from_its_stage_on_and_the_bar_goes_on_there(
    client: Client, graph: dict
) -> None:
    client.run(graph)
    set_input(graph, "Semantic Object 3.index=2")
    reports: list[Progress] = []
    ran = {title(graph, node) for node in client.run(graph, reports.append).seconds}
    # Its words and guidance are now those of object 2, which ComfyUI has at hand.
    behind = {"Fuse object 3", "Restore object 3", "Restore the whole", "Final picture"}
    assert behind <= ran
    assert not [name for name in ran if name.endswith((" 1", " 2")) or "Encode" in name or "Bitstream" in name]
    bar = [(r.title, r.step, r.steps) for r in reports if r.steps and r.title.startswith("Restore")]
    stages = 4
    assert bar == [
        ("Restore object 3", 2 * STEPS + 1, stages * STEPS),
        ("Restore object 3", 3 * STEPS, stages * STEPS),
        ("Restore the whole", 3 * STEPS + 1, stages * STEPS),
        ("Restore the whole", 4 * STEPS, stages * STEPS),
    ]


def test_interrupt_stops_within_one_step_and_the_next_run_is_as_ever(client: Client, graph: dict) -> None:
    long = json.loads(json.dumps(graph))
    set_input(long, "Restore object 1.steps=500")
    steps: list[int] = []

    def stop(report: Progress) -> None:
        if report.title == "Restore object 1" and report.steps:
            steps.append(report.step)
            if len(steps) == 2:
                client._request("/interrupt", b"{}", {"Content-Type": "application/json"})

    with pytest.raises(ClientError, match="interrupted"):
        client.run(long, stop)
    assert len(steps) <= 4  # one step that ran meanwhile, and one whose report was on its way
    set_input(graph, "Restore object 1.seed=1")
    assert client.run(graph).outputs


def test_steps_of_all_stages_are_counted_along_the_wires(pack) -> None:
    around = importlib.import_module(f"{pack.__name__}.nodes.progress").steps_around
    nodes = {
        "a": {"class_type": "SEDIC_ORAGSampler", "inputs": {"steps": 10, "seed": 1}},
        "b": {"class_type": "SEDIC_ORAGSampler", "inputs": {"steps": ["x", 0], "image": ["a", 2]}},
        "x": {"class_type": "PrimitiveInt", "inputs": {"value": 10}},
        "c": {"class_type": "SEDIC_GlobalRestore", "inputs": {"steps": 20, "image": ["b", 2]}},
        "beside": {"class_type": "SEDIC_ORAGSampler", "inputs": {"steps": 7}},
    }
    assert around(nodes, "a", 10) == (0, 40)
    assert around(nodes, "b", 10) == (10, 40)
    assert around(nodes, "c", 20) == (30, 50)
    assert around(nodes, "beside", 7) == (0, 7)


def test_every_step_shows_a_preview_that_looks_like_the_picture(comfy, restore, stage, monkeypatch) -> None:
    import comfy.utils
    import latent_preview
    from comfy.cli_args import LatentPreviewMethod

    shown = []
    monkeypatch.setattr(latent_preview.args, "preview_method", LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, node_id=None: shown.append((value, preview))
    )
    with Image.open(PHOTOGRAPH) as photograph:
        cut = torch.from_numpy(np.array(photograph.convert("RGB")))[None, 100:228, 300:364].float() / 255
    _, _, image = sample(restore, stage, image=cut, control_net=stage.control_net, steps=3)
    assert [value for value, _ in shown] == [1, 2, 3]
    last = torch.from_numpy(np.array(shown[-1][1][1])).float().movedim(-1, 0)
    small = torch.nn.functional.interpolate(image.movedim(-1, 1), size=last.shape[1:], mode="area")[0]
    assert np.corrcoef(last.flatten().numpy(), small.flatten().numpy())[0, 1] > 0.7


def test_a_stage_encodes_a_picture_once_and_decodes_once(restore, stage, library, monkeypatch) -> None:
    calls = []
    for name in ("encode", "decode"):
        original = getattr(stage.vae, name)
        monkeypatch.setattr(
            stage.vae, name, lambda pixels, original=original, name=name: (calls.append(name), original(pixels))[1]
        )
    fusion = library.fusion.Fusion(stage.mask, stage.image)  # the reference stands before the first object
    sample(restore, stage, control_net=stage.control_net, fusion=fusion)
    assert calls == ["encode", "decode"]
