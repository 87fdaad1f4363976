"""The report's sections, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageOps

from ...errors import SedicError
from ...metrics.sheet import contact_sheet, jpeg
from ...picture import read_picture
from .. import kept as on_disk
from .. import peers
from ..ablations import Ablation
from ..intervals import bootstrap
from ..kept import FINAL, ORIGINAL, REFERENCE
from ..measured import Kept, Measured, Table, bpp, mean_told, of_set, paired, told, values, verdict
from ..metrics import METRICS, Tools
from ..protocols import Protocol
from . import plots
from .page import Plot, Section, Sheet

_PANEL = 288, 192  # pixels
_SHEET_ROWS, _SHEETS, _SHEET_BYTES = 8, 3, 400_000
_PARTS = ("reference", "words", "masks", "header and framing")


def figures(measured: Measured, tools: Tools) -> Section:
    """The final picture, beside the reference where there is one."""
    names = [name for name in (REFERENCE, FINAL) if measured.rows(name)]
    rows = measured.rows(ORIGINAL, *names)
    columns = {name: [row[1 + place] for row in rows] for place, name in enumerate(names)}
    originals = [row[0] for row in rows]
    compared = len(names) == 2
    header = ["", *names, *(("final − reference, 95%", "") if compared else ()), "computed by"]
    lines, notes = [], []
    for key in tools.keys:
        metric = METRICS[key]
        try:
            cells = [mean_told(columns[name], key, originals) for name in names]
        except SedicError as error:
            notes.append(f"{metric.label} is left out: {error}")
            continue
        if compared:
            change = paired(columns[REFERENCE], columns[FINAL], key) if metric.load else None
            cells += [told(change, metric.digits, True), verdict(change, metric.better)] if change else ["", ""]
        lines.append([f"{metric.label} {'↑' if metric.better == 'higher' else '↓'}", *cells, tools.about[key]])
    notes.append(
        "Means over pictures with 95% bootstrap intervals; of sets the standard error by the jackknife, where it is "
        "taken. Better and worse stand only where the interval of the paired difference leaves out zero."
    )
    table = Table("", header, lines, notes)
    return Section("Figures", [table, *_left_out(tools)])


def _left_out(tools: Tools) -> list[Table]:
    if not tools.left_out:
        return []
    rows = [[METRICS[key].label, why] for key, why in tools.left_out.items()]
    return [Table("Left out", ["figure", "why"], rows)]


def rates(measured: Measured, protocol: Protocol) -> Section | None:
    """What the files cost, and where their bytes go (Table VIII)."""
    finals = [row[0] for row in measured.rows(FINAL) if "bytes" in row[0]]
    if not finals:
        return None
    paper, split = peers.rates(protocol.name), [on_disk.parts(row) for row in finals]
    size, pixels = values(finals, "bytes"), values(finals, "pixels")
    header = ["", "bytes", "bpp", "share", *(["the paper's bpp"] if paper else [])]
    lines = []
    for part in _PARTS:
        spent = np.array([parts.get(part, 0) for parts in split])
        theirs = [f"{paper[part]:.4f}" if part in paper else ""] if paper else []
        lines.append(
            [
                part,
                f"{spent.mean():.0f}",
                f"{(8 * spent / pixels).mean():.4f}",
                f"{spent.sum() / size.sum():.0%}",
                *theirs,
            ]
        )
    rate = bootstrap(8 * size / pixels)
    lines.append(
        ["whole file", told(bootstrap(size), 0), told(rate, 4), "100%", *([f"{paper['total']:.4f}"] if paper else [])]
    )
    return Section(
        "Bits", [Table("", header, lines, ["Mean over pictures of bytes and of bits per pixel, nothing left out."])]
    )


def curves(measured: Measured, tools: Tools, protocol: Protocol) -> Section | None:
    """Rate and distortion beside the peers of the same protocol."""
    known = peers.points(protocol.name)
    finals = [row[0] for row in measured.rows(FINAL) if "bytes" in row[0]]
    if not known or not finals:
        return None
    rate = float((8 * values(finals, "bytes") / values(finals, "pixels")).mean())
    ours = f"this report, {len(finals)} of {protocol.pictures}"
    short = len(finals) != protocol.pictures
    note = (
        f"Ring: {len(finals)} of the protocol's {protocol.pictures} pictures, so not quite its mean." if short else ""
    )
    parts: list[str | Table | Plot | Sheet] = []
    for key in tools.keys:
        theirs: dict[str, list[plots.Mark]] = {}
        for point in known:
            if key in point.figures:
                theirs.setdefault(point.method, []).append(plots.Mark(point.bpp, point.figures[key]))
        own = _own(measured, key, rate)
        if theirs and own is not None:
            series = [plots.Series(ours, [own], True, short)]
            series += [plots.Series(method, marks) for method, marks in theirs.items()]
            metric = METRICS[key]
            title = f"{metric.label}, {metric.better} is better: {protocol.title}"
            parts.append(Plot(title, plots.plot(title, "bits per pixel of the whole file", metric.label, series), note))
    return Section("Beside others", [*parts, _peers_table(known)])


def _own(measured: Measured, key: str, rate: float) -> plots.Mark | None:
    rows = measured.rows(ORIGINAL, FINAL)
    metric, finals = METRICS[key], [row[1] for row in rows]
    if metric.load is None:
        try:
            value, _ = of_set(metric, [row[0] for row in rows], finals)
        except SedicError:  # told beside the figures
            return None
        return plots.Mark(rate, value) if math.isfinite(value) else None
    numbers = values(finals, key)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return None
    found = bootstrap(numbers)
    return plots.Mark(rate, found.mean, found.low, found.high)


def _peers_table(known: Sequence[peers.Point]) -> Table:
    keys = [key for key in (*METRICS, peers.UNNAMED) if any(key in point.figures for point in known)]
    named = [METRICS[key].label if key in METRICS else "LPIPS" for key in keys]
    rows = [
        [
            p.method,
            f"{p.bpp:.4f}",
            *(f"{p.figures[key]:g}" if key in p.figures else "" for key in keys),
            p.net,
            p.how,
            p.source,
        ]
        for p in known
    ]
    note = "LPIPS of a network that nobody stated shares no plot; figure: read by eye off a plot, within 5 %."
    return Table("Published figures of this protocol", ["", "bpp", *named, "LPIPS net", "how", "source"], rows, [note])


def times(measured: Measured) -> Section | None:
    """What each stage took (Table VI)."""
    found = [on_disk.seconds(row[0]) for row in measured.rows(FINAL)]
    found = [one for one in found if one]
    if not found:
        return None
    totals = [{**one, "decode": sum(v for k, v in one.items() if k != "encode")} for one in found]
    stages = [name for name in dict.fromkeys(k for one in totals for k in one) if name not in ("encode", "decode")]
    order = [*(["encode"] if any("encode" in one for one in totals) else []), *stages, "decode"]
    rows = []
    for name in order:
        numbers = [one[name] for one in totals if name in one]
        label = f"{name}: all stages together" if name == "decode" else name
        rows.append([label, told(bootstrap(numbers), 2), str(len(numbers))])
    theirs = [[r["method"], r["device"], f"{r['encode']:g}", f"{r['decode']:g}", r["source"]] for r in peers.times()]
    return Section(
        "Times",
        [
            Table("Seconds a picture, here", ["stage", "seconds", "pictures"], rows,
                  ["Of this machine as it was, models loaded."]),
            Table("Published, seconds a Kodak picture", ["", "on", "encode", "decode", "source"], theirs),
        ],
    )  # fmt: skip


def pictures(measured: Measured, tools: Tools) -> Section:
    """Contact sheets, and the figures of each picture."""
    names = [name for name in (REFERENCE, FINAL) if measured.rows(name)]
    keys = [key for key in tools.keys if METRICS[key].load]
    header = ["", "bytes", "bpp", *(f"{METRICS[key].label}: {name}" for key in keys for name in names)]
    rows: list[list[str]] = []
    parts: list[str | Table | Sheet] = []
    panels: list[list[tuple[str, Image.Image]]] = []
    tasks = list(enumerate(measured.tasks))
    for place, task in tasks:
        kept = {name: measured.kept(place, name) for name in names}
        final = kept[FINAL]
        if final is None:
            continue
        rate = [f"{int(final['bytes'])}", bpp([final])] if "bytes" in final else ["", ""]
        rows.append([task.scene.name, *rate, *(_one(kept[name], key) for key in keys for name in names)])
        if len(panels) < _SHEETS * _SHEET_ROWS:
            shown = [("original", task.scene.opened().pixels)]
            shown += [(name, read_picture(on_disk.picture_of(task, name))) for name in names]
            told_of = {"original": task.scene.name, **{name: _label(kept[name], keys) for name in names}}
            panels.append([(f"{name}\n{told_of[name]}", _fitted(pixels)) for name, pixels in shown])
    for start in range(0, len(panels), _SHEET_ROWS):
        some = [panel for row in panels[start : start + _SHEET_ROWS] for panel in row]
        sheet = contact_sheet(some, len(names) + 1, panel_width=_PANEL[0])
        parts.append(Sheet("Original" + "".join(f", {name}" for name in names), jpeg(sheet, _SHEET_BYTES)))
    if len(panels) < len(rows):
        parts.append(f"The sheets show the first {len(panels)} of {len(rows)} pictures.")
    return Section("Pictures", [*parts, Table("", header, rows)])


def _one(kept: Kept | None, key: str) -> str:
    if kept is None or key not in kept or math.isnan(float(kept[key])):
        return "–"
    value = float(kept[key])
    return f"{value:.{METRICS[key].digits}f}" if math.isfinite(value) else "equal"


def _label(kept: Kept | None, keys: Sequence[str]) -> str:
    return ", ".join(f"{METRICS[key].label.removesuffix(', dB')} {_one(kept, key)}" for key in keys[:3])


def _fitted(pixels: np.ndarray) -> Image.Image:
    return ImageOps.pad(Image.fromarray(pixels), _PANEL, color=(236, 234, 228))


def ablation(measured: Measured, tools: Tools, chosen: Ablation) -> Iterator[Section]:
    """An ablation's tables: its rows, how they differ from the base, and the paper's own."""
    rows = measured.rows(ORIGINAL, *chosen.variants, objects=chosen.objects)
    if not rows:
        raise SedicError(
            f"No picture has what {chosen.name} compares: {chosen.objects} objects or more with masks; describe the "
            "pictures in a NAME.json beside each."
        )
    originals = [row[0] for row in rows]
    columns = {name: [row[1 + place] for row in rows] for place, name in enumerate(chosen.variants)}
    known = peers.ablation(chosen.name)
    means, differences, notes, keys = [], [], [], list(tools.keys)
    for key in tools.keys:
        try:
            mean_told(columns[chosen.base], key, originals)
        except SedicError as error:
            keys.remove(key)
            notes.append(f"{METRICS[key].label} is left out: {error}")
    single = [key for key in keys if METRICS[key].load]
    for name, label in chosen.rows:
        some = columns[name]
        seconds = [sum(v for k, v in on_disk.seconds(row).items() if k != "encode") for row in some]
        took = f"{np.mean(seconds):.2f}" if all(seconds) else ""
        means.append([label, bpp(some), *(mean_told(some, key, originals) for key in keys), took])
        if name != chosen.base:
            changes = [(paired(columns[chosen.base], some, key), METRICS[key]) for key in single]
            cells = [f"{told(c, m.digits, True)}, {verdict(c, m.better)}" if c else "–" for c, m in changes]
            differences.append([label, *cells])
    base = dict(chosen.rows)[chosen.base]
    least = "an object" if chosen.objects == 1 else f"at least {chosen.objects} objects"
    count = f"{len(rows)} pictures" + (f" with {least}" if chosen.objects else "")
    yield Section(
        chosen.title,
        [
            count,
            Table("", ["", "bpp", *(METRICS[key].label for key in keys), "decode, s"], means, notes),
            Table(
                f"Less “{base}”, picture by picture, 95%", ["", *(METRICS[key].label for key in single)], differences
            ),
            *([_papers(known, chosen)] if known else []),
            *_left_out(tools),
        ],
    )


def _papers(known: object, chosen: Ablation) -> Table:
    table: dict = dict(known)  # type: ignore[call-overload]
    rows = [
        [label, *(f"{value:g}" for value in table["rows"][name])]
        for name, label in chosen.rows
        if name in table["rows"]
    ]
    return Table(f"The paper's, on {table['set']}, with its models", ["", *table["columns"]], rows)


def definitions(tools: Tools) -> Section:
    """What each figure is, by which library and weights."""
    rows = [[METRICS[key].label, METRICS[key].how, tools.about[key]] for key in tools.keys]
    return Section("What the figures are", [Table("", ["figure", "definition", "computed by"], rows)])
