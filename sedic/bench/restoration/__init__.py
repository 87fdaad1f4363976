"""What the embedded models restore, and whether the paper's effects are there: ``python -m sedic.bench restoration``.

Pictures become real files and come back with the decoder's defaults and with one thing changed; everything is kept in
a folder, from which the tables are printed again without restoring anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...codec import default_settings
from ...errors import SedicError
from ...evaluation import kept
from ...evaluation.kept import Plan, Task
from ...evaluation.measured import Measured
from ...evaluation.metrics import Tools
from ...evaluation.scenes import described
from ...evaluation.variants import GROUPS, chosen
from .. import page
from . import special, tables
from .scenes import held_out
from .speed import speed_table

SPEED = "speed"
ROWS = (special.AUTOENCODER, *GROUPS, special.ENERGY, SPEED)
"""What is measured where nobody chose."""
CHOICES = (*ROWS, special.FEW)
"""What ``--only`` chooses from."""
OF_IMAGES = ("main", "references", SPEED, special.FEW)
"""What of these is measured of ``--images``; of held-out pictures all but the speed is."""


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        heldout: folder with ``annotations.jsonl``, or None.
        images: folder of ``NAME.png`` with ``NAME.json``, or None; only the first two tables, few steps and the speed.
        out: keeps all results.
        pictures, image_pictures: how many of each.
        sides: shorter sides in pixels that ``images`` are shrunk to, one after the other.
        only: some of :data:`CHOICES`.
        workers: processes of one thread each.
        minutes: no picture is begun behind them; None for all.
        again: print only what is there.
        markdown: file whose part between :data:`BEGIN` and :data:`END` is written anew; None prints only.
    """

    heldout: Path | None
    images: Path | None
    out: Path
    pictures: int = 48
    image_pictures: int = 16
    sides: Sequence[int] = (512, 256)
    only: Sequence[str] = ROWS
    workers: int = 2
    minutes: float | None = None
    again: bool = False
    markdown: Path | None = None


def measure(options: Options) -> None:
    """Restores what is missing and prints the tables.

    Raises:
        SedicError: no pictures, a missing package, or a Markdown file without its marks.
    """
    if options.heldout is None and options.images is None:
        raise SedicError("There is nothing to measure; give --heldout DIR, --images DIR or both.")
    alone = [name for name in options.only if name not in OF_IMAGES]
    if options.heldout is None and alone and tuple(options.only) != ROWS:
        raise SedicError(f"{', '.join(alone)}: measured of held-out pictures; give --heldout DIR, or leave it out.")
    if options.markdown is not None:
        page.parts(options.markdown)
    plan, tools = plan_and_tools()
    sets = dict(_sets(options))
    if not options.again:
        todo = [task for some in sets.values() for task in some]
        for line in kept.run(todo, options.workers, options.minutes, plan, tools):
            print(line, flush=True)
    text = "\n".join(_report(options, {name: Measured(some) for name, some in sets.items()}))
    print(text)
    if options.markdown is not None:
        page.write(options.markdown, text)


def plan_and_tools() -> tuple[Plan, Tools]:
    """How the bench measures.

    Raises:
        SedicError: a package is missing.
    """
    plan = Plan(metrics=special.METRICS, special=special.SPECIAL)
    tools = plan.tools()
    if tools.left_out:
        raise SedicError(next(iter(tools.left_out.values())))
    return plan, tools


def _sets(options: Options) -> Iterator[tuple[str, list[Task]]]:
    groups = [name for name in options.only if name in GROUPS]
    extra = [name for name in options.only if name in special.SPECIAL]
    original = [kept.ORIGINAL] if groups else []
    of_images = [name for name in options.only if name in OF_IMAGES and name != SPEED]
    if options.images is not None and of_images:
        for side in options.sides:
            scenes = described(options.images, options.image_pictures, side)
            title = f"{options.images.name}, shorter side {side}"
            variants = [*original, *chosen([name for name in of_images if name in GROUPS])]
            variants += [name for name in of_images if name == special.FEW]
            yield title, kept.tasks(scenes, options.out / f"images-{side}", variants)
    if options.heldout is not None and (groups or extra):
        scenes = held_out(options.heldout, options.pictures)
        yield "held-out, 256 pixels", kept.tasks(scenes, options.out / "heldout", [*original, *extra, *chosen(groups)])


def _report(options: Options, sets: dict[str, Measured]) -> Iterator[str]:
    settings = default_settings()
    guided = settings.guidance.guided_steps(settings.object_steps)
    yield (
        f"Weights {kept.weights_fingerprint()}; {settings.object_steps} steps an object, {guided} of them guided, "
        f"{settings.overall_steps} for the whole from {settings.start}; classifier-free guidance "
        f"{settings.object_scale:g} and {settings.overall_scale:g}; detail {settings.detail:g}."
    )
    for title, measured in sets.items():
        whole = "heldout" in str(measured.tasks[0].folder.parent.name)
        parts = [
            ({"main"}, "Final against reference", tables.main),
            ({"references"}, "Codecs of the reference at equal bytes", tables.references),
            ({special.FEW}, "Guidance in few steps", tables.few_steps),
        ]
        if whole:
            parts += [
                ({special.AUTOENCODER}, "The autoencoder", tables.autoencoder),
                ({"words", "guidance", "objects"}, "Words, guidance, objects", tables.effects),
                ({"contents"}, "What the file holds (Table V)", tables.contents),
                ({special.ENERGY}, "Energy", tables.energies),
            ]
        for names, heading, table in parts:
            lines = list(table(measured)) if names & set(options.only) else []
            if lines:
                yield from ("", f"### {heading}: {title}", "", *lines)
    if SPEED in options.only and options.images is not None and not options.again:
        yield from ("", "### Speed", "", *speed_table(described(options.images, 1, 1 << 16)[0], options.out))
