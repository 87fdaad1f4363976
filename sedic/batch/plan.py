"""Which pictures a run takes, and what each becomes: folders, files and patterns to items with names of their own."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import SedicError
from ..semantics import mask_files as semantics_masks
from .manifest import NAME as MANIFEST
from .places import Where, inside, names

FILES = frozenset([".sedic"])


class PlanError(SedicError):
    """What was named for a run cannot be one."""


@dataclass(frozen=True)
class Item:
    """One picture of a run.

    Attributes:
        source: its file.
        output: of what it becomes, relative to the run's folder, with ``/`` on every system.
        semantics: its Semantics JSON, which need not be there; None where no folder of them was named.
    """

    source: Where
    output: str
    semantics: Where | None = None


@dataclass
class Plan:
    """What a run does.

    Attributes:
        items: in the order in which they are done.
        refused: a sentence for each source that cannot be done, by what was seen before the work.
        notes: what was left out.
    """

    items: list[Item] = field(default_factory=list)
    refused: list[tuple[Item, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_plan(
    inputs: Sequence[Where], endings: frozenset[str], output: Where, ending: str, semantics: Where | None = None
) -> Plan:
    """Finds what a run does.

    Args:
        inputs: files, folders (with all that is in them), patterns (``**`` is any folders), and addresses of folders.
        endings: of the files that are taken from folders, in small letters.
        output: the folder that will be written to.
        ending: of what is written.
        semantics: the folder that holds ``NAME.json`` for ``NAME.png``; the masks that these name are no pictures.

    Raises:
        PlanError: nothing to do, a pattern that fits nothing, or an output within a folder that is read.
    """
    plan, other = Plan(), Counter[str]()
    found: dict[str, Item] = {}
    for name in inputs:
        for source, stem in _files_of(name, endings, output, plan, other):
            item = Item(source, stem + ending, inside(semantics, f"{stem}.json") if semantics else None)
            found.setdefault(os.path.abspath(source) if isinstance(source, Path) else source, item)
    items = _without_masks(list(found.values()), plan)
    _refuse(items, output, plan)
    if semantics:
        del other[".json"]
    left = ", ".join(f"{number} {kind or 'without ending'}" for kind, number in sorted(other.items()))
    if not plan.items and not plan.refused:
        named = ", ".join(map(str, inputs))
        wanted = ", ".join(sorted(endings)) + " files" if endings == FILES else "pictures"
        held = f"but other files ({left})" if left else "and no files at all"
        raise PlanError(f"{named} holds no {wanted}, {held}; name another folder.")
    if left:
        plan.notes.append(f"Left out, as their endings are none that is read here: {left}.")
    return plan


def several(named: Sequence[Where]) -> bool:
    """Whether these are more than one file: several names, a folder, a pattern, or an address."""
    (name, *more) = named
    return bool(more) or not isinstance(name, Path) or name.is_dir() or _is_pattern(name)


def mask_files(semantics: Where | None) -> list[Path]:
    """The mask files that a Semantics JSON of this machine names."""
    return semantics_masks(semantics) if isinstance(semantics, Path) else []


def _is_pattern(name: Path) -> bool:
    return glob.has_magic(str(name)) and not os.path.lexists(name)


def _files_of(
    name: Where, endings: frozenset[str], output: Where, plan: Plan, other: Counter[str]
) -> Iterator[tuple[Where, str]]:
    """The files that one input stands for, each with the name of its output without ending."""
    if not isinstance(name, Path):
        for inner in map(PurePosixPath, names(name)):
            if inner.suffix.lower() in endings:
                yield inside(name, str(inner)), str(inner.with_suffix(""))
            else:
                other[inner.suffix.lower()] += 1
    elif name.is_dir():
        _require_outside(name, output)
        for path in _walk(name, plan):
            if path.suffix.lower() in endings:
                yield path, path.relative_to(name).with_suffix("").as_posix()
            elif path.name != MANIFEST:
                other[path.suffix.lower()] += 1
    elif _is_pattern(name):
        root = _root(name)
        paths = [Path(path) for path in sorted(glob.glob(str(name), recursive=True)) if not os.path.isdir(path)]
        if not paths:
            raise PlanError(f"No file fits the pattern {name}; check it, or name a folder.")
        for path in paths:
            yield path, path.relative_to(root).with_suffix("").as_posix()
    else:
        yield name, Path(name.name).with_suffix("").as_posix()


def _root(pattern: Path) -> Path:
    """The folder before a pattern's first part that is one."""
    parts = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def _require_outside(folder: Path, output: Where) -> None:
    if not isinstance(output, Path):
        return
    inner, outer = os.path.realpath(output), os.path.realpath(folder)
    if inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep):
        raise PlanError(
            f"The output {output} lies within {folder}, which is read, and the next run would take it for pictures; "
            "name a folder beside it."
        )


def _walk(folder: Path, plan: Plan) -> Iterator[Path]:
    """All files below a folder but hidden ones, through links, each folder once."""
    seen = {os.path.realpath(folder): folder}

    def unreadable(error: OSError) -> None:
        path = Path(error.filename)
        sentence = f"The folder {path} cannot be read ({error.strerror}); make it readable, or leave it out."
        plan.refused.append((Item(path, path.relative_to(folder).as_posix()), sentence))

    for here, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        # Links last: of a folder and a link to it beside it the folder itself is read.
        kept = []
        for name in sorted(folders, key=lambda name: (os.path.islink(os.path.join(here, name)), name)):
            path = Path(here, name)
            real = os.path.realpath(path)
            if name.startswith("."):
                continue
            if real in seen:
                circle = os.path.realpath(here) == real or os.path.realpath(here).startswith(real + os.sep)
                why = f"leads back to {seen[real]}, in a circle" if circle else f"is {seen[real]} once more"
                plan.notes.append(f"The folder {path} {why}; it is left out.")
                continue
            seen[real] = path
            kept.append(name)
        folders[:] = kept
        yield from (Path(here, name) for name in sorted(files) if not name.startswith("."))


def _without_masks(items: list[Item], plan: Plan) -> list[Item]:
    masks = {_real(mask) for item in items for mask in mask_files(item.semantics)}
    kept = [item for item in items if _real(item.source) not in masks]
    if len(kept) < len(items):
        plan.notes.append(f"{len(items) - len(kept)} pictures are masks that the Semantics name; they are left out.")
    return kept


def _refuse(items: list[Item], output: Where, plan: Plan) -> None:
    """Sorts items into what is done and what would be lost: outputs of one name, and outputs that are inputs."""
    named: dict[str, list[Item]] = {}
    for item in items:
        named.setdefault(_folded(item.output), []).append(item)
    inputs = {_real(item.source) for item in items}
    for item in items:
        others = [str(other.source) for other in named[_folded(item.output)] if other is not item]
        target = inside(output, item.output)
        if others:
            sentence = f"{item.source} and {', '.join(others)} would all become {target}; rename them."
        elif _real(target) in inputs:
            sentence = f"{item.source} would become {target}, which is an input and would be lost; name another folder."
        else:
            plan.items.append(item)
            continue
        plan.refused.append((item, sentence))


def _real(place: Where) -> str:
    """One name for a file, links and other spellings counted."""
    return os.path.realpath(place) if isinstance(place, Path) else place


def _folded(name: str) -> str:
    """A name as systems that do not tell case and composed letters apart see it."""
    return unicodedata.normalize("NFC", name).casefold()
