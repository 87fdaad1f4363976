"""``sedic evaluate``: a folder of originals, what came back of it, and a report."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import output
from ..errors import SedicError
from . import kept, originals
from .ablations import EMBEDDED_STEPS, PAPERS_STEPS, Ablation, ablation
from .kept import FINAL, ORIGINAL, REFERENCE, Plan, Task
from .measured import Measured, values
from .metrics import METRICS, Tools
from .originals import SceneOnDisk
from .protocols import FOLDER, PROTOCOLS, Protocol
from .report import sections
from .report.html import html
from .report.markdown import markdown
from .report.page import Report, Section

PAGE, TEXT, FOLDER_OF_PICTURES = ".html", ".md", "_pictures"
_BEGINNINGS = {PAGE: b"<title>SEDIC", TEXT: b"# SEDIC"}  # a report's title is in its first lines


@dataclass(frozen=True)
class Request:
    """What to evaluate, and how.

    Attributes:
        folder: of the originals; NAME.json beside a picture has its words.
        report: the page to write; the same as Markdown and a folder of pictures and figures come beside it.
        files: folder of NAME.sedic, which are decoded.
        decoded: folder of NAME.png and the like: what came back.
        ablation: name of one of the paper's, where that is wanted.
        steps: of the ablation ``steps``; the paper's or those of the embedded models by default.
        protocol: how originals are prepared, and who stands beside.
        plan: models, settings, figures.
        count: of pictures, the first by name; None for all.
        workers: processes of one thread each.
        command: that makes this report.
    """

    folder: Path
    report: Path
    files: Path | None = None
    decoded: Path | None = None
    ablation: str | None = None
    steps: Sequence[str] = ()
    protocol: str = FOLDER
    plan: Plan = Plan()
    count: int | None = None
    workers: int = 1
    command: str = ""

    def beside(self, ending: str) -> Path:
        """The report's name with another ending."""
        return self.report.with_name(self.report.name.removesuffix(PAGE).removesuffix(TEXT) + ending)


@dataclass(frozen=True)
class Result:
    """What was written, and its figures: means over the pictures that have it, by variant and figure."""

    page: Path
    text: Path
    pictures: int
    figures: dict[str, dict[str, float]]
    left_out: dict[str, str]


def evaluate(request: Request, say: Callable[[str], None] = lambda _: None) -> Result:
    """Restores what is to be restored, measures it and writes the report; what is kept is not done again.

    Raises:
        SedicError: pictures are missing, do not belong together, or the report cannot be written.
    """
    if request.report.is_dir():
        raise SedicError(f"{request.report} is a folder; name the report, say {request.report / 'report'}.")
    for ending, title in _BEGINNINGS.items():
        output.check(request.beside(ending))
        _require_report(request.beside(ending), title)
    protocol = PROTOCOLS[request.protocol]
    words = request.files is None and request.decoded is None
    scenes = originals.originals(request.folder, protocol, words, request.count)
    if words and not any(scene.described for scene in scenes):
        warnings.warn("No picture has a NAME.json beside it, so the files hold no words.", stacklevel=2)
    chosen = None if request.ablation is None else _ablation(request)
    todo = _tasks(request, scenes, chosen)
    tools = request.plan.tools()
    if not tools.keys:
        raise SedicError("None of the figures can be taken: " + " ".join(tools.left_out.values()))
    for line in kept.run(todo, request.workers, None, request.plan, tools):
        say(line)
    measured = Measured(todo)
    report = _report(request, measured, tools, protocol, chosen)
    output.write(request.beside(TEXT), markdown(report).encode())
    output.write(request.beside(PAGE), html(report).encode())
    return Result(
        request.beside(PAGE), request.beside(TEXT), len(todo), _means(measured, todo[0].variants, tools), tools.left_out
    )


def _require_report(path: Path, title: bytes) -> None:
    """A report is replaced by the next one; a README.md of somebody's is not.

    Raises:
        SedicError: something else is there.
    """
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(1000)
        if head and title not in head:
            raise SedicError(f"{path} is there and is no report of sedic's; name another report, or move it away.")


def _ablation(request: Request) -> Ablation:
    settings = request.plan.settings
    default = EMBEDDED_STEPS if request.plan.models == kept.EMBEDDED else PAPERS_STEPS
    assert request.ablation is not None
    return ablation(request.ablation, (settings.object_steps, settings.overall_steps), request.steps or default)


def _tasks(request: Request, scenes: Sequence[SceneOnDisk], chosen: Ablation | None) -> list[Task]:
    """One for each scene, with the partners that belong to it.

    Raises:
        SedicError: some do not.
    """
    whole = request.count is None
    found: dict[str, list[Path]] = {}
    for kind, folder, listed in (
        ("file", request.files, originals.files),
        ("decoded", request.decoded, originals.pictures),
    ):
        if folder is not None:
            found[kind] = originals.partners(scenes, listed(folder), folder, whole)
            originals.check_sizes(scenes, found[kind])
    names: Sequence[str] = (
        (ORIGINAL, REFERENCE, FINAL) if "decoded" not in found or "file" in found else (ORIGINAL, FINAL)
    )
    if chosen is not None:
        scenes = [scene for scene in scenes if scene.objects >= chosen.objects]
        names = (ORIGINAL, *chosen.variants)
        if not scenes:
            raise SedicError(
                f"No picture of {request.folder} has {chosen.objects} objects or more in a NAME.json beside it, which "
                f"{chosen.name} compares; describe some."
            )
    todo = []
    for place, scene in enumerate(scenes):
        partners: dict[str, Any] = {kind: paths[place] for kind, paths in found.items()}
        folder = request.beside(FOLDER_OF_PICTURES) / scene.name
        todo.append(Task(scene, None, folder, tuple(names), **partners))
    return todo


def _report(request: Request, measured: Measured, tools: Tools, protocol: Protocol, chosen: Ablation | None) -> Report:
    plan, count = request.plan, len(measured.tasks)
    facts = [protocol.told(count)]
    if request.decoded is None:
        weights = (
            f"weights {kept.weights_fingerprint()}" if plan.models == kept.EMBEDDED else f"of {Path(plan.models).name}"
        )
        s = plan.settings
        facts.append(
            f"Models: {plan.models if plan.models == kept.EMBEDDED else 'a folder'}, {weights}, {plan.precision} on "
            f"{plan.device}; {s.object_steps} steps an object, {s.overall_steps} for the whole; guidance "
            f"{'on' if s.guide else 'off'}, fusion {'on' if s.fuse else 'off'}"
        )
    if chosen is not None:
        parts = list(sections.ablation(measured, tools, chosen))
        title = f"SEDIC: {chosen.title}"
    else:
        made: Sequence[Section | None] = (
            sections.figures(measured, tools),
            sections.rates(measured, protocol),
            sections.curves(measured, tools, protocol),
            sections.times(measured),
            sections.pictures(measured, tools),
        )
        parts = [section for section in made if section is not None]
        title = f"SEDIC on {protocol.title}"
    return Report(title, facts, [*parts, sections.definitions(tools)], [request.command] if request.command else [])


def _means(measured: Measured, names: Sequence[str], tools: Tools) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name in names:
        rows = [row[0] for row in measured.rows(name)]
        if name == ORIGINAL or not rows:
            continue
        numbers = {key: values(rows, key) for key in tools.keys if METRICS[key].load}
        found[name] = {
            key: float(some[~np.isnan(some)].mean()) for key, some in numbers.items() if not np.isnan(some).all()
        }
        if all("bytes" in row for row in rows):
            found[name]["bpp"] = float((8 * values(rows, "bytes") / values(rows, "pixels")).mean())
    return found
