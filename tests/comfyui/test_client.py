"""The client against a real server: files there and back, and each kind of failure in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from headless.client import Client, ClientError, Progress
from headless.comfyui import Server


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A small red picture."""
    path = tmp_path / "red square.png"
    Image.new("RGB", (32, 24), (255, 0, 0)).save(path)
    return path


def test_picture_goes_through_a_server_and_comes_back(client: Client, picture: Path, tmp_path: Path) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": client.upload(picture)}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}, "_meta": {"title": "Negative"}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}, "_meta": {"title": "Look"}},
    }
    reports: list[Progress] = []
    run = client.run(graph, reports.append)
    assert [r.title for r in reports if r.done] == ["LoadImage", "Negative", "Look"]
    assert set(run.seconds) == {"1", "2", "3"}
    (output,) = run.outputs
    assert output.title == "Look"
    with Image.open(client.download(output, tmp_path / "new folder" / "out.png")) as image:
        assert image.size == (32, 24)
        assert image.convert("RGB").getpixel((0, 0)) == (0, 255, 255)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ({"1": {"class_type": "PreviewImage", "inputs": {}}}, "PreviewImage, input images: Required input is missing"),
        ({"1": {"class_type": "NoSuchNode", "inputs": {}}}, "NoSuchNode"),
        ({}, "no outputs"),
        (
            {
                "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
                "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
                "3": {"class_type": "PreviewImage", "inputs": {}, "_meta": {"title": "Half of it"}},
            },
            "Half of it, input images: Required input is missing",
        ),
    ],
)
def test_invalid_graph_names_node_and_input(client: Client, graph: dict, said: str) -> None:
    with pytest.raises(ClientError, match=said) as caught:
        client.run(graph)
    assert "\n" not in str(caught.value)


def test_failing_node_is_named_with_its_message_and_the_server_lives_on(client: Client, server: Server) -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": "../../outside"},
            "_meta": {"title": "Keep it"},
        },
    }
    with pytest.raises(ClientError, match="Keep it failed: .*outside the output folder"):
        client.run(graph)
    assert server.running()


def test_missing_result_is_told(client: Client, tmp_path: Path) -> None:
    from headless.client import Output

    with pytest.raises(ClientError, match="/view with HTTP 404"):
        client.download(Output("1", "Look", "gone.png", "", "output"), tmp_path / "gone.png")
    assert not (tmp_path / "gone.png").exists()


def test_jobs_ahead_are_told(client: Client, server: Server) -> None:
    """Queued behind others, the person hears how many there are, and then what her own does."""
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Look"}},
    }
    slow = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 2048, "height": 2048, "batch_size": 4, "color": 0}},
        "2": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 5, "sigma": 1.0}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    other = Client(server.url, timeout=120)
    other._queue(slow, {})
    reports: list[Progress] = []
    run = client.run(graph, reports.append)
    assert reports[0].ahead == 1
    assert [r.title for r in reports if r.done][-1] == "Look"
    assert run.outputs
