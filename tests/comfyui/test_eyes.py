"""From a picture to a file in a real ComfyUI: a chat server on loopback, small random models of the true classes."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request

import pytest
from PIL import Image

from headless.client import Client, ClientError
from headless.graph import find_node, read_workflow
from sedic.bitstream import SedicFile
from tests.understanding.chat_server import GOOD, KEY, completion, failure, serving
from tests.understanding.small_vlm import llava
from tests.understanding.test_grounding import folder as small_dino  # noqa: F401
from tests.understanding.test_segment import folder as small_sam  # noqa: F401

from .inputs import upload_inputs

SAID = {"objects": [{"name": "red barn", "detail": "by a local model"}], "overall": "a red barn"}


@pytest.fixture(scope="module")
def comfyui(server, small_dino, small_sam):  # noqa: F811
    """The server of all tests here, with the models in its folders."""
    for kind, folder in (("grounding-dino", small_dino), ("sams", small_sam)):
        shutil.copytree(folder, server.base / "models" / kind / folder.name)
    llava(server.base / "models" / "LLM" / "small-llava", json.dumps(SAID))
    upload_inputs(Client(server.url, timeout=120))
    return server


@pytest.fixture(scope="module")
def chat():
    """The chat server."""
    with serving() as server:
        yield server


@pytest.fixture
def profile(comfyui, chat):
    """Writes the profile of the chat server, with its key, into ComfyUI's user folder."""

    def write(model="eyes"):
        folder = comfyui.base / "user" / "__sedic"
        folder.mkdir(parents=True, exist_ok=True)
        url = f"http://127.0.0.1:{chat.server_port}/v1"
        text = f'[home]\nbase_url = "{url}"\nmodel = "{model}"\nkey = "{KEY}"\n'
        (folder / "endpoints.toml").write_text(text)

    write()
    return write


def graph(repository, **words):
    """The shipped graph from a picture to a file, asking an endpoint and looking with the small models."""
    workflow = read_workflow(repository / "headless" / "sedic_encode.json")
    described = find_node(workflow, "Textualize")
    workflow[described]["inputs"] |= {"mode": "endpoint", "endpoint": "home", **words}
    located = find_node(workflow, "Grounded SAM")
    inputs = {"mode": "models", "detector": "small-dino", "segmenter": "small-sam"}
    # The models are random: with these thresholds they find something everywhere.
    workflow[located]["inputs"] |= inputs | {"box_threshold": 0.0, "text_threshold": 0.0}
    images = {"images": [located, 2], "filename_prefix": "eyes"}
    workflow["900"] = {"class_type": "SaveImage", "inputs": images, "_meta": {"title": "Overlay"}}
    return workflow


def run(comfyui, workflow, folder):
    """Queues a graph; returns its file, and what Textualize showed."""
    client = Client(comfyui.url, timeout=120)
    done = client.run(workflow)
    outputs = {output.title: client.download(output, folder / output.filename) for output in done.outputs}
    return SedicFile.read(outputs["Save Bitstream"]), done.texts[find_node(workflow, "Textualize")][0]


def test_a_picture_becomes_a_file_by_an_endpoint_and_models(comfyui, repository, chat, profile, tmp_path):
    file, shown = run(comfyui, graph(repository), tmp_path)
    assert chat.keys == [f"Bearer {KEY}"]
    assert file.semantics.overall == GOOD["overall"]
    assert file.semantics.objects
    assert all(o.mask is not None and o.mask.any() for o in file.semantics.objects)
    assert shown.startswith("red barn: weathered boards\npond: ")

    # Queued again with a widget changed that does not matter: the node runs, and costs nothing.
    chat.answers = [completion('{"objects": [], "overall": "something else"}')]
    again, shown = run(comfyui, graph(repository, text="unused"), tmp_path)
    assert again.semantics.overall == GOOD["overall"]
    assert "asked for earlier" in shown
    assert len(chat.asked) == 1

    # Another attempt, and another model in the profile's file, ask anew.
    assert run(comfyui, graph(repository, attempt=1), tmp_path)[0].semantics.overall == "something else"
    assert chat.asked[-1]["seed"] == 1
    profile("other eyes")
    run(comfyui, graph(repository, attempt=1), tmp_path)
    assert chat.asked[-1]["model"] == "other eyes"


def test_a_local_model_describes_the_picture(comfyui, repository, tmp_path):
    file, _ = run(comfyui, graph(repository, mode="local model", local_model="small-llava"), tmp_path)
    assert file.semantics.overall == SAID["overall"]
    assert "Requested to load Shell" in comfyui.log_tail(10_000)  # by ComfyUI's model management


def test_what_is_missing_is_told_before_anything_runs(comfyui, repository, profile):
    client = Client(comfyui.url, timeout=120)
    workflow = graph(repository, mode="local model", local_model="SmolVLM")
    with pytest.raises(ClientError, match=r"SmolVLM is not in .*LLM; get it from huggingface\.co"):
        client.run(workflow)


def test_a_planted_key_is_in_no_artefact(comfyui, repository, chat, profile, tmp_path):
    chat.answers = [completion(json.dumps({**GOOD, "overall": f"the key is {KEY}"}))]
    file, shown = run(comfyui, graph(repository, attempt=2), tmp_path)
    chat.answers = [failure(401)]
    with pytest.raises(ClientError) as caught:
        run(comfyui, graph(repository, attempt=3), tmp_path)
    assert "does not accept the key" in str(caught.value)
    assert chat.keys[-1] == f"Bearer {KEY}"

    history = ""
    for _ in range(600):  # it is filed a moment after the failure is reported
        history = urllib.request.urlopen(f"{comfyui.url}/history", timeout=60).read().decode()
        if "does not accept the key" in history:
            break
        time.sleep(0.1)
    assert "does not accept the key" in history
    assert "traceback" in history
    assert "Traceback" in comfyui.log_tail(10_000)
    for text in (str(caught.value), repr(file), shown, history):
        assert KEY not in text
    pictures = 0
    for path in [*comfyui.base.rglob("*"), *tmp_path.rglob("*")]:
        inside = path.relative_to(comfyui.base) if path.is_relative_to(comfyui.base) else path
        if not path.is_file() or "custom_nodes" in inside.parts or path.name == "endpoints.toml":
            continue
        assert KEY.encode() not in path.read_bytes(), path
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert KEY not in str(picture.info)
                pictures += "prompt" in picture.info
    assert pictures  # some carry the workflow
    assert list((comfyui.base / "user" / "__sedic" / "answers").glob("*.json"))
    for path in ("..%2F__sedic%2Fendpoints.toml", "__sedic%2Fendpoints.toml"):  # nor does a browser get the file
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{comfyui.url}/userdata/{path}", timeout=60)
