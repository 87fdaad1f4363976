"""The API-form graph helpers behind the client's command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headless.client import Client, ClientError, Output, Progress, Run, free_path, main, print_progress
from headless.graph import GraphError, find_node, loading_inputs, read_workflow, set_input, why_invalid


@pytest.fixture
def graph() -> dict:
    """Two loaders and a consumer."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "Original"}},
        "2": {"class_type": "SEDIC_LoadBitstream", "inputs": {"file": ""}},
        "3": {"class_type": "Blur", "inputs": {"image": ["1", 0], "radius": 2}},
    }


@pytest.mark.parametrize("name", ["3", "Blur"])
def test_input_is_set_by_id_or_class(graph: dict, name: str) -> None:
    set_input(graph, f"{name}.radius=5")
    assert graph["3"]["inputs"]["radius"] == 5


def test_value_that_is_not_json_is_text(graph: dict) -> None:
    set_input(graph, "Original.image=my photo = final.png")
    assert graph["1"]["inputs"]["image"] == "my photo = final.png"


@pytest.mark.parametrize(
    ("assignment", "said"),
    [("radius=5", "NODE.INPUT=VALUE"), ("Blur.sigma=5", "no input 'sigma'"), ("Sharpen.radius=5", "0 nodes")],
)
def test_wrong_assignment_is_told(graph: dict, assignment: str, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        set_input(graph, assignment)


def test_ambiguous_name_is_refused(graph: dict) -> None:
    graph["4"] = graph["3"]
    with pytest.raises(GraphError, match="2 nodes"):
        find_node(graph, "Blur")


def test_files_go_to_the_nodes_that_load_them(graph: dict) -> None:
    found = loading_inputs(graph, ["photo.png", "picture.sedic"])
    assert found == [("1", "image", Path("photo.png")), ("2", "file", Path("picture.sedic"))]
    assert loading_inputs(graph, ["Original=photo.png"]) == [("1", "image", Path("photo.png"))]


@pytest.mark.parametrize(("files", "said"), [(["a.png", "b.png"], "no LoadImage node left"), (["3=a.png"], "loads no")])
def test_file_without_a_place_is_told(graph: dict, files: list[str], said: str) -> None:
    with pytest.raises(GraphError, match=said):
        loading_inputs(graph, files)


@pytest.mark.parametrize("text", ["{", '{"nodes": []}', "[]"])
def test_graph_in_another_form_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "graph.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GraphError, match=r"graph\.json"):
        read_workflow(path)


def test_refusal_names_node_and_input() -> None:
    problem = {"message": "Required input is missing", "details": "images", "extra_info": {"input_name": "images"}}
    body = json.dumps({"error": {"message": "…"}, "node_errors": {"2": {"errors": [problem]}}}).encode()
    assert why_invalid(body, {"2": "Final picture"}).endswith(
        "Final picture, input images: Required input is missing (images)"
    )


@pytest.mark.parametrize("server", ["http://127.0.0.1:9", "127.0.0.1:8188"])
def test_dead_or_wrong_server_is_one_sentence(
    tmp_path: Path, graph: dict, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph), encoding="utf-8")
    assert main([str(path), "--server", server, "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert server in said


def test_missing_upload_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"gone\.png"):
        Client("http://127.0.0.1:9").upload(tmp_path / "gone.png")


def test_record_that_comes_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = {"filename": "a.sedic", "subfolder": "sedic", "type": "output"}
    answers = [{}, {}, {"run": {"outputs": {"3": {"sedic": [saved], "text": ["words"], "animated": [False]}}}}]
    client = Client("http://127.0.0.1:9")
    monkeypatch.setattr(client, "_request", lambda path: json.dumps(answers.pop(0)).encode())
    run = Run()
    client._collect("run", {"3": "Save"}, run)
    assert run.outputs == [Output("3", "Save", "a.sedic", "sedic", "output")]
    assert run.texts == {"3": ["words"]}


def test_results_are_called_like_their_nodes_and_nothing_is_written_over(tmp_path: Path) -> None:
    def output(title: str, filename: str = "ComfyUI_temp_abcde_00001_.png") -> Output:
        return Output("7", title, filename, "", "temp")

    assert free_path(tmp_path, output("After object 1")) == tmp_path / "After object 1.png"
    (tmp_path / "After object 1.png").touch()
    assert free_path(tmp_path, output("After object 1")) == tmp_path / "After object 1 2.png"
    assert free_path(tmp_path, output("Save", "picture_00001_.sedic")).name == "Save.sedic"
    assert free_path(tmp_path, output("../up: and away")).parent == tmp_path
    assert free_path(tmp_path, output("..")).name == "7.png"


@pytest.mark.parametrize(("ahead", "said"), [(1, "Waiting: 1 job ahead\n"), (2, "Waiting: 2 jobs ahead\n")])
def test_jobs_ahead_are_printed(capsys: pytest.CaptureFixture[str], ahead: int, said: str) -> None:
    print_progress(Progress("", "", ahead=ahead))
    assert capsys.readouterr().out == said


def test_jobs_ahead_are_those_running_and_those_queued_before(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("http://127.0.0.1:9")
    queue = {"queue_running": [[1, "a"]], "queue_pending": [[4, "later"], [2, "b"], [3, "own"]]}
    monkeypatch.setattr(client, "_request", lambda path: json.dumps(queue).encode())
    assert client.ahead("own") == 2
    assert client.ahead("a") == client.ahead("ended") == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, "usage"),
        (["graph.json", "-o", "out"], 1, "pip install websocket-client"),
        (["gone.json", "-o", "out"], 1, "cannot be read"),
    ],
)
def test_client_runs_without_the_packs_packages(
    repository: Path, tmp_path: Path, graph: dict, arguments: list[str], status: int, said: str
) -> None:
    (tmp_path / "graph.json").write_text(json.dumps(graph), encoding="utf-8")
    bare = [sys.executable, "-S", "-m", "headless.client", *arguments]  # -S: no installed package is to be seen
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    result = subprocess.run(bare, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == status
    assert said in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
