"""The reference beside other codecs at the same bytes: ``python -m sedic.bench reference``.

Rates and BD-rates, times, the matrix of machines, a plot and a contact sheet. Every point of a codec on a picture is
kept in a folder under a key of all that decides it, so that new weights only make their own codec's points anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import SedicError
from ...models.processor import INSTRUCTION_SETS, instruction_sets
from ...picture import picture_endings
from ...reference import CodecError, codec_by_name
from ...reference.cheng2020 import INSTALL
from .. import page
from . import figures, matrix, papers, points, tables, times
from .points import PAPERS, RIVALS, TARGET, TARGETS, Point

PARTS = ("rates", "bd", "times", "matrix", "sheet")
"""What ``--only`` chooses from."""
PLOT, SHEET = "reference_rates.png", "reference_sheet.jpg"
_PAPERS_PICTURES, _PAPERS_CROP = 4, 64  # of the matrix: CompressAI's decoder walks over pixels in Python


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        images: folder of the pictures.
        out: keeps all results, the plot and the sheet.
        only: some of :data:`PARTS`; the others are printed as far as they are kept.
        codecs: names; None takes all that there are.
        slow: also ``av1-slow`` and ``compact-slow``, which search for long, and ``compact-1``.
        weights: folder with ``cheng2020-attn/q1`` and so on; None leaves that codec out of the rates.
        pictures: how many of the folder, by name; None takes all.
        matrix_pictures: how many of these the matrix takes; None takes all, which needs half an hour.
        workers: processes of one thread each, for rates and matrix.
        json: print JSON.
        markdown: page whose measured part is written, with the plot and the sheet beside it; None prints only.
    """

    images: Path
    out: Path
    only: Sequence[str] = PARTS
    codecs: Sequence[str] | None = None
    slow: bool = False
    weights: Path | None = None
    pictures: int | None = None
    matrix_pictures: int | None = None
    workers: int = 2
    json: bool = False
    markdown: Path | None = None


def measure(options: Options) -> None:
    """Measures what is missing and prints it.

    Raises:
        SedicError: no pictures, an unknown codec, a missing package, or a page without its marks.
    """
    if options.markdown is not None:
        page.parts(options.markdown)
    pictures = pictures_of(options.images)[: options.pictures]
    codecs = list(_codecs(options))
    tell: Callable[[str], None] = (lambda _: None) if options.json else (lambda line: print(line, flush=True))
    todo = points.tasks(codecs, pictures, options.weights, options.out)
    if {"rates", "bd", "sheet"} & set(options.only):
        for line in points.run(todo, options.workers):
            tell(line)
    curves: dict[str, dict[int, list[Point | None]]] = {name: {target: [] for target in TARGETS} for name in codecs}
    for task in todo:
        curves[task.codec][task.target].append(points.read(task))
    found: dict[str, Any] = {
        "pictures": [path.stem for path in pictures], "curves": curves,
        "times": _times(options, pictures[0], codecs, tell), "matrix": _matrices(options, pictures, codecs, tell),
    }  # fmt: skip
    drawn = _draw(options, todo, curves)
    if options.json:
        print(json.dumps(found, default=vars))
        return
    text = "\n".join(_report(found, drawn))
    print(text)
    if options.markdown is not None:
        page.write(options.markdown, text)


def pictures_of(folder: Path) -> list[Path]:
    """The pictures of a folder by name; where some have words beside them, only those: the others are their masks.

    Raises:
        SedicError: there are none.
    """
    endings = picture_endings()
    every = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in endings]
    described = [path for path in every if path.with_suffix(".json").is_file()]
    if not every:
        raise SedicError(f"{folder} holds no pictures; name another folder.")
    return described or every


def _codecs(options: Options) -> Iterator[str]:
    """The codecs that can be measured; a line on the others."""
    known = points.names(options.slow or options.codecs is not None, options.weights)
    for name in options.codecs or known:
        if name not in known:
            raise SedicError(f"There is no codec {name!r} to compare; choose from {', '.join(known)}.")
        try:
            points.key(name, options.weights)
        except CodecError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
        else:
            yield name


def _times(options: Options, picture: Path, codecs: Sequence[str], tell: Callable[[str], None]) -> Any:
    """Of each codec of the package and the paper's on one picture, and of the first one on squares."""
    own = times.codecs(codecs, papers.available())
    if "times" not in options.only or not own:
        return _kept(options.out / "times.json", None)
    found: dict[str, Any] = {"codecs": {}, "sizes": [], "weights": ""}
    for name in own:
        models = options.weights
        if name == PAPERS:
            models, found["weights"] = papers.weights_folder(options.weights, options.out)
        found["codecs"][name] = times.measure(name, models, picture, repeats=1 if name == PAPERS else times.REPEATS)
        tell(f"timed {name}")
    for side in times.SIDES:
        found["sizes"].append(times.measure(own[0], options.weights, picture, side, 1))
        tell(f"timed {own[0]} at {side}×{side}")
    found |= {"first": own[0], "importing": times.importing()}
    return _keep(options.out / "times.json", "", found)


def _matrices(options: Options, pictures: Sequence[Path], codecs: Sequence[str], tell: Callable[[str], None]) -> Any:
    """Of each codec whose symbols can be looked at."""
    some = pictures[: options.matrix_pictures]
    works = {
        name: matrix.Work(name, options.weights, codec_by_name(name).default_quality, some)
        for name in codecs
        if name not in RIVALS and hasattr(codec_by_name(name), "symbols")
    }
    told = ""
    if papers.available():
        folder, told = papers.weights_folder(options.weights, options.out)
        works[PAPERS] = matrix.Work(PAPERS, folder, papers.QUALITY, pictures[:_PAPERS_PICTURES], _PAPERS_CROP)
    elif "matrix" in options.only:
        tell(f"The matrix of cheng2020-attn is left out, as CompressAI is not here: {INSTALL}.")
    found = {}
    lacking = [f"no {name}" for name in INSTRUCTION_SETS if name not in instruction_sets()]
    for name, work in works.items():
        key = " ".join([points.key(name, work.models), str(len(work.pictures)), *lacking])
        file = options.out / f"matrix-{name}.json"
        answer = _kept(file, key)
        if answer is None and "matrix" in options.only:
            tell(f"running the configurations of {name}")
            answer = _keep(file, key, matrix.measure(work, options.workers))
        if answer is not None:
            note = f"squares of {work.crop} pixels, {told}" if name == PAPERS else "whole"
            found[name] = answer | {"note": f"{len(work.pictures)} pictures, {note}"}
    return found


def _kept(file: Path, key: str | None) -> Any:
    """What an earlier run found, with the same key; None: nothing."""
    if not file.is_file():
        return None
    kept = json.loads(file.read_text(encoding="utf-8"))
    return kept["found"] if key in (None, kept["key"]) else None


def _keep(file: Path, key: str, found: Any) -> Any:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"key": key, "found": found}, ensure_ascii=False), encoding="utf-8")
    return found


def _draw(options: Options, todo: Sequence[points.Task], curves: Any) -> list[Path]:
    """The plot, and the sheet where two codecs have its pictures; the files that were written."""
    folder = options.out if options.markdown is None else options.markdown.parent
    drawn = []
    if {"rates", "bd"} & set(options.only):
        count = len({task.picture for task in todo})
        figures.plot(curves, f"References of {count} pictures, mean", folder / PLOT)
        drawn.append(folder / PLOT)
    ordinary = {name: tables.mean(curves[name][TARGET]) for name in curves if not _learned(name)}
    best = max((m.psnr, name) for name, m in ordinary.items() if m is not None)[1] if any(ordinary.values()) else None
    own = next(iter(curves))
    if "sheet" in options.only and best is not None and best != own:
        at = {(t.codec, t.picture.stem): (t, points.read(t)) for t in todo if t.target == TARGET}
        stems = [stem for name, stem in at if name == own and at[own, stem][1] and at[best, stem][1]]
        rows = [(*at[own, stem], *at[best, stem]) for stem in figures.chosen(stems)]
        if rows:
            figures.sheet(own, best, rows, folder / SHEET)  # type: ignore[arg-type]
            drawn.append(folder / SHEET)
    return drawn


def _learned(name: str) -> bool:
    return name not in RIVALS and bool(codec_by_name(name).id != codec_by_name("av1").id)


def _report(found: dict[str, Any], drawn: Sequence[Path]) -> Iterator[str]:
    curves, count = found["curves"], len(found["pictures"])
    yield f"### At {TARGET / 1000:g} bit per pixel, {count} pictures"
    yield ""
    yield from tables.rates(curves)
    yield from ("", "### PSNR in dB / MS-SSIM at every rate", "", *tables.all_rates(curves))
    low, high = tables.LOWEST / 1000, tables.HIGHEST / 1000
    yield from ("", f"### BD-rates over {low:g} to {high:g} bit per pixel", "", *tables.bd_rates(curves))
    if found["times"] is not None:
        yield from ("### Times", "", *times.table(found["times"]["codecs"]), "")
        alone = found["times"]["importing"]
        yield from (f"Importing PyTorch {alone['version']} alone takes {alone['memory'] / 1e6:.0f} MB of it.", "")
        if PAPERS in found["times"]["codecs"]:
            yield from (f"{PAPERS}: {found['times']['weights']}.", "")
        yield from (f"{found['times']['first']} on squares:", "", *times.sizes_table(found["times"]["sizes"]), "")
    if found["matrix"]:
        yield from ("### Written under one configuration, read under every other", "", *matrix.table(found["matrix"]))
    for path in drawn:
        yield from ("", f"![{path.stem.replace('_', ' ')}]({path.name})")
