"""How a coder is found by the number that a file holds or by the name that people type."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from .coder import BitstreamError


class Coders:
    """The coders of one kind.

    Attributes:
        kind: ``text`` or ``mask``.
        names: number in the file -> name; a number is never given away twice.
        default: the number that a writer uses where nobody chose one.
    """

    def __init__(self, kind: str, package: str, classes: Mapping[int, tuple[str, str]], default: int) -> None:
        """``classes`` maps a number, 0 … 3, to the name (of the coder and of its module in ``package``) and class."""
        self.kind, self.default = kind, default
        self.names = {id: name for id, (name, _) in classes.items()}
        self._package, self._classes = package, dict(classes)

    def make(self, id: int, *arguments: Any) -> Any:
        """A new coder for one file; its module is imported when it is first asked for.

        Raises:
            BitstreamError: there is none of that number.
        """
        self.check(id)
        name, cls = self._classes[id]
        return getattr(importlib.import_module(f"{self._package}.{name}"), cls)(*arguments)

    def check(self, id: int) -> None:
        """Raises BitstreamError, naming those there are, when there is no coder of this number."""
        if id not in self._classes:
            known = ", ".join(f"{id} ({name})" for id, name in self.names.items())
            raise BitstreamError(f"There is no {self.kind} coder {id}; known are {known}.")

    def id_of(self, name: str) -> int:
        """The number of the coder called ``name``.

        Raises:
            BitstreamError: there is none of that name.
        """
        for id, known in self.names.items():
            if known == name:
                return id
        raise BitstreamError(f"There is no {self.kind} coder {name!r}; choose one of {', '.join(self.names.values())}.")
