"""ComfyUI's window in a Chromium: graphs opened, run and looked at as a person does."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

CANVASES = ("classic", "nodes 2.0")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--mute-audio",
]  # fmt: skip
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Workflow.Persist": True,
    "Comfy.Minimap.Visible": False,
}
PATIENCE = 180_000  # milliseconds
SETTLED = """async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    for (let same = 0, before; same < 5; ) {
        await frame();
        const now = JSON.stringify(app.graph.nodes.map((node) => [...node.pos, ...node.size]));
        same = now === before ? same + 1 : 0;
        before = now;
    }
}"""


def chromium() -> str | None:
    """Where a Chromium is installed, if one is."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def lacking() -> str:
    """What these tests need and this machine does not have; empty where it has all."""
    if chromium() is None:
        return "the window's tests need Chromium (on Debian: apt-get install chromium)"
    if importlib.util.find_spec("playwright") is None:
        return "the window's tests need Playwright (pip install playwright)"
    return ""


def set_up(server: str, canvas: str) -> None:
    """Chooses the canvas, and answers what the window asks newcomers."""
    settings = SETTINGS | {"Comfy.VueNodes.Enabled": canvas == "nodes 2.0"}
    body = json.dumps(settings).encode()
    request = urllib.request.Request(f"{server}/settings", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()


class Window:
    """One page with ComfyUI in it."""

    def __init__(self, page: Any, server: str, canvas: str) -> None:
        """Opens ``server`` in ``page``; ``canvas`` is one of :data:`CANVASES`."""
        self.page, self.server, self.canvas = page, server, canvas
        self.failures: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.failures.append(str(error)))
        set_up(server, canvas)
        self.reload()

    def reload(self) -> None:
        """Loads the page anew, as a person does with F5."""
        self.page.goto(self.server, wait_until="domcontentloaded")
        self.page.wait_for_function(
            "() => window.app?.canvas && window.app.graph && document.querySelector('#graph-canvas')"
            " && window.app.extensionManager?.workflow?.activeWorkflow && window.LiteGraph?.registered_node_types"
            "?.SEDIC_PackBitstream"
        )
        self.page.wait_for_timeout(300)

    def open(self, graph: dict[str, Any], name: str = "tried") -> None:
        """Opens a graph in the form of ComfyUI's API or in that of the window."""
        call = "loadGraphData(graph, true, true, name)" if "nodes" in graph else "loadApiJson(graph, name)"
        self.page.evaluate("([graph, name]) => window.app." + call, [graph, name])
        self.page.wait_for_timeout(200)
        self.look(0.6, (0, 60))

    def look(self, scale: float, offset: tuple[float, float]) -> None:
        """Moves the view."""
        self.page.evaluate(
            "([scale, offset]) => { const c = window.app.canvas; Object.assign(c.ds, { scale, offset });"
            " c.setDirty(true, true); }",
            [scale, offset],
        )

    def run(self, ends: str = "execution_success") -> Any:
        """Presses Run and waits for the end; what the window was told of it."""
        self.page.evaluate(
            """() => {
                window.ended = null;
                const end = (event) => (window.ended ??= [event.type, event.detail]);
                for (const kind of ["execution_success", "execution_error", "execution_interrupted"])
                    window.app.api.addEventListener(kind, end, { once: true });
            }"""
        )
        with self.page.expect_response(lambda answer: answer.url.endswith("/prompt")) as queued:
            self.page.evaluate("() => { window.app.queuePrompt(0); }")
        if queued.value.status != 200:
            assert ends == "refused", queued.value.text()
            return queued.value.json()
        self.page.wait_for_function("() => window.ended")
        kind, detail = self.page.evaluate("() => window.ended")
        assert kind == ends, (kind, detail)
        self.page.wait_for_timeout(200)
        return detail

    def node(self, kind: str) -> Any:
        """The only node of a kind, also within subgraphs: a handle on it."""
        nodes = self.page.evaluate_handle(
            """kind => {
                const all = (graph) => (graph?.nodes ?? []).flatMap((node) => [node, ...all(node.subgraph)]);
                return all(window.app.rootGraph ?? window.app.graph).filter((node) => node.comfyClass === kind);
            }""",
            kind,
        )
        assert nodes.evaluate("nodes => nodes.length") == 1, kind
        return nodes.evaluate_handle("nodes => nodes[0]")

    def widget(self, kind: str, name: str) -> Any:
        """A widget of the only node of a kind: a handle on it."""
        return self.node(kind).evaluate_handle("(node, name) => node.widgets.find((w) => w.name === name)", name)

    def said(self, kind: str) -> Any:
        """The element in which the node of a kind says what it has to say."""
        return self.widget(kind, "sedic said").evaluate_handle("widget => widget.element").as_element()

    def text(self, kind: str) -> str:
        """What the node of a kind says."""
        return self.said(kind).query_selector(".words").text_content()

    def wait_for_texts(self, expected: dict[str, str]) -> None:
        """Waits until the nodes of these kinds say this; they lie in no subgraph."""
        self.page.wait_for_function(
            """expected => Object.entries(expected).every(([kind, text]) => {
                const node = window.app.graph.nodes.find((node) => node.comfyClass === kind);
                const said = node?.widgets.find((w) => w.name === "sedic said");
                return said?.element.querySelector(".words").textContent === text;
            })""",
            arg=expected,
        )

    def show(self, kind: str) -> None:
        """Moves the view so that the node of a kind is in its middle, in its own size."""
        self.node(kind).evaluate(
            "({ pos }) => { const { ds } = window.app.canvas; ds.scale = 1; ds.offset = [300 - pos[0], 200 - pos[1]];"
            " window.app.canvas.setDirty(true, true); }"
        )
        self.page.wait_for_timeout(300)

    def drop(self, path: Path, on: str | None = None) -> None:
        """Drops a file on the canvas, or on the node of a kind."""
        data = base64.b64encode(path.read_bytes()).decode()
        node = None if on is None else self.node(on).evaluate("node => node.id")
        self.page.evaluate(
            """([data, name, id]) => {
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], name));
                const canvas = document.querySelector("#graph-canvas");
                let target = canvas, [x, y] = [innerWidth - 60, innerHeight - 60];
                if (id !== null) {
                    const node = window.app.graph.getNodeById(id);
                    const drawn = document.querySelector(`[data-node-id="${id}"]`);
                    target = drawn ?? canvas;
                    const place = window.app.canvas.convertOffsetToCanvas([node.pos[0] + 20, node.pos[1] - 10]);
                    const { left, top } = canvas.getBoundingClientRect();
                    [x, y] = [left + place[0], top + place[1]];
                }
                for (const kind of ["dragenter", "dragover", "drop"])
                    target.dispatchEvent(new DragEvent(kind, {
                        bubbles: true, cancelable: true, dataTransfer: transfer, clientX: x, clientY: y,
                    }));
            }""",
            [data, path.name, node],
        )


def open_graph(page: Any, graph: dict[str, Any]) -> None:
    """Opens a graph as the template browser does, and waits until nothing moves."""
    page.evaluate("graph => app.loadGraphData(graph, true, true, 'tried', { openSource: 'template' })", graph)
    page.evaluate(SETTLED)


def shipped(repository: Path, name: str) -> dict[str, Any]:
    """The window's form of a shipped graph."""
    return json.loads((repository / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
