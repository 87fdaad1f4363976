"""The shipped graphs in a real browser: opened from the template browser, run with one press, bypassed, saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headless.build import GRAPHS
from headless.comfyui import PACK_NAME, Server
from headless.graph import read_workflow
from headless.newer import NODES
from sedic.demo import PICTURE_NAME
from tests.comfyui.inputs import small_photograph

from .window import PATIENCE, open_graph, set_up, shipped

READY = "() => window.app?.graph && app.extensionManager && LiteGraph.registered_node_types?.SEDIC_PackBitstream"
PROMPT = "async () => (await app.graphToPrompt()).output"


@pytest.fixture(scope="module")
def page(server: Server, fresh_page: Any) -> Any:
    """ComfyUI's window, in the classic canvas; the server's folders were empty before it started."""
    fresh_page.set_default_timeout(PATIENCE)
    set_up(server.url, "classic")
    fresh_page.goto(server.url, wait_until="domcontentloaded")
    fresh_page.wait_for_function(READY)
    return fresh_page


def by_titles(prompt: dict[str, Any]) -> dict[str, Any]:
    """A graph in API form by its nodes' titles, whatever their ids; bypassed nodes that nothing needs included."""
    titles = {number: node["_meta"]["title"] for number, node in prompt.items()}

    def named(value: Any) -> Any:
        return [titles.get(str(value[0])), value[1]] if isinstance(value, list) else value

    return {
        titles[number]: {key: named(value) for key, value in node["inputs"].items()} for number, node in prompt.items()
    }


def test_the_template_browser_shows_the_graphs_and_the_first_press_of_run_ends_well(page: Any, server: Server) -> None:
    page.evaluate("() => app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text(PACK_NAME, exact=True).first.click()
    for name in GRAPHS:
        page.get_by_test_id(f"template-workflow-{name}").wait_for(state="attached")
    card = page.get_by_test_id("template-workflow-sedic_full")
    card.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector(\"img[alt='sedic_full']\")?.naturalWidth > 100")
    card.click()
    page.wait_for_function("() => app.graph.nodes.some((node) => node.title === 'Restore object 3')")
    # The example is there, under the name that the graph loads; from now on smaller, as it is the wires that count.
    example = server.base / "input" / PICTURE_NAME
    assert example.is_file()
    small_photograph(server.base).replace(example)
    page.evaluate(
        """() => {
            window.ended = null;
            const end = (event) => (window.ended ??= [event.type, event.detail]);
            for (const kind of ["execution_success", "execution_error", "execution_interrupted"])
                app.api.addEventListener(kind, end, { once: true });
            for (const node of app.graph.nodes)
                for (const widget of node.widgets ?? [])
                    if (["steps", "updates"].includes(widget.name)) widget.value = 1;
        }"""
    )
    with page.expect_response(lambda answer: answer.url.endswith("/prompt")) as queued:
        page.evaluate("() => { app.queuePrompt(0); }")
    assert queued.value.status == 200, queued.value.text()
    assert not queued.value.json()["node_errors"]
    page.wait_for_function("() => window.ended", timeout=400_000)
    kind, detail = page.evaluate("() => window.ended")
    assert kind == "execution_success", detail
    page.wait_for_function(
        """() => {
            const { id } = app.graph.nodes.find((node) => node.title === "Final picture");
            return app.nodeOutputs[id]?.images?.length === 1;
        }"""
    )
    assert page.evaluate("() => app.graph.nodes.filter((node) => node.has_errors).map((node) => node.title)") == []


@pytest.mark.parametrize("name", list(GRAPHS))
def test_the_window_queues_what_the_client_queues_also_after_saving(page: Any, repository: Path, name: str) -> None:
    workflow = read_workflow(repository / "headless" / f"{name}.json")
    known = page.evaluate("() => Object.keys(LiteGraph.registered_node_types)")
    if newer := {entry["class_type"] for entry in workflow.values()} & {*NODES} - {*known}:
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(newer))}")
    expected = by_titles(workflow)
    open_graph(page, shipped(repository, name))
    assert by_titles(page.evaluate(PROMPT)) == expected
    saved = page.evaluate("() => JSON.parse(JSON.stringify(app.graph.serialize()))")
    open_graph(page, saved)
    assert by_titles(page.evaluate(PROMPT)) == expected


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_bypassed_stage_hands_on_the_one_before(page: Any, repository: Path, stage: int) -> None:
    open_graph(page, shipped(repository, "sedic_decode"))
    page.evaluate("title => { app.graph.nodes.find((n) => n.title === title).mode = 4; }", f"Restore object {stage}")
    prompt = by_titles(page.evaluate(PROMPT))
    before = [f"Sample object {stage - 1}", 2] if stage > 1 else ["Reference Decode", 0]
    assert prompt[f"After object {stage}"]["images"] == before
    if stage == 3:
        assert prompt["Restore the whole"]["image"] == before
    else:
        assert prompt[f"Sample object {stage + 1}"]["image"] == before
        previous = [before[0], 1] if stage > 1 else before
        assert prompt[f"Fuse object {stage + 1}"]["previous"] == previous


def test_bypassing_the_sampler_alone_leaves_the_next_stage_its_picture(page: Any, repository: Path) -> None:
    open_graph(page, shipped(repository, "sedic_decode"))
    page.evaluate(
        """() => {
            const stage = app.graph.nodes.find((node) => node.title === "Restore object 2");
            stage.subgraph.nodes.find((node) => node.type === "SEDIC_ORAGSampler").mode = 4;
        }"""
    )
    prompt = by_titles(page.evaluate(PROMPT))
    assert prompt["Sample object 3"]["image"] == ["Sample object 1", 2]
    assert "previous" not in prompt["Fuse object 3"] or prompt["Fuse object 3"]["previous"] == ["Sample object 1", 1]


def test_a_graph_of_the_last_version_opens_and_queues_what_it_did(page: Any, repository: Path) -> None:
    released = repository / "tests" / "comfyui" / "released"
    open_graph(page, json.loads((released / "window_sedic_full.json").read_text(encoding="utf-8")))
    now = by_titles(page.evaluate(PROMPT))
    then = by_titles(read_workflow(released / "api_sedic_full.json"))
    assert {*now} == {*then}
    for title, inputs in then.items():
        assert {key: now[title].get(key) for key in inputs} == inputs
