"""What nodes say: kept by what decides it, with a file's bytes in parts; errors and schemas on every core."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import shutil
import types

import numpy as np
import pytest
import torch

from headless.client import Client, ClientError
from headless.comfyui import Server
from headless.graph import find_node, read_workflow, set_input

from .inputs import upload_inputs


@pytest.fixture(scope="module")
def nodes(pack: types.ModuleType) -> types.SimpleNamespace:
    """The pack's modules that are asked here."""
    names = ("bitstream", "files", "quality", "said", "schema")
    return types.SimpleNamespace(**{name: importlib.import_module(f"{pack.__name__}.nodes.{name}") for name in names})


@pytest.fixture(scope="module")
def encoded(client: Client, repository) -> dict:
    """The shipped encoding graph, after a run."""
    upload_inputs(client)
    graph = read_workflow(repository / "headless" / "sedic_encode.json")
    client.run(graph)
    return graph


def asked(client: Client, prompt: object) -> dict:
    body = json.dumps({"prompt": prompt}).encode()
    return json.loads(client._request("/sedic/said", body, {"Content-Type": "application/json"}))


def test_what_was_said_is_there_again_for_the_same_graph_under_other_numbers(client: Client, encoded: dict) -> None:
    pack = find_node(encoded, "Pack Bitstream")
    before = asked(client, encoded)[pack]["text"][0]
    assert "bpp" in before

    def other(value):
        return [f"9{value[0]}", value[1]] if isinstance(value, list) else value

    moved = {
        f"9{name}": entry | {"inputs": {key: other(value) for key, value in entry["inputs"].items()}}
        for name, entry in encoded.items()
    }
    assert asked(client, moved)[f"9{pack}"]["text"][0] == before


def test_nothing_is_said_for_a_node_behind_another_value(client: Client, encoded: dict) -> None:
    changed = json.loads(json.dumps(encoded))
    set_input(changed, "Reference Encode.quality=3")
    said = asked(client, changed)
    assert find_node(changed, "Textualize") in said
    assert find_node(changed, "Pack Bitstream") not in said
    assert find_node(changed, "Save Bitstream") not in said


@pytest.mark.parametrize("prompt", [[], "words", {"1": 3}, None])
def test_a_question_in_another_form_is_refused(client: Client, prompt: object) -> None:
    with pytest.raises(ClientError, match="HTTP 400"):
        asked(client, prompt)


def test_wires_in_a_circle_are_no_trap(nodes) -> None:
    circle = {"a": {"class_type": "A", "inputs": {"x": ["b", 0]}}, "b": {"class_type": "B", "inputs": {"x": ["a", 0]}}}
    assert len(nodes.said.contents(circle)) == 2
    chain = {str(n): {"class_type": "A", "inputs": {"x": [str(n + 1), 0]}} for n in range(5000)}
    assert len(set(nodes.said.contents(chain).values())) == 5000


def test_a_number_is_the_same_however_it_is_written(nodes) -> None:
    def content(value):
        return nodes.said.contents({"a": {"class_type": "A", "inputs": {"x": value}}})["a"]

    assert content(1) == content(1.0)
    assert content(1) != content(1.5)
    assert content(1) != content(True)


def test_the_bars_parts_add_up_to_the_file(nodes, repository) -> None:
    for path in sorted((repository / "tests" / "golden").glob("*.sedic")):
        shutil.copy(path, nodes.files.folder_paths.get_input_directory())
        said = nodes.bitstream.LoadBitstream.execute(path.name).ui.as_dict()["sedic_said"][0]
        assert [part["name"] for part in said["parts"]] == ["reference", "words", "masks", "header and framing"]
        assert sum(part["bytes"] for part in said["parts"]) == path.stat().st_size


def test_load_and_unpack_say_what_a_truncated_file_lacks(nodes, repository) -> None:
    data = (repository / "tests" / "golden" / "v1.sedic").read_bytes()
    folder = nodes.files.folder_paths.get_input_directory()
    with open(f"{folder}/cut.sedic", "wb") as file:
        file.write(data[:-20])
    assert nodes.bitstream.LoadBitstream.validate_inputs("cut.sedic") is True
    loaded = nodes.bitstream.LoadBitstream.execute("cut.sedic")
    missing = loaded.args[0].missing
    assert missing
    unpacked = nodes.bitstream.UnpackBitstream.execute(loaded.args[0])
    for output in (loaded, unpacked):
        shown = output.ui.as_dict()
        assert shown["text"][0].endswith(missing)
        assert shown["sedic_said"][0]["text"] == shown["text"][0]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere.sedic", "no file 'nowhere.sedic'"),
        ("note.sedic", "note.sedic: "),
        ("../secret.sedic", "leads out of ComfyUI's folders"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told_before_the_run(
    client: Client, server: Server, repository, name: str, told: str
) -> None:
    (server.base / "input" / "note.sedic").write_text("Buy milk.", encoding="utf-8")
    graph = read_workflow(repository / "headless" / "sedic_decode.json")
    set_input(graph, f"Load Bitstream.file={name}")
    with pytest.raises(ClientError) as caught:
        client.run(graph)
    assert "Load Bitstream" in str(caught.value)
    assert told in str(caught.value)
    assert str(server.base) not in str(caught.value)


def test_files_are_offered_by_the_names_that_load_takes(client: Client, server: Server, encoded: dict) -> None:
    (server.base / "input" / "own").mkdir(exist_ok=True)
    (server.base / "input" / "own" / "a b.sedic").write_bytes(b"")
    offered = json.loads(client._request("/sedic/files"))
    assert "own/a b.sedic" in offered
    assert any(name.startswith("sedic/picture") and name.endswith(" [output]") for name in offered)


def test_figures_have_as_many_digits_as_mean_something(nodes) -> None:
    noise = np.random.default_rng(1)
    a, b = (torch.from_numpy(noise.random((1, 192, 176, 3), np.float32)) for _ in range(2))
    output = nodes.quality.QualityReport.execute(a, b)
    figures = json.loads(output.args[0])
    assert figures["psnr"] == round(figures["psnr"], 2)
    assert figures["ms_ssim"] == round(figures["ms_ssim"], 4)
    shown = output.ui.as_dict()
    assert json.loads(shown["text"][0]) == figures
    assert f"PSNR {figures['psnr']:.2f} dB" in shown["sedic_said"][0]["text"]
    assert [picture["name"] for picture in shown["sedic_said"][0]["compare"]] == ["original", "decoded"]
    small = nodes.quality.QualityReport.execute(a[:, :64, :64], a[:, :64, :64], reference=b[:, :64, :64])
    assert "equal" in small.ui.as_dict()["sedic_said"][0]["text"]
    assert len(small.ui.as_dict()["sedic_said"][0]["compare"]) == 3


def test_an_errors_kind_is_named_without_a_folder(pack) -> None:
    errors = importlib.import_module(f"{pack.__name__}.sedic.errors")
    importlib.import_module(f"{pack.__name__}.nodes.comfy_denoiser")

    def kinds(of):
        return [of, *(deeper for kind in of.__subclasses__() for deeper in kinds(kind))]

    named = {f"{kind.__module__}.{kind.__qualname__}" for kind in kinds(errors.SedicError)}
    assert {"sedic.errors.SedicError", "sedic.bitstream.coder.BitstreamError"} <= named
    assert not [name for name in named if not name.startswith(("sedic.", "nodes."))]


def test_newer_arguments_are_given_where_the_core_knows_them(nodes, monkeypatch) -> None:
    @dataclasses.dataclass
    class Newer:
        node_id: str
        search_aliases: list = dataclasses.field(default_factory=list)
        has_intermediate_output: bool = False

    @dataclasses.dataclass
    class Older:
        node_id: str

    for core in (Newer, Older):
        monkeypatch.setattr(nodes.schema, "io", types.SimpleNamespace(Schema=core))
        made = nodes.schema.schema(node_id="X", search_aliases=("a",), says=True)
        assert made == (Newer("X", ["a"], True) if core is Newer else Older("X"))


def test_the_core_knows_inputs_for_the_few_and_newer_ones_other_names_and_order_is_as_it_was(object_info: dict) -> None:
    entry = object_info["SEDIC_PackBitstream"]
    assert entry["input"]["optional"]["mask_cell"][1]["advanced"] is True
    assert "advanced" not in entry["input"]["optional"]["target_bpp"][1]
    assert entry["input_order"]["optional"] == ["target_bpp", "preset", "image", "mask_cell", "smooth_masks"]
    report = object_info["SEDIC_QualityReport"]["input_order"]
    if "search_aliases" in object_info["KSampler"]:
        assert {"compress", "codec"} <= set(entry["search_aliases"])
        assert entry["has_intermediate_output"] is True
    assert report["required"] == ["original", "decoded"]
    assert report["optional"] == ["bitstream", "reference"]


def test_the_window_listens_to_every_node_that_speaks(pack, repository) -> None:
    rooms = ("encode", "folder", "bitstream", "quality", "steering", "restore", "models")
    listed = re.findall(r'"(\w+)"', re.search(r"SPEAKERS = .*?;", script(repository, "said"), re.DOTALL)[0])
    speaking = set()
    for room in rooms:
        module = importlib.import_module(f"{pack.__name__}.nodes.{room}")
        for node in module.NODES:
            if "says(" in inspect.getsource(node) or "shown(" in inspect.getsource(node):
                speaking.add(node.define_schema().node_id)
    assert {f"SEDIC_{name}" for name in listed} == speaking


def script(repository, name: str) -> str:
    return (repository / "web" / "js" / f"{name}.js").read_text(encoding="utf-8")


def test_the_graph_that_a_dropped_file_opens_is_there_and_loads_a_file(repository) -> None:
    name = re.search(r'GRAPH = "(\w+)"', script(repository, "load_bitstream"))[1]
    graph = json.loads((repository / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    inner = [node for subgraph in graph.get("definitions", {}).get("subgraphs", []) for node in subgraph["nodes"]]
    assert "SEDIC_LoadBitstream" in {node["type"] for node in graph["nodes"] + inner}
