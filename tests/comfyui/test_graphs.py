"""The shipped graphs fit the nodes of the ComfyUI that is there, and those of earlier versions still run."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headless import families
from headless.build import GRAPHS, build
from headless.client import Client, ClientError
from headless.comfyui import PACK_NAME, VERSION, Server
from headless.forms import is_widget
from headless.graph import find_node, read_workflow, set_input
from headless.litegraph import WIDTH
from headless.newer import NODES, with_newer
from sedic.demo import FILE_NAME, PHOTOGRAPH, PICTURE_NAME, mask_names
from sedic.restoration.settings import GuidanceSettings, Settings, few_steps

from ..headless.flat import wires_of
from .inputs import upload_inputs

READABLE = (1440 / 0.5, 900 / 0.5)  # a usual screen at half the size
FLOW = {"sedic_sd35": families.SD35, "sedic_flux": families.FLUX, "sedic_qwen_image": families.QWEN_IMAGE,
        "sedic_z_image": families.Z_IMAGE}  # fmt: skip
OWN = ("sedic_sd15", "sedic_sd21_diffbir", "sedic_sdxl", "sedic_lightning", *FLOW)
RELEASED = Path(__file__).parent / "released"


def shipped(repository: Path, name: str) -> dict[str, Any]:
    """The window's form of a shipped graph."""
    return json.loads((repository / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def values(form: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """What the API form has of a graph: classes, titles and wires, and of other cores' own inputs nothing."""
    return {
        number: (node["class_type"], node["_meta"]["title"], {
            name: value for name, value in node["inputs"].items()
            if name in {**object_info[node["class_type"]]["input"].get("required", {}),
                        **object_info[node["class_type"]]["input"].get("optional", {})}
        })
        for number, node in form.items()
    }  # fmt: skip


def test_shipped_graphs_are_what_the_descriptions_make(
    object_info: dict, server: Server, client: Client, repository: Path
) -> None:
    """To the letter on the ComfyUI that they are built on; on another one, whose own nodes differ, in what they say."""
    same = client.version() == VERSION
    for path, text in build(object_info).items():
        there = (repository / path).read_text(encoding="utf-8")
        if same:
            assert there == text, f"run `python -m headless.build`: {path}"
        elif path.parts[0] == "headless":
            now, then = json.loads(text), json.loads(there)
            known = {number: {*node["inputs"]} for number, node in then.items()}
            for number, node in now.items():
                node["inputs"] = {k: v for k, v in node["inputs"].items() if k in known[number]}
            assert values(now, object_info) == values(then, object_info), path
        else:
            assert wires_of(json.loads(there)) == wires_of(json.loads(text)), path


@pytest.mark.parametrize("name", list(GRAPHS))
def test_the_window_and_the_client_run_the_same(repository: Path, name: str) -> None:
    graph = read_workflow(repository / "headless" / f"{name}.json")
    expected = {
        (node, key, (value[0], value[1]))
        for node, entry in graph.items()
        for key, value in entry["inputs"].items()
        if isinstance(value, list)
    }
    assert wires_of(shipped(repository, name)) == expected


@pytest.mark.parametrize("name", list(GRAPHS))
def test_every_wire_fits_the_sockets_at_its_ends(object_info: dict, repository: Path, name: str) -> None:
    graph, object_info = read_workflow(repository / "headless" / f"{name}.json"), with_newer(object_info)
    for entry in graph.values():
        declared = object_info[entry["class_type"]]["input"]
        sockets = {**declared.get("required", {}), **declared.get("optional", {})}
        for key, value in entry["inputs"].items():
            if isinstance(value, list):
                kind = object_info[graph[value[0]]["class_type"]]["output"][value[1]]
                wanted = sockets[key][0]
                fits = isinstance(wanted, list) or wanted == "COMBO" or kind in wanted.split(",")
                assert fits, f"{kind} into {entry['_meta']['title']}.{key}, which takes {wanted}"


@pytest.mark.parametrize("name", list(NODES))
def test_what_is_written_down_of_newer_nodes_is_what_they_have(object_info: dict, name: str) -> None:
    if name not in object_info:
        pytest.skip(f"this ComfyUI has no {name}")
    there, written = object_info[name], NODES[name]
    for part in ("required", "optional"):
        assert list(written["input"][part]) == list(there["input"][part])
    assert written["output"] == there["output"]
    assert written["output_name"] == there["output_name"]


@pytest.mark.parametrize("name", list(GRAPHS))
def test_a_graph_is_readable_at_half_its_size_and_nothing_overlaps(repository: Path, name: str) -> None:
    graph = shipped(repository, name)
    boxes = [(*node["pos"], *node["size"], node["title"]) for node in graph["nodes"]]
    for axis in (0, 1):
        start, end = min(box[axis] for box in boxes), max(box[axis] + box[axis + 2] for box in boxes)
        assert end - start <= READABLE[axis]
    for place, (x, y, wide, high, title) in enumerate(boxes):
        for other_x, other_y, other_wide, other_high, other in boxes[place + 1 :]:
            apart_x = x + wide <= other_x or other_x + other_wide <= x
            apart_y = y + high <= other_y or other_y + other_high <= y
            assert apart_x or apart_y, f"{title} lies over {other}"
    titles = [group["title"] for group in graph["groups"]]
    assert titles == [title for title in ("Encode", "File", "Decode") if title in titles]
    lefts = [group["bounding"][0] for group in graph["groups"]]
    assert lefts == sorted(lefts)


@pytest.mark.parametrize("name", ["sedic_full", "sedic_decode", *OWN])
def test_each_objects_stage_is_a_subgraph(repository: Path, name: str) -> None:
    graph = shipped(repository, name)
    definitions = {entry["id"]: entry for entry in graph["definitions"]["subgraphs"]}
    stages = [node for node in graph["nodes"] if node["type"] in definitions]
    assert [node["title"] for node in stages] == [f"Restore object {j}" for j in (1, 2, 3)]
    for stage in stages:
        inside = {node["type"] for node in definitions[stage["type"]]["nodes"]}
        assert {"SEDIC_SemanticObject", "SEDIC_AttentionGuidance", "SEDIC_LatentMaskFuse", "SEDIC_ORAGSampler"} < inside


@pytest.mark.parametrize("name", list(FLOW))
def test_graphs_of_flow_models_name_every_file_and_lack_nothing_else(
    client: Client, repository: Path, name: str
) -> None:
    family = FLOW[name]
    offered = [model for node in shipped(repository, name)["nodes"] for model in node["properties"].get("models", ())]
    files = [file for part in family.parts for _, file in part.files]
    assert offered == [file.properties() for file in files]
    assert all(model["url"].endswith(f"/{model['name']}") for model in offered)
    graph = read_workflow(repository / "headless" / f"{name}.json")
    for title, steps, cfg in (
        ("Sample object 1", family.settings.object_steps, family.settings.object_scale),
        ("Restore the whole", family.settings.overall_steps, family.settings.overall_scale),
    ):
        inputs = graph[find_node(graph, title)]["inputs"]
        assert (inputs["steps"], inputs["cfg"]) == (steps, cfg)
        assert inputs["working_size"] == family.settings.working_size
    assert graph[find_node(graph, "Guide object 1")]["inputs"]["layers"] == "model's own"
    with pytest.raises(ClientError) as caught:  # nothing but the models is missing
        client.run(graph)
    loaders = tuple(f"{part.title}, input " for part in family.parts if part.files)
    refused = str(caught.value).partition("graph: ")[2].split("; ")
    assert all(part.startswith(loaders) for part in refused), refused


@pytest.mark.parametrize("name", [name for name in OWN if name not in FLOW])
def test_graphs_for_own_models_name_their_files_and_fit_their_family(
    client: Client, repository: Path, name: str
) -> None:
    loaders = [node for node in shipped(repository, name)["nodes"] if "models" in node["properties"]]
    assert len(loaders) == 2
    for node in loaders:
        (model,) = node["properties"]["models"]
        assert model["url"].endswith(f"/{model['name']}")
        assert model["name"] in node["widgets_values"]
        assert model["directory"] in ("checkpoints", "controlnet")
    graph = read_workflow(repository / "headless" / f"{name}.json")
    default, paper = GuidanceSettings(), Settings()
    stage = graph[find_node(graph, "Sample object 1")]["inputs"]
    guide = graph[find_node(graph, "Guide object 1")]["inputs"]
    whole = graph[find_node(graph, "Restore the whole")]["inputs"]
    assert guide["eta"] == default.eta
    quick = name == "sedic_lightning"
    steering = few_steps(paper).guidance if quick else default
    assert (guide["t_prime"], guide["updates"]) == (steering.t_prime, steering.updates)
    assert (stage["sampler"], stage["scheduler"]) == ("euler", "sgm_uniform" if quick else "simple")
    assert (stage["steps"], stage["cfg"]) == ((4, 1.0) if quick else (paper.object_steps, paper.object_scale))
    assert (whole["steps"], whole["cfg"]) == ((4, 1.0) if quick else (paper.overall_steps, paper.overall_scale))
    assert stage["working_size"] == (512 if "sd15" in name or "sd21" in name else 1024)
    with pytest.raises(ClientError) as caught:  # nothing but the models is missing
        client.run(graph)
    refused = str(caught.value).partition("graph: ")[2].split("; ")
    assert all(part.startswith(("Checkpoint, input ", "ControlNet, input ")) for part in refused), refused


@pytest.mark.parametrize("name", list(GRAPHS))
def test_every_template_has_a_small_picture_a_title_and_a_sentence(server: Server, repository: Path, name: str) -> None:
    url = f"{server.url}/api/workflow_templates/{PACK_NAME}/{name}.jpg"
    with urllib.request.urlopen(url, timeout=60) as answer:
        data = answer.read()
    assert 1000 < len(data) <= 40 * 1024
    notes = [node for node in shipped(repository, name)["nodes"] if node["type"] == "MarkdownNote"]
    head = notes[0]["widgets_values"][0]
    assert head.startswith(f"### {GRAPHS[name].title}\n{GRAPHS[name].sentence}")
    assert GRAPHS[name].sentence.endswith(".")
    assert all(note["size"][0] == WIDTH for note in notes)


def test_the_blueprint_is_offered_by_the_server(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/global_subgraphs", timeout=60) as answer:
        names = [entry["name"] for entry in json.loads(answer.read()).values()]
    assert "Restore object (SEDIC)" in names


def test_the_example_lies_in_the_input_folder_and_comes_back_when_a_graph_needs_it(
    client: Client, server: Server, repository: Path
) -> None:
    folder = server.base / "input"
    names = [PICTURE_NAME, FILE_NAME, *mask_names()]
    assert {path.name for path in folder.iterdir()} >= {*names}
    for name in names:
        (folder / name).unlink()
    graph = read_workflow(repository / "headless" / "sedic_encode.json")
    client.run(graph)
    assert all((folder / name).exists() for name in names)


def test_an_example_that_somebody_changed_is_left_alone(client: Client, server: Server) -> None:
    path = server.base / "input" / mask_names()[0]
    before = path.read_bytes()
    changed = (server.base / "input" / mask_names()[1]).read_bytes()
    try:
        path.write_bytes(changed)
        graph = {
            "1": {"class_type": "LoadImage", "inputs": {"image": path.name}},
            "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        }
        client.run(graph)
        assert path.read_bytes() == changed
    finally:
        path.write_bytes(before)


def test_a_mask_painted_in_the_editor_is_the_objects_mask(client: Client, repository: Path, tmp_path: Path) -> None:
    """The editor writes the picture with what was painted transparent."""
    with Image.open(PHOTOGRAPH) as photograph:
        painted = np.asarray(photograph.convert("RGBA")).copy()
    painted[100:300, 50:150, 3] = 0
    path = tmp_path / "painted-masked.png"
    Image.fromarray(painted).save(path)
    graph = read_workflow(repository / "headless" / "sedic_encode.json")
    set_input(graph, f"Mask 1.image={client.upload(path)}")
    graph["99"] = {
        "class_type": "MaskToImage", "inputs": {"mask": [find_node(graph, "Grounded SAM"), 1]},
    }  # fmt: skip
    graph["100"] = {"class_type": "PreviewImage", "inputs": {"images": ["99", 0]}, "_meta": {"title": "Masks"}}
    run = client.run(graph)
    first = next(output for output in run.outputs if output.title == "Masks")
    with Image.open(client.download(first, tmp_path / "mask.png")) as image:
        found = np.asarray(image.convert("L")) > 127
    expected = np.zeros(found.shape, bool)
    expected[100:300, 50:150] = True
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["sedic_full", "sedic_encode", "sedic_decode"])
def test_graphs_of_the_last_version_fit_todays_nodes(object_info: dict, name: str) -> None:
    graph = read_workflow(RELEASED / f"api_{name}.json")
    for entry in graph.values():
        declared = object_info[entry["class_type"]]["input"]
        known = {**declared.get("required", {}), **declared.get("optional", {})}
        assert {*entry["inputs"]} <= {*known}
        assert {*declared.get("required", {})} <= {*entry["inputs"]}


def test_the_encoding_graph_of_the_last_version_still_runs(client: Client) -> None:
    upload_inputs(client)
    run = client.run(read_workflow(RELEASED / "api_sedic_encode.json"))
    assert any(output.filename.endswith(".sedic") for output in run.outputs)


def test_widgets_of_the_last_versions_window_graph_stand_where_todays_do(object_info: dict) -> None:
    """The window fills widgets by their place: none may have moved."""
    released = json.loads((RELEASED / "window_sedic_full.json").read_text(encoding="utf-8"))
    for node in released["nodes"]:
        if not node["type"].startswith("SEDIC_"):
            continue
        then = [entry["name"] for entry in node["inputs"] if "widget" in entry]
        declared = object_info[node["type"]]["input"]
        names = [*declared.get("required", {}), *declared.get("optional", {})]
        now = [name for name in names if name in then]
        assert now == then
        widgets = [name for name in names if is_widget_of(declared, name)]
        assert widgets[: len(then)] == then


def is_widget_of(declared: dict[str, Any], name: str) -> bool:
    """Whether the window draws an input as a widget."""
    kind, *rest = {**declared.get("required", {}), **declared.get("optional", {})}[name]
    return isinstance(kind, list) or is_widget(kind, rest[0] if rest else {})
