"""Several pictures, as a batch or a list: as many files, each what it would be alone, under the names they had."""

from __future__ import annotations

import importlib
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headless.client import Client, ClientError
from headless.comfyui import Server
from headless.graph import read_workflow

from .inputs import upload_inputs

SIDE = 96


@pytest.fixture(scope="module")
def nodes(pack: types.ModuleType) -> types.SimpleNamespace:
    names = ("bitstream", "encode", "files", "folder", "lists", "quality")
    return types.SimpleNamespace(**{name: importlib.import_module(f"{pack.__name__}.nodes.{name}") for name in names})


@pytest.fixture(scope="module")
def errors(pack: types.ModuleType) -> types.ModuleType:
    return importlib.import_module(f"{pack.__name__}.sedic.errors")


@pytest.fixture
def pictures() -> torch.Tensor:
    """Three soft pictures that differ, (3, H, W, 3)."""
    coarse = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1).movedim(1, -1)


def encoded(nodes, image, text="cup: red\noverall: a cup", lists=False, **located):
    """Pack Bitstream's output behind the encoder's nodes; with ``lists`` called as ComfyUI calls them."""
    textualize, grounded = nodes.encode.NODES

    def run(node, **inputs):
        return node.execute(**{k: v if isinstance(v, list) else [v] for k, v in inputs.items()} if lists else inputs)

    words = run(textualize, image=image, mode="typed", text=text, endpoint="", objects=3, detail_words=9,
                overall_words=9).args[0]  # fmt: skip
    found = run(grounded, image=image, semantics=words, mode="auto", detector="none", segmenter="none", boxes="",
                **located).args[0]  # fmt: skip
    reference = run(nodes.bitstream.ReferenceEncode, image=image, codec="av1", quality=100).args[0]
    return run(nodes.bitstream.PackBitstream, reference=reference, semantics=found, seed=1, image=image)


def corner(j: int) -> torch.Tensor:
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, 16 * j : 16 * j + 40, 8:56] = 1
    return mask


@pytest.mark.parametrize("as_batch", [True, False])
def test_every_picture_gives_the_file_that_it_gives_alone(nodes, pictures, as_batch) -> None:
    masks = torch.cat([corner(j) for j in range(3)])
    texts = [f"cup: red\noverall: cup number {j}" for j in range(3)]
    alone = [encoded(nodes, pictures[j : j + 1], texts[j], mask_1=masks[j : j + 1]).args for j in range(3)]
    image, mask = (pictures, masks) if as_batch else ([*pictures.split(1)], [*masks.split(1)])
    several = encoded(nodes, image, texts, lists=True, mask_1=mask)
    assert [file.to_bytes() for file in several.args[0]] == [file.to_bytes() for file, _ in alone]
    assert several.args[1] == [report for _, report in alone]
    assert len({file.to_bytes() for file in several.args[0]}) == 3
    shown = several.ui
    assert [said["text"] for said in shown["sedic_said"]] == several.args[1]


def test_one_text_and_one_mask_serve_all_pictures(nodes, pictures) -> None:
    files = encoded(nodes, pictures, lists=True, mask_1=corner(1)).args[0]
    assert {file.semantics.overall for file in files} == {"a cup"}
    assert len({file.to_bytes() for file in files}) == 3
    assert all(np.array_equal(files[0].semantics.objects[0].mask, file.semantics.objects[0].mask) for file in files)


def test_other_numbers_are_an_error_that_names_both(nodes, errors, pictures) -> None:
    with pytest.raises(errors.SedicError, match=r"2 came through text and 3 through image"):
        encoded(nodes, pictures, ["overall: a", "overall: b"], lists=True)
    with pytest.raises(errors.SedicError, match="Nothing comes through image"):
        encoded(nodes, pictures[:0], lists=True)


def test_what_is_wrong_with_one_picture_names_it(nodes, errors, pictures) -> None:
    with pytest.raises(errors.SedicError, match=r"Of 3 pictures the one numbered 2: .*no name before its colon"):
        encoded(nodes, pictures, ["overall: a", ": b", "overall: c"], lists=True)


def test_what_takes_one_picture_says_so_of_a_batch(pack, errors, pictures) -> None:
    images = importlib.import_module(f"{pack.__name__}.nodes.images")
    with pytest.raises(errors.SedicError, match="one picture, and 3 came as a batch"):
        images.to_pixels(pictures)


def test_cancel_ends_between_pictures(comfy, nodes, pictures, monkeypatch) -> None:
    import comfy.model_management

    real, made = nodes.bitstream.encode_reference, []

    def pressed(*arguments):
        made.append(arguments)
        reference = real(*arguments)
        comfy.model_management.interrupt_current_processing()
        return reference

    monkeypatch.setattr(nodes.bitstream, "encode_reference", pressed)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        nodes.bitstream.ReferenceEncode.execute(image=[pictures], codec=["compact"], quality=[0])
    assert len(made) == 1


def test_cancel_ends_the_slow_search(comfy, nodes, pictures, monkeypatch) -> None:
    """Which asks whoever watches between one coding and the next; also while threads are coding."""
    import comfy.model_management

    package = importlib.import_module(nodes.bitstream.encode_reference.__module__).__package__
    stream = importlib.import_module(f"{package}.reference.av1.stream")
    real, codings = stream.code, []

    def pressed(*arguments):
        codings.append(arguments)
        if arguments[2] == 3:  # libaom's speed in the first round of threads
            comfy.model_management.interrupt_current_processing()
        return real(*arguments)

    monkeypatch.setattr(stream, "code", pressed)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        nodes.bitstream.ReferenceEncode.execute(image=[pictures[:1]], codec=["av1-slow"], quality=[100])
    assert {speed for _, _, speed, *_ in codings} == {6, 3}


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("barn.png", "barn"), ("holiday/barn.JPG", "holiday/barn"), ("/mnt/pictures/barn.webp", "barn"),
        ("C:\\pictures\\barn.png", "barn"), ("../../barn.png", "barn"), ("photo.v2", "photo.v2"),
        ("barn.png [input]", "barn"), ("what? a barn.png", "what_ a barn"), ("", ""),
        ("..", ""), (".png", ".png"), ("barn.sedic", "barn"),
    ],
)  # fmt: skip
def test_names_of_loaders_become_names_of_files(nodes, told, name) -> None:
    assert nodes.files.plain_name(told) == name


def test_a_folder_becomes_files_and_pictures_under_its_names(
    client: Client, server: Server, repository: Path, tmp_path: Path, pictures
) -> None:
    """Also a second time, without writing over the first; through the core's own nodes as a list."""
    folder = server.base / "input" / "my holiday"
    folder.mkdir()
    for name, picture, size in zip(("b.jpg", "a barn.png"), pictures, ((96, 64), (64, 80)), strict=False):
        Image.fromarray((picture.numpy() * 255).astype(np.uint8)).resize(size).save(folder / name)
    (folder / "a barn.txt").write_text("overall: a barn", encoding="utf-8")
    (folder / "b.json").write_text('{"overall": "a bee", "objects": []}', encoding="utf-8")
    (folder / "notes.md").write_text("mine", encoding="utf-8")
    graph = {
        "1": {"class_type": "SEDIC_LoadFolder", "inputs": {"folder": "my holiday"}},
        "2": {"class_type": "SEDIC_LMMTextualize", "inputs": {
            "image": ["1", 0], "mode": "typed", "text": ["1", 2], "endpoint": "", "objects": 3, "detail_words": 9,
            "overall_words": 9}},
        "3": {"class_type": "SEDIC_ReferenceEncode", "inputs": {"image": ["1", 0], "codec": "av1", "quality": 100}},
        "4": {"class_type": "SEDIC_PackBitstream", "inputs": {
            "reference": ["3", 0], "semantics": ["2", 0], "seed": 0, "image": ["1", 0]}},
        "5": {"class_type": "SEDIC_SaveBitstream", "inputs": {
            "bitstream": ["4", 0], "filename_prefix": "mine/x", "names": ["1", 1]}},
        "6": {"class_type": "SEDIC_LoadBitstream", "inputs": {"file": ["5", 0]}},
        "7": {"class_type": "SEDIC_UnpackBitstream", "inputs": {"bitstream": ["6", 0]}},
        "8": {"class_type": "SEDIC_ReferenceDecode", "inputs": {"reference": ["7", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": ["1", 1]}},
        "10": {"class_type": "SEDIC_QualityReport", "inputs": {
            "original": ["1", 0], "decoded": ["8", 0], "bitstream": ["6", 0], "reference": ["8", 0]}},
    }  # fmt: skip
    run = client.run(graph)
    written = [f"{output.subfolder}/{output.filename}" for output in run.outputs if output.type == "output"]
    assert written == [
        "mine/my holiday/a barn.sedic", "mine/my holiday/b.sedic", "my holiday/a barn_00001_.png",
        "my holiday/b_00001_.png",
    ]  # fmt: skip
    assert [text.splitlines()[0] for text in run.texts["7"]] == ["a barn", "a bee"]
    assert len(run.texts["10"]) == 2
    with Image.open(client.download(run.outputs[3], tmp_path / "b.png")) as picture:
        assert picture.size == (96, 64)
    graph["5"]["inputs"]["filename_prefix"] = "mine/y"
    again = [output.filename for output in client.run(graph).outputs if output.filename.endswith(".sedic")]
    assert again == ["a barn_00001_.sedic", "b_00001_.sedic"]
    with pytest.raises(ClientError, match="no folder 'elsewhere'"):
        client.run(graph | {"1": {"class_type": "SEDIC_LoadFolder", "inputs": {"folder": "elsewhere"}}})
    with pytest.raises(ClientError, match="leads out of the input folder"):
        client.run(graph | {"1": {"class_type": "SEDIC_LoadFolder", "inputs": {"folder": "../output"}}})


def test_an_unknown_detector_is_reported_on_detector_alone(client: Client, repository: Path) -> None:
    upload_inputs(client)
    graph = read_workflow(repository / "headless" / "sedic_encode.json")
    (node,) = (entry for entry in graph.values() if entry["class_type"] == "SEDIC_GroundedSAM")
    node["inputs"]["detector"] = "gone.pth"
    with pytest.raises(ClientError, match="input detector") as caught:
        client.run(graph)
    assert "input segmenter" not in str(caught.value)
    node["inputs"] |= {"detector": "none", "segmenter": "gone.pth", "mode": "boxes", "boxes": "1 1 90 90\n" * 3}
    with pytest.raises(ClientError, match="gone.pth"):
        client.run(graph)
