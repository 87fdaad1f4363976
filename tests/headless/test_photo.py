"""The demo on a photograph of one's own: the shipped graph, described by the embedded eyes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from headless import photo
from headless.demo import GRAPH
from headless.graph import read_workflow
from sedic.errors import SedicError


def test_the_shipped_graph_loads_the_photograph_and_leaves_words_and_masks_to_the_eyes() -> None:
    shipped = read_workflow(GRAPH)
    before = repr(shipped)
    graph = photo.described(shipped, "mine.png")
    kinds = {entry["class_type"]: entry["inputs"] for entry in graph.values()}
    assert kinds["LoadImage"]["image"] == "mine.png"
    assert kinds["SEDIC_LMMTextualize"]["mode"] == "embedded"
    assert kinds["SEDIC_LMMTextualize"]["text"] == ""
    assert "LoadImageMask" not in kinds
    assert not [key for key in kinds["SEDIC_GroundedSAM"] if key.startswith("mask_")]
    wires = [value[0] for entry in graph.values() for value in entry["inputs"].values() if isinstance(value, list)]
    assert set(wires) <= set(graph)
    assert repr(shipped) == before


def test_a_photograph_keeps_its_shape_and_is_made_small_enough_for_a_cpu(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 1000)).save(tmp_path / "large.jpg")
    Image.new("RGB", (100, 80)).save(tmp_path / "small.jpg")
    assert Image.open(photo.fitted(tmp_path / "large.jpg", tmp_path / "out")).size == (512, 256)
    assert Image.open(photo.fitted(tmp_path / "small.jpg", tmp_path / "out")).size == (100, 80)


def test_a_file_that_is_no_picture_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_text("no picture")
    with pytest.raises(SedicError, match=r"no\.jpg"):
        photo.fitted(tmp_path / "no.jpg", tmp_path / "out")


def test_only_what_the_eyes_said_is_told() -> None:
    graph = {"1": {"class_type": "SEDIC_LMMTextualize"}, "2": {"class_type": "SEDIC_PackBitstream"}}
    texts = {"1": ["cup: red\nFound: cup (97%)."], "2": ["300 bytes"]}
    assert photo.told(texts, graph) == ["cup: red", "Found: cup (97%)."]
