"""Words in any form that a program hands over, as a person would write them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .semantics import SceneObject, Semantics, SemanticsError, read_mask


def words_of(words: Any, size: tuple[int, int]) -> Semantics:
    """Words, and masks where there are any, as :class:`Semantics`.

    Args:
        words: Semantics; a string as people type it, a line ``name: detail`` an object and a line ``overall: text``, or
            Semantics JSON; the JSON as a dict, whose masks may be paths, PIL pictures or arrays; the path of a file of
            either kind; None or "" for none.
        size: (width, height) that every mask must have.

    Raises:
        SedicError: none of these, or a mask that cannot be used.
    """
    if isinstance(words, Semantics):
        return words
    if words is None or words == "":
        return Semantics()
    if isinstance(words, os.PathLike):
        path = Path(words)
        if path.suffix.lower() == ".json":
            return Semantics.read(path, size)
        try:
            words = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SemanticsError(f"The words {path} cannot be read ({error}); name a UTF-8 text file.") from error
    if isinstance(words, str):
        from .understanding.words.textualize import typed

        if "\n" not in words and words.lower().endswith((".json", ".txt")) and os.path.exists(words):
            raise SemanticsError(f"The words {words!r} are the name of a file; give pathlib.Path({words!r}).")
        return typed(words)
    if isinstance(words, Mapping):
        return _from_dict(words, size)
    raise SemanticsError(f"The words are a {type(words).__name__}; give a string, a dict or Semantics.")


def _from_dict(words: Mapping[str, Any], size: tuple[int, int]) -> Semantics:
    """As the JSON reader has it, but for the masks, which need not be files."""
    rows = words.get("objects", [])
    rows = list(rows) if isinstance(rows, list | tuple) else rows
    masks, bare = [], rows
    if isinstance(rows, list):
        masks = [row.get("mask") if isinstance(row, Mapping) else None for row in rows]
        bare = [{k: v for k, v in row.items() if k != "mask"} if isinstance(row, Mapping) else row for row in rows]
    try:
        text = json.dumps({**words, "objects": bare})
    except (TypeError, ValueError) as error:
        raise SemanticsError(f"The words hold what no JSON does ({error}); see the example in the README.") from error
    read = Semantics.from_json(text)
    objects = (
        SceneObject(o.name, o.detail, None if mask is None else read_mask(mask, size, f"The mask of {o.name!r}"))
        for o, mask in zip(read.objects, masks, strict=True)
    )
    return Semantics(read.overall, tuple(objects))
