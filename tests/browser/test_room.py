"""Nodes of the shipped graphs have room for all that they may say and show: none grows over another."""

from __future__ import annotations

from pathlib import Path

import pytest

from headless.build import GRAPHS
from sedic.demo import PICTURE_NAME

from .window import Window, open_graph, shipped

SENTENCES = " ".join(["The picture is of another size than the mask, which was made as large."] * 12)
PARTS = [{"name": name, "bytes": 500} for name in ("reference", "words", "masks", "header and framing")]
PICTURE = {"subfolder": "", "type": "input"}
# Everything at once: as many words as there may be, the bar, the pictures of nodes that show some.
SAY_ALL = """([sentences, parts, picture, name]) => {
    const spend = ["PackBitstream", "SaveBitstream", "LoadBitstream", "QualityReport"].map((kind) => `SEDIC_${kind}`);
    const compare = ["reference", "restored"].map((called) => ({ name: called, file: name, ...picture }));
    const compares = ["SEDIC_GlobalRestore", "SEDIC_QualityReport"];
    window.pictured = [];
    for (const { id, comfyClass: kind = "", widgets } of app.graph.nodes) {
        const output = {};
        if (["SEDIC_GroundedSAM", "PreviewImage", "SaveImage"].includes(kind)) {
            output.images = [{ filename: name, ...picture }];
            window.pictured.push(id);
        }
        if (kind.startsWith("SEDIC_") && widgets?.some((widget) => widget.name === "sedic said"))
            output.sedic_said = [{
                text: sentences, target: kind === "SEDIC_PackBitstream" ? 1000 : 0,
                parts: spend.includes(kind) ? parts : [], compare: compares.includes(kind) ? compare : [],
            }];
        app.api.dispatchCustomEvent("executed", { node: id, display_node: id, prompt_id: "", output });
    }
    const standing = (graph, before) => {
        for (const node of graph.nodes) {
            if (node.comfyClass === "SEDIC_ORAGSampler" || node.comfyClass === "SEDIC_GlobalRestore")
                app.api.dispatchCustomEvent("sedic.progress", { node: `${before}${node.id}`, text: "object 1 of 3" });
            if (node.subgraph) standing(node.subgraph, `${before}${node.id}:`);
        }
    };
    standing(app.graph, "");
}"""
SHOWN = {
    "classic": "() => { app.canvas.setDirty(true, true);"
    " return pictured.every((id) => app.graph.getNodeById(id).imgs?.[0].naturalWidth); }",
    "nodes 2.0": "() => pictured.every((id) => [...document.querySelectorAll(`[data-node-id='${id}'] img`)]"
    ".some((image) => image.naturalWidth))",
}
BOXES = {
    "classic": "() => app.graph.nodes.map(({ title, pos: [x, y], size: [w, h] }) => [title, x, y - 30, w, h + 30])",
    "nodes 2.0": """() => app.graph.nodes.map(({ id, title }) => {
        const { x, y, width, height } = document.querySelector(`[data-node-id="${id}"]`).getBoundingClientRect();
        return [title, x, y, width, height];
    })""",
}


@pytest.mark.parametrize("name", list(GRAPHS))
def test_nodes_do_not_grow_over_one_another_whatever_they_say(window: Window, repository: Path, name: str) -> None:
    graph = shipped(repository, name)
    graph["extra"].pop("linearMode", None)  # an app's graph, not its face
    open_graph(window.page, graph)
    window.page.evaluate(SAY_ALL, [SENTENCES, PARTS, PICTURE, PICTURE_NAME])
    window.page.wait_for_function(SHOWN[window.canvas])
    window.page.wait_for_timeout(300)
    boxes = window.page.evaluate(BOXES[window.canvas])
    for place, (title, x, y, wide, high) in enumerate(boxes):
        for other, other_x, other_y, other_wide, other_high in boxes[place + 1 :]:
            apart = x + wide <= other_x or other_x + other_wide <= x or y + high <= other_y or other_y + other_high <= y
            assert apart, f"{title} ({y}, {high}) lies over {other} ({other_y}, {other_high})"
