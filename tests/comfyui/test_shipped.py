"""What ships runs: graphs, help pages and the demo's input, on a real server."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headless import demo
from headless.build import PICTURES
from headless.client import Client, ClientError, Output, Run
from headless.comfyui import PACK_NAME, Server
from headless.encoder import FILE_TITLE
from headless.graph import find_node, read_workflow, set_input
from sedic.bitstream import SedicFile
from sedic.demo import PHOTOGRAPH, SEMANTICS
from sedic.metrics.bits import spent
from sedic.semantics import Semantics

from .inputs import small_photograph


def quick(repository: Path, name: str) -> dict:
    """A shipped graph in API form with two steps a stage."""
    graph = read_workflow(repository / "headless" / f"{name}.json")
    for node in graph:
        if "steps" in graph[node]["inputs"]:
            graph[node]["inputs"]["steps"] = 2
    return graph


@pytest.fixture(scope="module")
def made(client: Client, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what the full graph makes of the demo's photograph."""
    folder = tmp_path_factory.mktemp("made")
    demo.fetch(client, client.run(quick(repository, "sedic_full")), folder)
    return folder


@pytest.fixture(scope="module")
def small(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small photograph on the server: what graphs have in common does not depend on the size."""
    return client.upload(small_photograph(tmp_path_factory.mktemp("small")))


@pytest.fixture(scope="module")
def made_small(client: Client, repository: Path, small: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As :func:`made`, of the small photograph."""
    folder, graph = tmp_path_factory.mktemp("made"), quick(repository, "sedic_full")
    set_input(graph, f"Original.image={small}")
    demo.fetch(client, client.run(graph), folder)
    return folder


def ours(object_info: dict) -> dict:
    """This pack's nodes among the server's."""
    nodes = {name: info for name, info in object_info.items() if name.startswith("SEDIC_")}
    assert nodes
    return nodes


def test_every_input_has_a_tooltip(object_info: dict) -> None:
    bare = [
        f"{name}.{key}"
        for name, info in ours(object_info).items()
        for part in ("required", "optional")
        for key, spec in (info["input"].get(part) or {}).items()
        if len(spec) < 2 or not (spec[1].get("tooltip") or "").strip()
    ]
    assert not bare


def test_what_newer_windows_draw_by_themselves_comes_through_a_wire(object_info: dict) -> None:
    """A widget of theirs would send a value that nobody chose (`app.widgets` of the front end 1.49.6)."""
    drawn = {"BOUNDING_BOX", "BOUNDING_BOXES", "CHART", "COLOR", "COLORS", "CURVE", "GALLERIA", "IMAGECOMPARE", "RANGE"}
    specs = [
        (f"{name}.{key}", *spec)
        for name, info in ours(object_info).items()
        for part in ("required", "optional")
        for key, spec in (info["input"].get(part) or {}).items()
    ]
    assert [name for name, kind, _ in specs if kind in drawn] == ["SEDIC_GroundedSAM.bounding_boxes"]
    assert not [name for name, kind, options in specs if kind in drawn and not options.get("forceInput")]


def test_every_node_says_what_it_does_and_has_a_help_page(object_info: dict, repository: Path) -> None:
    nodes = ours(object_info)
    assert not [name for name, info in nodes.items() if not info["description"]]
    assert not [name for name in nodes if not (repository / "web" / "docs" / f"{name}.md").is_file()]


def test_no_help_page_is_left_of_a_node_that_is_gone(object_info: dict, repository: Path) -> None:
    assert {p.stem for p in (repository / "web" / "docs").glob("SEDIC_*.md")} <= set(ours(object_info))


@pytest.mark.parametrize(
    "path", ["api/workflow_templates/{}/sedic_full.json", "extensions/{}/docs/SEDIC_ORAGSampler.md"]
)
def test_the_window_finds_graphs_and_help_pages(server: Server, path: str) -> None:
    with urllib.request.urlopen(f"{server.url}/{path.format(PACK_NAME)}", timeout=60) as answer:
        assert answer.read()


def test_full_graph_leaves_a_file_that_another_process_reads(made: Path) -> None:
    file = SedicFile.read(made / demo.FILE_NAME)
    described = Semantics.read(SEMANTICS)
    assert not file.missing
    assert file.bits_per_pixel <= 0.05
    assert [(o.name, o.detail) for o in file.semantics.objects] == [(o.name, o.detail) for o in described.objects]
    assert file.semantics.overall == described.overall


def test_full_graph_shows_every_stage_at_the_photographs_size(made: Path) -> None:
    with Image.open(PHOTOGRAPH) as original:
        size = original.size
    pictures = []
    for name in PICTURES.values():
        with Image.open(made / name) as picture:
            assert picture.size == size
            pictures.append(np.asarray(picture.convert("RGB"), dtype=float))
    for before, after in zip(pictures, pictures[1:], strict=False):
        assert np.abs(before - after).mean() > 0.01  # each stage does something


def test_contact_sheet_and_bill_add_up(made: Path) -> None:
    lines = demo.summary(made)
    costs = spent(SedicFile.read(made / demo.FILE_NAME))
    assert sum(costs.values()) == (made / demo.FILE_NAME).stat().st_size
    assert costs["header and framing"] <= 24
    assert any("MS-SSIM" in line for line in lines)
    with Image.open(made / demo.SHEET_NAME) as sheet:
        assert sheet.width > 600


def test_encode_and_decode_graphs_give_what_the_full_one_gives(
    client: Client, repository: Path, small: str, made_small: Path, tmp_path: Path
) -> None:
    graph = quick(repository, "sedic_encode")
    set_input(graph, f"Original.image={small}")
    encoded = client.run(graph)
    path = client.download(output_of(encoded, FILE_TITLE), tmp_path / "again.sedic")
    assert path.read_bytes() == (made_small / demo.FILE_NAME).read_bytes()
    graph = quick(repository, "sedic_decode")
    set_input(graph, f"Load Bitstream.file={client.upload(path)}")
    decoded = client.run(graph)
    final = client.download(output_of(decoded, "Final picture"), tmp_path / "final.png")
    with Image.open(final) as one, Image.open(made_small / PICTURES["Final picture"]) as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))


def output_of(run: Run, title: str) -> Output:
    """The one output of the node with this title."""
    (output,) = [o for o in run.outputs if o.title == title]
    return output


def test_cut_file_gives_the_stages_that_arrived(
    client: Client, repository: Path, made_small: Path, tmp_path: Path
) -> None:
    whole = SedicFile.read(made_small / demo.FILE_NAME)
    arrived = sum(section.bytes for section in whole.sections[:-1])
    path = tmp_path / "cut.sedic"
    path.write_bytes((made_small / demo.FILE_NAME).read_bytes()[: arrived + 3])
    graph = quick(repository, "sedic_decode")
    set_input(graph, f"Load Bitstream.file={client.upload(path)}")
    run = client.run(graph)
    pictures = {}
    for title, name in PICTURES.items():
        with Image.open(client.download(output_of(run, title), tmp_path / name)) as picture:
            pictures[title] = np.asarray(picture.convert("RGB"))
    assert np.array_equal(pictures["After object 2"], pictures["After object 3"])
    assert not np.array_equal(pictures["After object 1"], pictures["After object 2"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x89PNG not a sedic file at all", r"Load Bitstream.*This is not a \.sedic file"),
        (None, "Load Bitstream.*gone.sedic"),
    ],
)
def test_file_that_is_none_ends_in_one_sentence(
    client: Client, repository: Path, tmp_path: Path, data: bytes | None, said: str
) -> None:
    name = "gone.sedic"
    if data is not None:
        path = tmp_path / "random.sedic"
        path.write_bytes(data)
        name = client.upload(path)
    graph = quick(repository, "sedic_decode")
    set_input(graph, f"Load Bitstream.file={name}")
    with pytest.raises(ClientError, match=said) as caught:
        client.run(graph)
    assert "\n" not in str(caught.value)


def test_missing_model_is_named_with_its_folder(client: Client, repository: Path) -> None:
    graph = quick(repository, "sedic_encode")
    set_input(graph, "Grounded SAM.detector=gone.pth")
    with pytest.raises(ClientError, match=r"Grounded SAM.*gone\.pth.*grounding-dino") as caught:
        client.run(graph)
    assert "\n" not in str(caught.value)


def test_dead_endpoint_ends_in_one_sentence(client: Client, server: Server, repository: Path) -> None:
    folder = server.base / "user" / "__sedic"
    folder.mkdir(exist_ok=True)
    (folder / "endpoints.toml").write_text(
        '[dead]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "none"\nkey = "a-planted-key"\n', encoding="utf-8"
    )
    graph = quick(repository, "sedic_encode")
    node = find_node(graph, "Textualize")
    graph[node]["inputs"] |= {"mode": "endpoint", "endpoint": "dead"}
    with pytest.raises(ClientError, match="Textualize failed: .*dead") as caught:
        client.run(graph)
    assert "\n" not in str(caught.value)
    assert "a-planted-key" not in str(caught.value) + server.log_tail(10_000)
