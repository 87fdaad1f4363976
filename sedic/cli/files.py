"""Where commands write."""

from __future__ import annotations

from pathlib import Path

from ..errors import SedicError


def make_folder(path: Path) -> None:
    """Makes a folder, with those around it.

    Raises:
        SedicError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SedicError(f"The folder {path} cannot be made ({error}); name another.") from error
