"""A restoration in progress: previews, a bar and words for each stage, what runs again, and stopping it."""

from __future__ import annotations

import importlib
import json
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headless.client import Client, ClientError, Progress
from headless.graph import read_workflow, set_input, title
from sedic.demo import PHOTOGRAPH

from .inputs import small_photograph
from .scene import sample

STEPS = 2
TYPED = "cup: a dark red cup\nsaucer: a dark red saucer\nspoon: {}\noverall: a cup of coffee on a wooden table"
STAGES = {"Sample object 1", "Sample object 2", "Sample object 3", "Restore the whole"}


@pytest.fixture
def graph(client: Client, repository: Path, tmp_path: Path) -> dict:
    """The shipped graph on a small picture, with two steps a stage and an update a step: what runs is asked."""
    graph = read_workflow(repository / "headless" / "sedic_full.json")
    set_input(graph, f"Original.image={client.upload(small_photograph(tmp_path))}")
    for node in graph.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = STEPS
        if "updates" in node["inputs"]:
            node["inputs"]["updates"] = 1
    return graph


def test_changing_the_third_object_runs_again_from_its_stage_on_each_with_its_own_bar(
    client: Client, graph: dict
) -> None:
    client.run(graph)
    set_input(graph, "Semantic Object 3.index=2")
    reports: list[Progress] = []
    ran = {title(graph, node) for node in client.run(graph, reports.append).seconds}
    # Its words and guidance are now those of object 2, which ComfyUI has at hand.
    behind = {"Fuse object 3", "Sample object 3", "Restore the whole", "Final picture"}
    assert behind <= ran
    assert not [name for name in ran if name.endswith((" 1", " 2")) or "Encode" in name or "Bitstream" in name]
    bar = [(r.title, r.step, r.steps) for r in reports if r.steps and r.title.startswith(("Sample", "Restore"))]
    each = [(1, STEPS), (STEPS, STEPS)]
    assert bar == [(name, *at) for name in ("Sample object 3", "Restore the whole") for at in each]


def test_new_words_for_the_third_object_sample_its_stage_and_the_last_one_alone(client: Client, graph: dict) -> None:
    """The file changes, and every node behind it runs: but the first two stages are on what they were on before."""
    runs = []
    for words in ("a spoon of dull steel", "a small spoon of bright silver"):
        set_input(graph, "Textualize.text=" + TYPED.format(words))
        reports: list[Progress] = []
        ran = {title(graph, node) for node in client.run(graph, reports.append).seconds}
        sampled = {r.title for r in reports if r.steps and r.title.startswith(("Sample", "Restore"))}
        runs.append((ran & STAGES, sampled))
    assert runs == [(STAGES, STAGES), (STAGES, {"Sample object 3", "Restore the whole"})]


def test_interrupt_stops_within_one_step_and_the_next_run_is_as_ever(client: Client, graph: dict) -> None:
    long = json.loads(json.dumps(graph))
    set_input(long, "Sample object 1.steps=500")
    steps: list[int] = []

    def stop(report: Progress) -> None:
        if report.title == "Sample object 1" and report.steps:
            steps.append(report.step)
            if len(steps) == 2:
                client._request("/interrupt", b"{}", {"Content-Type": "application/json"})

    with pytest.raises(ClientError, match="interrupted"):
        client.run(long, stop)
    assert len(steps) <= 4  # one step that ran meanwhile, and one whose report was on its way
    set_input(graph, "Sample object 1.seed=1")
    assert client.run(graph).outputs


def test_a_stage_is_named_by_its_place_along_the_wires(pack) -> None:
    named = importlib.import_module(f"{pack.__name__}.nodes.progress").stage_name
    nodes = {
        "a": {"class_type": "SEDIC_ORAGSampler", "inputs": {"steps": 10, "seed": 1}},
        "b": {"class_type": "SEDIC_ORAGSampler", "inputs": {"steps": ["x", 0], "image": ["a", 2]}},
        "x": {"class_type": "PrimitiveInt", "inputs": {"value": 10}},
        "c": {"class_type": "SEDIC_GlobalRestore", "inputs": {"steps": 20, "image": ["b", 2]}},
        "beside": {"class_type": "SEDIC_ORAGSampler", "inputs": {"steps": 7}},
    }
    assert named(nodes, "a") == "object 1 of 2"
    assert named(nodes, "b") == "object 2 of 2"
    assert named(nodes, "c") == "whole picture"
    assert named(nodes, "beside") == "object 1 of 1"


def test_words_follow_a_stage_through_its_steps_and_guided_updates(pack, monkeypatch) -> None:
    progress, around = (importlib.import_module(f"{pack.__name__}.nodes.{name}") for name in ("progress", "server"))
    sent: list[dict] = []
    server = types.SimpleNamespace(
        client_id="me", send_sync=lambda event, data, sid: sent.append({event: data["text"]})
    )
    graph = {"7": {"class_type": "SEDIC_ORAGSampler", "inputs": {}}}
    prompt = types.SimpleNamespace(has_node=graph.__contains__, get_node=graph.get, all_node_ids=lambda: set(graph))
    monkeypatch.setattr(progress, "running_server", lambda: server)
    monkeypatch.setattr(around, "get_executing_context", lambda: types.SimpleNamespace(node_id="7"))
    monkeypatch.setattr(around, "get_progress_state", lambda: types.SimpleNamespace(dynprompt=prompt))
    teller = progress.Teller(2, 3)
    for step in range(2):
        for _ in range(2 - step):
            teller.update(step, 0.5)
        teller.step_done(step)
    assert sent == [
        {"sedic.progress": f"object 1 of 1, {where}"}
        for where in (
            "step 1 of 2",
            "step 1 of 2, update 1 of 3",
            "step 1 of 2, update 2 of 3",
            "step 2 of 2",
            "step 2 of 2, update 1 of 3",
        )
    ]


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
