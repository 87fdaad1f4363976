"""The one base class of errors that are told to a person in a sentence."""

from __future__ import annotations

from typing import Any

# What ComfyUI puts before the library's name: it calls a pack's modules by their folder.
_PACK = __name__.removesuffix("sedic.errors")


class SedicError(Exception):
    """Something the person at the keyboard can mend: what was wrong, what to do, in one sentence.

    Its kinds are named without a folder, as ComfyUI shows an error's kind with its module to the person.
    """

    __module__ = "sedic.errors"

    def __init_subclass__(cls, **arguments: Any) -> None:
        """See the class."""
        super().__init_subclass__(**arguments)
        cls.__module__ = cls.__module__.removeprefix(_PACK)
