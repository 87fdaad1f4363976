"""The tables, as Markdown, from what is kept on disk; nothing is restored here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...metrics.naturalness import naturalness
from ...metrics.perception import FEATURES, NAME, WINDOW
from ...metrics.realism import frechet_distance, kernel_distance
from . import few, work
from .statistics import Interval, bootstrap, jackknife
from .variants import CODECS, FEW_DETAIL_WORDS, FEW_OVERALL_WORDS
from .work import Task

Kept = dict[str, np.ndarray]

_FEWEST = 8  # pictures, below which an interval says nothing

CONTENTS = {
    "row 1": "no objects",
    "row 2": "one object",
    "row 3": "one object, no overall text",
    "row 4": "two objects, no overall text",
    "row 5": "three objects, no overall text",
    "final": "all of it",
    "row 7": "no reference: a grey picture",
    "row 8": f"details of at most {FEW_DETAIL_WORDS} words",
    "row 9": f"overall text of at most {FEW_OVERALL_WORDS} words",
}
"""The rows of the paper's Table V in its order, 1 to 9."""


class Measured:
    """One set of pictures with what is kept of their variants."""

    def __init__(self, todo: Sequence[Task]):
        self.tasks = todo
        self._kept: dict[tuple[int, str], Kept | None] = {}

    def kept(self, place: int, name: str) -> Kept | None:
        """A variant of one picture."""
        if (place, name) not in self._kept:
            self._kept[place, name] = work.read(self.tasks[place], name)
        return self._kept[place, name]

    def rows(self, *names: str, objects: int = 0) -> list[list[Kept]]:
        """For each picture that has all of these variants, and so many objects, what is kept of each."""
        found = []
        for place, task in enumerate(self.tasks):
            if len(task.scene.semantics.objects) >= objects:
                kept = [self.kept(place, name) for name in names]
                if all(one is not None for one in kept):
                    found.append([one for one in kept if one is not None])
        return found


def autoencoder(measured: Measured) -> Iterator[str]:
    """The autoencoder alone."""
    rows = measured.rows(work.AUTOENCODER)
    if rows:
        found = bootstrap([float(row[0]["psnr"]) for row in rows])
        yield f"The autoencoder alone: {_interval(found, 2)} dB over {found.count} pictures."


def main(measured: Measured) -> Iterator[str]:
    """The final picture against the reference."""
    rows = measured.rows(work.ORIGINAL, "reference", "final")
    if len(rows) < 2:
        return
    originals, references, finals = (list(column) for column in zip(*rows, strict=True))
    bits = 8 * sum(float(r["bytes"]) for r in finals) / sum(float(r["pixels"]) for r in finals)
    yield f"{len(rows)} pictures, {np.mean([float(r['bytes']) for r in finals]):.0f} bytes a file, {bits:.4f} bpp"
    yield ""
    yield "| | reference | final | final − reference, 95% | change |"
    yield "|---|---|---|---|---|"
    for label, key, digits in ((NAME, "distance", 3), ("PSNR, dB", "psnr", 2), ("MS-SSIM", "ms_ssim", 3)):
        before, after = (np.array([float(row[key]) for row in some]) for some in (references, finals))
        yield _compared(label, before, after, digits)
    windows = sum(len(r["windows"]) for r in originals)
    if windows <= 2 * FEATURES:
        yield ""
        yield f"{windows} windows are too few for distances between sets; measure more pictures."
        return
    for label, figure, key in (
        ("Fréchet distance", frechet_distance, "windows"),
        ("kernel distance", kernel_distance, "windows"),
    ):
        shown = [
            jackknife([[r[key] for r in originals], [r[key] for r in some]], figure)
            for some in (references, finals)
        ]  # fmt: skip
        yield _pair(label, shown)
    shown = [jackknife([[r["patches"] for r in some]], naturalness) for some in (references, finals)]
    own = naturalness(np.concatenate([r["patches"] for r in originals]))
    yield _pair(f"NIQE, own pristine model (originals: {own:.2f})", shown)
    yield ""
    yield (
        f"Fréchet and kernel distance: {windows} windows of {WINDOW} pixels, {FEATURES} features; ± is the jackknife's "
        "standard error over pictures."
    )


def effects(measured: Measured) -> Iterator[str]:
    """Words, guidance and objects: each against the default, picture by picture."""
    compared = (
        ("words of another picture, same masks", "swapped words", 0),
        ("without guidance (Table III)", "unguided", 1),
        ("J = 0 at equal bytes (Table VII)", "equal bytes, no objects", 1),
    )
    yield "| instead of the default | pictures | bpp | distance | distance − default's, 95% | |"
    yield "|---|---|---|---|---|---|"
    for label, name, objects in compared:
        yield from _effect(measured, label, name, objects)


def contents(measured: Measured) -> Iterator[str]:
    """The paper's Table V, on the pictures that have three objects, so that all rows are of the same."""
    names = list(CONTENTS)
    rows = measured.rows(*names, objects=3)
    if not rows:
        return
    yield f"{len(rows)} pictures with three objects"
    yield ""
    yield "| row | the file holds | bpp | distance | distance − row 6, 95% | |"
    yield "|---|---|---|---|---|---|"
    place = names.index("final")
    for number, (name, label) in enumerate(CONTENTS.items(), 1):
        some = [row[number - 1] for row in rows]
        change = bootstrap(
            [float(r["distance"]) - float(row[place]["distance"]) for r, row in zip(some, rows, strict=True)]
        )
        told = "" if name == "final" else _interval(change, 4, signed=True)
        yield f"| {number} | {label} | {_bpp(some)} | {_mean(some):.4f} | {told} | {_verdict(change, name)} |"


def references(measured: Measured) -> Iterator[str]:
    """Codecs of the reference at equal bytes of the file: what they hand to the decoder, and what it makes of that."""
    names = [f"{codec} {what}" for codec in CODECS for what in ("reference", "final")]
    rows = measured.rows(*names)
    if not rows:
        return
    yield f"{len(rows)} pictures; after the slash the last codec less this one, 95%"
    yield ""
    yield "| codec | bpp | reference: distance | PSNR, dB | final: distance | PSNR, dB | MS-SSIM |"
    yield "|---|---|---|---|---|---|---|"
    for number, codec in enumerate(CODECS):
        own = [row[2 * number : 2 * number + 2] for row in rows]
        cells = [f"| {codec} | {_bpp([pair[1] for pair in own])} "]
        for which, key, digits in _FIGURES:
            figures = [[float(row[k + which][key]) for row in rows] for k in (2 * number, len(names) - 2)]
            told = f"{np.mean(figures[0]):.{digits}f}"
            if codec != CODECS[-1]:
                change = bootstrap([after - before for before, after in zip(*figures, strict=True)])
                told += f" / {_interval(change, digits, signed=True)}"
            cells.append(f"| {told} ")
        yield "".join(cells) + "|"


# Of a codec's reference (0) and final picture (1).
_FIGURES = ((0, "distance", 3), (0, "psnr", 2), (1, "distance", 3), (1, "psnr", 2), (1, "ms_ssim", 4))


def energies(measured: Measured) -> Iterator[str]:
    """Eq. 2 at the end of the objects' stages."""
    rows = [row[0]["energies"] for row in measured.rows(work.ENERGY)]
    rows = [row for row in rows if len(row)]
    if not rows:
        return
    yield "| energy of Eq. 2, mean over objects | objects | without | with | with / without |"
    yield "|---|---|---|---|---|"
    every = np.concatenate(rows)  # objects, levels, (without, with)
    for level, label in enumerate(("where guidance ends", "at the end of the stage")):
        free, guided = every[:, level].mean(0)
        yield f"| {label} | {len(every)} | {free:.3f} | {guided:.3f} | {guided / free:.2f} |"


def few_steps(measured: Measured) -> Iterator[str]:
    """Eq. 3 in few steps: what each share of guided steps and number of updates leaves of the energy, and costs."""
    kept = [row[0]["figures"] for row in measured.rows(work.FEW)]
    rows = [row for row in kept if len(row)]
    if not rows:
        return
    every = np.concatenate(rows)  # objects, choices, figures
    yield f"{len(every)} objects of {len(rows)} pictures, at CFG 1; energy and distance of the finished object's stage"
    yield ""
    yield "| sampler | steps | guided | updates, at most | made | energy | ratio | distance | less unguided's, 95% |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for place, choice in enumerate(few.CHOICES):
        energy, updates, distance = every[:, place].mean(0)
        cells = [choice.sampler, str(choice.steps), str(choice.guided), str(choice.updates or ""), "", f"{energy:.3f}"]
        cells += ["", f"{distance:.4f}", ""]
        if choice.guided:
            free = every[:, few.CHOICES.index(few.Choice(choice.sampler, choice.steps))]
            change = bootstrap(every[:, place, 2] - free[:, 2])
            cells[4], cells[6] = f"{updates:.1f}", f"{energy / free[:, 0].mean():.2f}"
            cells[8] = _interval(change, 4, signed=True)
        yield f"| {' | '.join(cells)} |"


def _effect(measured: Measured, label: str, name: str, objects: int) -> Iterator[str]:
    rows = measured.rows("final", name, objects=objects)
    if not rows:
        return
    changed = [row[1] for row in rows]
    change = bootstrap([float(row[1]["distance"]) - float(row[0]["distance"]) for row in rows])
    yield (
        f"| {label} | {len(rows)} | {_bpp(changed)} | {_mean(changed):.4f} | {_interval(change, 4, signed=True)} | "
        f"{_verdict(change, name)} |"
    )


def _verdict(change: Interval, name: str) -> str:
    if name == "final":
        return ""
    if change.count < _FEWEST:
        return "too few pictures"
    return ("worse" if change.low > 0 else "better") if change.settled else "no difference shown"


def _compared(label: str, before: np.ndarray, after: np.ndarray, digits: int) -> str:
    change = bootstrap(after - before)
    share = "" if label.startswith("PSNR") else f"{100 * (after.mean() / before.mean() - 1):+.0f}%"
    return (
        f"| {label} | {before.mean():.{digits}f} | {after.mean():.{digits}f} | "
        f"{_interval(change, digits, signed=True)} | {share} |"
    )


def _pair(label: str, shown: Sequence[tuple[float, float]]) -> str:
    (before, _), (after, _) = shown
    cells = " | ".join(f"{value:.2f} ± {error:.2f}" for value, error in shown)
    return f"| {label} | {cells} | {after - before:+.2f} | {100 * (after / before - 1):+.0f}% |"


def _interval(found: Interval, digits: int, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{found.mean:{sign}.{digits}f} ({found.low:{sign}.{digits}f} … {found.high:{sign}.{digits}f})"


def _bpp(rows: Sequence[Kept]) -> str:
    return f"{8 * sum(float(r['bytes']) for r in rows) / sum(float(r['pixels']) for r in rows):.4f}"


def _mean(rows: Sequence[Kept]) -> float:
    return float(np.mean([float(r["distance"]) for r in rows]))
