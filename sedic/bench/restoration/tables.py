"""The tables, as Markdown, from what is kept on disk; nothing is restored here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...evaluation import kept
from ...evaluation.ablations import TABLE_5
from ...evaluation.intervals import bootstrap
from ...evaluation.measured import Kept, Measured, bpp, of_set, paired, told, values, verdict
from ...evaluation.metrics import METRICS
from ...evaluation.variants import CODECS
from ...metrics.naturalness import naturalness
from ...metrics.perception import FEATURES, WINDOW
from . import few, special


def autoencoder(measured: Measured) -> Iterator[str]:
    """The autoencoder alone."""
    rows = measured.rows(special.AUTOENCODER)
    if rows:
        found = bootstrap(values([row[0] for row in rows], "psnr"))
        yield f"The autoencoder alone: {told(found, 2)} dB over {found.count} pictures."


def main(measured: Measured) -> Iterator[str]:
    """The final picture against the reference."""
    rows = measured.rows(kept.ORIGINAL, "reference", "final")
    if len(rows) < 2:
        return
    originals, references, finals = (list(column) for column in zip(*rows, strict=True))
    yield f"{len(rows)} pictures, {values(finals, 'bytes').mean():.0f} bytes a file, {bpp(finals)} bpp"
    yield ""
    yield "| | reference | final | final − reference, 95% | change |"
    yield "|---|---|---|---|---|"
    for key in ("ssimulacra2", "distance", "psnr", "ms_ssim"):
        yield _compared(key, references, finals)
    seen, before = values(finals, "ssimulacra2"), values(references, "ssimulacra2")
    footnotes = [
        "",
        f"By SSIMULACRA2 {np.sum(seen >= before)} of {len(rows)} pictures are as near as their references.",
    ]
    windows = sum(len(r["windows"]) for r in originals)
    if windows <= 2 * FEATURES:
        yield from (*footnotes, f"{windows} windows are too few for distances between sets; measure more pictures.")
        return
    own = naturalness(np.concatenate([r["patches"] for r in originals]))
    for key, more in (("frechet", ""), ("kernel", ""), ("natural", f" (originals: {own:.2f})")):
        yield _pair(METRICS[key].label + more, [of_set(METRICS[key], originals, some) for some in (references, finals)])
    yield from footnotes
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
    names = [name for name, _ in TABLE_5.rows]
    rows = measured.rows(*names, objects=TABLE_5.objects)
    if not rows:
        return
    yield f"{len(rows)} pictures with three objects"
    yield ""
    yield "| row | the file holds | bpp | distance | distance − row 6, 95% | |"
    yield "|---|---|---|---|---|---|"
    whole = [row[names.index("final")] for row in rows]
    for number, (name, label) in enumerate(TABLE_5.rows, 1):
        some = [row[number - 1] for row in rows]
        yield f"| {number} | {label} | {bpp(some)} | {_mean(some):.4f} | {_change(whole, some, name)} |"


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
        cells = [f"| {codec} | {bpp([pair[1] for pair in own])} "]
        for which, key, digits in _FIGURES:
            figures = [[float(row[k + which][key]) for row in rows] for k in (2 * number, len(names) - 2)]
            cell = f"{np.mean(figures[0]):.{digits}f}"
            if codec != CODECS[-1]:
                change = bootstrap([after - before for before, after in zip(*figures, strict=True)])
                cell += f" / {told(change, digits, signed=True)}"
            cells.append(f"| {cell} ")
        yield "".join(cells) + "|"


# Of a codec's reference (0) and final picture (1).
_FIGURES = ((0, "distance", 3), (0, "psnr", 2), (1, "distance", 3), (1, "psnr", 2), (1, "ms_ssim", 4))


def energies(measured: Measured) -> Iterator[str]:
    """Eq. 2 at the end of the objects' stages."""
    rows = [row[0]["energies"] for row in measured.rows(special.ENERGY)]
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
    kept = [row[0]["figures"] for row in measured.rows(special.FEW)]
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
            cells[8] = told(change, 4, signed=True)
        yield f"| {' | '.join(cells)} |"


def _effect(measured: Measured, label: str, name: str, objects: int) -> Iterator[str]:
    rows = measured.rows("final", name, objects=objects)
    if not rows:
        return
    before, after = ([row[which] for row in rows] for which in (0, 1))
    yield f"| {label} | {len(rows)} | {bpp(after)} | {_mean(after):.4f} | {_change(before, after, name)} |"


def _change(before: Sequence[Kept], after: Sequence[Kept], name: str) -> str:
    """Two cells: the difference of the distances, and what it shows; empty ones for the default itself."""
    change = paired(before, after, "distance")
    return " | " if name == "final" or change is None else f"{told(change, 4, True)} | {verdict(change, 'lower')}"


def _compared(key: str, before: Sequence[Kept], after: Sequence[Kept]) -> str:
    metric, change = METRICS[key], paired(before, after, key)
    means = [values(some, key).mean() for some in (before, after)]
    if np.isnan(means).any():  # a picture too small for it
        return f"| {metric.label} | – | – | | |"
    share = "" if key in ("psnr", "ssimulacra2") else f"{100 * (means[1] / means[0] - 1):+.0f}%"
    difference = "" if change is None else told(change, metric.digits, signed=True)
    return f"| {metric.label} | {means[0]:.{metric.digits}f} | {means[1]:.{metric.digits}f} | {difference} | {share} |"


def _pair(label: str, shown: Sequence[tuple[float, float]]) -> str:
    (before, _), (after, _) = shown
    cells = " | ".join(f"{value:.2f}" + (f" ± {error:.2f}" if error == error else "") for value, error in shown)
    return f"| {label} | {cells} | {after - before:+.2f} | {100 * (after / before - 1):+.0f}% |"


def _mean(rows: Sequence[Kept]) -> float:
    return float(values(rows, "distance").mean())
