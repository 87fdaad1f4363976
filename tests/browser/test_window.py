"""What a person sees of SEDIC nodes in ComfyUI's window, on the classic canvas and in Nodes 2.0."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headless.comfyui import Server
from sedic.bitstream import Hints, SedicFile

from .window import Window

LONG = " ".join(f"word{n}" for n in range(40))
TYPED = f"red cup: {LONG}\nblue box: square\noverall: A red cup and a blue box."
GRAPH: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "small.png"}},
    "2": {
        "class_type": "SEDIC_LMMTextualize",
        "inputs": {
            "image": ["1", 0], "mode": "typed", "text": TYPED, "endpoint": "", "objects": 3, "detail_words": 30,
            "overall_words": 50,
        },
    },
    "3": {
        "class_type": "SEDIC_GroundedSAM",
        "inputs": {
            "image": ["1", 0], "semantics": ["2", 0], "mode": "boxes", "detector": "none", "segmenter": "none",
            "boxes": "10 10 60 60\n70 70 120 120\n1 1 9 9",
        },
    },
    "4": {"class_type": "SEDIC_ReferenceEncode", "inputs": {"image": ["1", 0], "codec": "compact", "quality": 0}},
    "5": {
        "class_type": "SEDIC_PackBitstream",
        "inputs": {"reference": ["4", 0], "semantics": ["3", 0], "seed": 0, "target_bpp": 0.4},
    },
    "6": {"class_type": "SEDIC_SaveBitstream", "inputs": {"bitstream": ["5", 0], "filename_prefix": "sedic/small"}},
    "7": {"class_type": "SEDIC_LoadBitstream", "inputs": {"file": ["6", 0]}},
    "8": {"class_type": "SEDIC_UnpackBitstream", "inputs": {"bitstream": ["7", 0]}},
    "9": {"class_type": "SEDIC_ReferenceDecode", "inputs": {"reference": ["8", 0]}},
    "10": {
        "class_type": "SEDIC_QualityReport",
        "inputs": {"original": ["1", 0], "decoded": ["9", 0], "bitstream": ["7", 0], "reference": ["9", 0]},
    },
}  # fmt: skip
SPEAKING = {
    "SEDIC_LMMTextualize": "blue box: square",
    "SEDIC_GroundedSAM": "3 boxes for 2 objects",
    "SEDIC_ReferenceEncode": "compact, quality",
    "SEDIC_PackBitstream": "reference: ",
    "SEDIC_SaveBitstream": "_.sedic [output]",
    "SEDIC_LoadBitstream": "overall: ",
    "SEDIC_UnpackBitstream": "A red cup and a blue box.",
    "SEDIC_QualityReport": "PSNR ",
}


@pytest.fixture(scope="module")
def ran(window: Window, server: Server, pixels: np.ndarray) -> Window:
    """The window after a run of the small graph."""
    Image.fromarray(pixels).save(server.base / "input" / "small.png")
    window.open(GRAPH)
    window.run()
    return window


def load_alone(file: str) -> dict[str, Any]:
    """A graph that loads and unpacks a file."""
    load = {"class_type": "SEDIC_LoadBitstream", "inputs": {"file": file}}
    shown = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    return {"1": load, "2": GRAPH["8"] | {"inputs": {"bitstream": ["1", 0]}},
            "3": GRAPH["9"] | {"inputs": {"reference": ["2", 0]}}, "4": shown}  # fmt: skip


def test_every_node_shows_what_it_has_to_say(ran: Window) -> None:
    for kind, words in SPEAKING.items():
        assert words in ran.text(kind), kind
    assert "40 words, 30 allowed: 10 cut" in ran.text("SEDIC_LMMTextualize")
    for kind in ("SEDIC_PackBitstream", "SEDIC_UnpackBitstream", "SEDIC_QualityReport"):
        ran.show(kind)
        box = ran.said(kind)
        ran.page.wait_for_function("box => box.clientHeight > 60 && box.scrollHeight <= box.clientHeight + 1", arg=box)
        assert box.bounding_box()["width"] > 80


def test_the_bar_shows_what_the_bytes_are_spent_on(ran: Window) -> None:
    bar = ran.said("SEDIC_PackBitstream").query_selector(".sedic-bar")
    told = bar.query_selector("[role=img]").get_attribute("aria-label")
    parts = [part.get_attribute("title") for part in bar.query_selector_all(".part")]
    assert [title.split(":")[0] for title in parts] == ["reference", "words", "masks", "header and framing"]
    sizes = [int(title.split(": ")[1].split()[0]) for title in parts]
    assert told.startswith(f"{sum(sizes)} bytes of at most 819: reference {sizes[0]},")  # 0.4 · 128 · 128 / 8
    widths = [
        float(part.evaluate("(part) => part.style.width.slice(0, -1)")) for part in bar.query_selector_all(".part")
    ]
    assert widths == pytest.approx([100 * size / 819 for size in sizes], rel=1e-3)
    assert bar.query_selector(".limit") is not None
    assert ran.said("SEDIC_LoadBitstream").query_selector(".limit") is None


def test_nothing_that_is_said_is_saved_or_sent(ran: Window) -> None:
    saved = json.dumps(ran.page.evaluate("() => window.app.graph.serialize()"))
    sent = ran.page.evaluate("async () => (await window.app.graphToPrompt()).output")
    for words in ("PSNR", "bpp\\n", "10 cut", "sedic said"):
        assert words not in saved
        assert words not in json.dumps(sent)
    assert set(sent["7"]["inputs"]) == {"file"}


def test_two_pictures_are_compared_by_dragging_and_by_keys(ran: Window) -> None:
    ran.show("SEDIC_QualityReport")
    said = ran.said("SEDIC_QualityReport")
    below, above = said.query_selector_all(".sedic-compare img")
    ran.page.wait_for_function("([a, b]) => a.naturalWidth === 128 && b.naturalWidth === 128", arg=[below, above])
    assert (above.get_attribute("alt"), below.get_attribute("alt")) == ("original", "decoded")
    place = "() => JSON.stringify(window.app.graph.nodes.map((node) => [...node.pos]))"
    before = ran.page.evaluate(place)
    frame = said.query_selector(".pictures").bounding_box()
    middle = frame["y"] + frame["height"] / 2
    ran.page.mouse.move(frame["x"] + frame["width"] / 2, middle)
    ran.page.mouse.down()
    ran.page.mouse.move(frame["x"] + frame["width"] / 4, middle, steps=3)
    ran.page.mouse.up()
    slider = said.query_selector("input[type=range]")
    assert float(slider.input_value()) == pytest.approx(25, abs=3)
    assert above.evaluate("(image) => parseFloat(image.style.clipPath.split(' ')[1])") == pytest.approx(75, abs=3)
    assert ran.page.evaluate(place) == before
    slider.focus()
    ran.page.keyboard.press("End")
    assert above.evaluate("(image) => parseFloat(image.style.clipPath.split(' ')[1])") == 0
    said.query_selector(".sedic-compare select").select_option(label="reference")
    assert above.get_attribute("alt") == "reference"


def test_what_was_said_is_there_again_after_a_reload(ran: Window) -> None:
    before = {kind: ran.text(kind) for kind in SPEAKING}
    ran.reload()
    ran.wait_for_texts(before)


def test_nodes_whose_results_were_kept_say_it_again(ran: Window) -> None:
    before = {kind: ran.text(kind) for kind in SPEAKING}
    ran.page.route("**/sedic/said", lambda route: route.abort())  # what opening a graph asks
    ran.open(GRAPH, "again")
    assert not any(ran.text(kind) for kind in SPEAKING)
    ran.page.unroute("**/sedic/said")
    ran.run()
    ran.wait_for_texts(before)


def test_a_truncated_file_says_on_load_and_unpack_what_is_missing(
    window: Window, server: Server, sedic_file: Path
) -> None:
    (server.base / "input" / "cut.sedic").write_bytes(sedic_file.read_bytes()[:-12])
    window.open(load_alone("cut.sedic"))
    window.run()
    for kind in ("SEDIC_LoadBitstream", "SEDIC_UnpackBitstream"):
        assert "object2" in window.text(kind).splitlines()[-1]


def test_files_that_are_there_can_be_chosen_and_a_wrong_name_is_refused_before_the_run(
    window: Window, server: Server, sedic_file: Path
) -> None:
    shutil.copy(sedic_file, server.base / "input" / "mine.sedic")
    window.open(load_alone("nowhere.sedic"))
    answer = window.run(ends="refused")
    assert "nowhere.sedic" in json.dumps(answer)
    files = window.widget("SEDIC_LoadBitstream", "files")
    picker = files.evaluate_handle("widget => widget.element.querySelector('select')").as_element()
    window.page.wait_for_function("picker => [...picker.options].some(o => o.value === 'mine.sedic')", arg=picker)
    picker.evaluate("(p) => { p.value = 'mine.sedic'; p.dispatchEvent(new Event('change')); }")
    assert window.widget("SEDIC_LoadBitstream", "file").evaluate("widget => widget.value") == "mine.sedic"
    window.run()
    assert "bpp" in window.text("SEDIC_LoadBitstream")


def test_a_file_dropped_on_the_loader_is_loaded_there(window: Window, sedic_file: Path, tmp_path: Path) -> None:
    window.open(load_alone("nowhere.sedic"))
    dropped = tmp_path / "on the node.sedic"
    shutil.copy(sedic_file, dropped)
    window.drop(dropped, on="SEDIC_LoadBitstream")
    file = window.widget("SEDIC_LoadBitstream", "file")
    window.page.wait_for_function("widget => widget.value === 'on the node.sedic'", arg=file)
    assert window.page.evaluate("() => window.app.graph.nodes.length") == 4


def test_a_file_dropped_on_the_canvas_is_decoded_with_words_on_every_step_also_on_a_subgraph(
    window: Window, sedic_file: Path, tmp_path: Path
) -> None:
    # A name and a seed for each canvas: what ran for the other one would be at hand, and no step be seen.
    dropped = tmp_path / f"dropped {window.canvas}.sedic"
    replace(SedicFile.read(sedic_file), hints=Hints(seed=len(window.canvas))).write(dropped)
    window.drop(dropped)
    window.page.wait_for_function(
        "() => window.app.graph.nodes.length > 5 && window.app.extensionManager.workflow.activeWorkflow.filename"
        ".startsWith('dropped')"
    )
    assert window.widget("SEDIC_LoadBitstream", "file").evaluate("widget => widget.value") == dropped.name
    subgraph = window.page.evaluate_handle(
        """() => {
            const { graph } = window.app;
            const stage = graph.nodes.find((node) => node.comfyClass === "SEDIC_ORAGSampler");
            return stage ? graph.convertToSubgraph(new Set([stage])).node : graph.nodes.find((node) => node.subgraph);
        }"""
    )
    window.page.evaluate(
        """() => {
            window.seen = new Set();
            const note = () =>
                document.querySelectorAll(".sedic-said .standing").forEach((one) => window.seen.add(one.textContent));
            new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    window.run()
    seen = set(window.page.evaluate("() => [...window.seen]"))
    told = "object 1 of 3, step 1 of 2, update 1 of 1", "object 2 of 3, step 2 of 2", "whole picture, step 1 of 1"
    assert set(told) <= seen
    left = "() => [...document.querySelectorAll('.sedic-said .standing')].map((one) => one.textContent).join('')"
    assert window.page.evaluate(left) == ""
    assert subgraph.evaluate("node => node.widgets.some((widget) => widget.name === 'sedic said')")
    pictures = [image.get_attribute("alt") for image in window.said("SEDIC_GlobalRestore").query_selector_all("img")]
    assert pictures == ["restored", "reference"]
    assert window.failures == []


def test_of_several_pictures_each_is_shown_when_it_is_chosen_also_after_a_reload(
    window: Window, server: Server, pixels: np.ndarray
) -> None:
    """Of nodes that take all pictures at once, and of nodes that the core runs once for each."""
    Image.fromarray(pixels).save(server.base / "input" / "small.png")
    batch = {
        "11": GRAPH["1"],
        "12": {"class_type": "ImageInvert", "inputs": {"image": ["11", 0]}},
        "1": {"class_type": "ImageBatch", "inputs": {"image1": ["11", 0], "image2": ["12", 0]}},
    }
    window.open(GRAPH | batch)
    window.run()
    kinds = "SEDIC_PackBitstream", "SEDIC_LoadBitstream"

    def chosen(kind: str) -> list[str]:
        choice, texts = window.said(kind).query_selector("select.which"), []
        assert [option.text_content() for option in choice.query_selector_all("option")] == ["1 of 2", "2 of 2"]
        for place in range(2):
            choice.evaluate("(c, at) => { c.selectedIndex = at; c.dispatchEvent(new Event('change')); }", place)
            texts.append(window.text(kind))
        return texts

    seen = {kind: chosen(kind) for kind in kinds}
    assert all(first != second for first, second in seen.values())
    window.reload()
    window.wait_for_texts({kind: first for kind, (first, _) in seen.items()})
    assert {kind: chosen(kind) for kind in kinds} == seen
