"""What a picture shows, in a form that people, language models and the file share.

A :class:`Semantics` holds one overall text and up to a few :class:`SceneObject`, each with a name, a detail
and a mask. It is read from and written to the Semantics JSON of the command line and of the nodes.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import picture
from .errors import SedicError
from .picture.masks import odd_masks
from .word_count import count_words, first_words


class SemanticsError(SedicError):
    """A Semantics JSON, or one of its masks, cannot be used."""


@dataclass(frozen=True)
class Limits:
    """Most objects and words that a file spends (paper, section III-A; J, l_n, l_d, l_all)."""

    objects: int = 3
    name_words: int = 6
    detail_words: int = 30
    overall_words: int = 50


PRESETS = {"low": Limits(objects=1, detail_words=20, overall_words=30), "high": Limits()}
"""The paper's two operating points (section IV-A), on which it spends 0.02 to 0.03 and 0.04 to 0.05 bits per pixel."""


@dataclass(frozen=True)
class SceneObject:
    """One object of interest.

    Attributes:
        name: a short noun phrase (Text_n).
        detail: its description (Text_d), may be empty.
        mask: where it is, (H, W) bool of the picture's size, True inside; None while unknown. What else
            :func:`read_mask` takes (a path, a Pillow picture, numbers, a tensor) becomes one in
            :meth:`Semantics.with_masks`, which encoding calls.
    """

    name: str
    detail: str = ""
    mask: np.ndarray | None = None

    @property
    def prompt(self) -> str:
        """The detail, led by the name where the detail does not contain it, for the restorer's text encoder."""
        if not self.detail:
            return self.name
        # As whole words: the restorer looks for the name's tokens, and "cat" has none in "cathedral".
        if re.search(rf"(?<!\w){re.escape(self.name)}(?!\w)", self.detail, re.IGNORECASE):
            return self.detail
        return f"{self.name}, {self.detail}"


@dataclass(frozen=True)
class Semantics:
    """The words and masks of one picture; objects in the order in which they are restored."""

    overall: str = ""
    objects: Sequence[SceneObject] = field(default_factory=tuple)

    def limited(self, limits: Limits = Limits()) -> Semantics:
        """A copy within the limits; each cut is told with :func:`warnings.warn`, in words and objects."""
        if len(self.objects) > limits.objects:
            dropped = ", ".join(o.name for o in self.objects[limits.objects :])
            warnings.warn(f"{len(self.objects)} objects, {limits.objects} allowed: left out {dropped}.", stacklevel=2)
        objects = [
            replace(
                o,
                name=limit_words(o.name, limits.name_words, f"name of object {j}"),
                detail=limit_words(o.detail, limits.detail_words, f"detail of {o.name!r}"),
            )
            for j, o in enumerate(self.objects[: limits.objects], 1)
        ]
        return Semantics(limit_words(self.overall, limits.overall_words, "overall text"), tuple(objects))

    def with_masks(self, size: tuple[int, int]) -> Semantics:
        """A copy whose masks are all bool and of the picture's ``size``, (width, height); odd ones are told.

        Raises:
            SemanticsError: a mask cannot be used.
        """
        objects = [
            o if o.mask is None else replace(o, mask=read_mask(o.mask, size, f"The mask of {o.name!r}"))
            for o in self.objects
        ]
        for note in odd_masks([o.name for o in objects], [o.mask for o in objects]):
            warnings.warn(note, stacklevel=2)
        return replace(self, objects=tuple(objects))

    def to_json(self, mask_names: Sequence[str | None] = ()) -> str:
        """Semantics JSON; ``mask_names`` gives each object's mask file, written by the caller."""
        objects = []
        for j, o in enumerate(self.objects):
            row = {"name": o.name, "detail": o.detail}
            mask = mask_names[j] if j < len(mask_names) else None
            if mask:
                row["mask"] = mask
            objects.append(row)
        return json.dumps({"objects": objects, "overall": self.overall}, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str, masks_from: Path | None = None, size: tuple[int, int] | None = None) -> Semantics:
        """Reads Semantics JSON.

        Args:
            text: the JSON.
            masks_from: folder that the masks' paths are relative to; None leaves masks out.
            size: (width, height) that every mask must have.

        Raises:
            SemanticsError: not JSON, a field of the wrong kind, or a mask that cannot be used.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # also numbers and nesting beyond what Python reads
            raise SemanticsError(f"The semantics are not JSON ({error}); see the example in the README.") from error
        if not isinstance(data, dict) or not isinstance(data.get("objects", []), list):
            raise SemanticsError('The semantics must be an object with "objects" (a list) and "overall" (a string).')
        objects = []
        for j, row in enumerate(data.get("objects", []), 1):
            if not isinstance(row, dict):
                raise SemanticsError(f'Object {j} of the semantics is {row!r}; it must be an object with a "name".')
            name = _string(row, "name", j)
            if not name:
                raise SemanticsError(f'Object {j} of the semantics has no "name"; give it one or remove the object.')
            mask = None
            if row.get("mask") is not None and masks_from is not None:
                mask = read_mask(masks_from / _string(row, "mask", j), size)
            objects.append(SceneObject(name, _string(row, "detail", j), mask))
        return cls(_string(data, "overall", 0), tuple(objects))

    @classmethod
    def read(cls, path: Path, size: tuple[int, int] | None = None) -> Semantics:
        """Reads a Semantics JSON file with the masks beside it."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SemanticsError(f"The semantics {path} cannot be read ({error}); name a UTF-8 JSON file.") from error
        return cls.from_json(text, path.parent, size)


def limit_words(text: str, most: int, what: str) -> str:
    """``text`` with single spaces and at most ``most`` words; a cut is told with :func:`warnings.warn`."""
    count = count_words(text)
    if count > most:
        warnings.warn(f"The {what} has {count} words, {most} allowed: {count - most} cut.", stacklevel=3)
    return first_words(text, most)


def read_mask(source: Any, size: tuple[int, int] | None = None, what: str = "") -> np.ndarray:
    """A mask, (H, W) bool, from a path, a picture, an array or a tensor; see :func:`sedic.picture.read_mask`.

    Raises:
        SemanticsError: unreadable, or not of ``size`` (width, height).
    """
    try:
        return picture.read_mask(source, size, what)
    except picture.PictureError as error:
        raise SemanticsError(str(error)) from error


def mask_names(text: str | bytes) -> list[str]:
    """The mask files that a Semantics JSON names; none where the text is no such thing, which its reader tells."""
    try:
        rows = json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)["objects"]
        return [row["mask"] for row in rows if row.get("mask")]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return []


def mask_files(path: Path) -> list[Path]:
    """Where the masks lie that a Semantics JSON names; none where it cannot be read, as :func:`mask_names`."""
    try:
        return [path.parent / name for name in mask_names(path.read_bytes())]
    except (OSError, TypeError):
        return []


def disjoint(objects: Sequence[SceneObject]) -> tuple[SceneObject, ...]:
    """The objects with masks that do not overlap: a pixel belongs to the earliest object that claims it."""
    taken: np.ndarray | None = None
    result = []
    for o in objects:
        mask = o.mask
        if mask is not None:
            mask = mask if taken is None else mask & ~taken
            taken = mask if taken is None else taken | mask
        result.append(replace(o, mask=mask))
    return tuple(result)


def _string(row: dict, key: str, j: int) -> str:
    value = row.get(key, "")
    if not isinstance(value, str):
        where = f"object {j}" if j else "the semantics"
        raise SemanticsError(f'"{key}" of {where} is {value!r}; it must be a string.')
    return value.strip()
