"""Remembers answers, so that the same question about the same picture costs nothing and gets the same words.

One small JSON file an answer, in a folder of the user's; at most a thousand, the longest unused go first. A file holds
the words alone: its name is a hash of picture, question, seed and model, and no key is ever part of it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np

from ...semantics import Semantics, SemanticsError

MOST = 1000  # answers; about a kilobyte each
VERSION = "2"  # raised when answers are asked for or read differently


def default_folder() -> Path:
    """``~/.cache/sedic/answers``, or where ``XDG_CACHE_HOME`` says."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sedic" / "answers"


class AnswerCache:
    """A folder of answers.

    Attributes:
        folder: made when the first answer is kept.
        most: answers kept.
        ask_again: finds nothing, and keeps the new answers in place of the old.
    """

    def __init__(self, folder: Path | None = None, most: int = MOST, ask_again: bool = False) -> None:
        """Args: ``folder``, None for :func:`default_folder`."""
        self.folder, self.most, self.ask_again = default_folder() if folder is None else folder, most, ask_again

    def find(self, image: np.ndarray, question: str, identity: str, seed: int) -> Semantics | None:
        """The answer to this question about this picture, (H, W, 3) uint8, by this model; None if there is none.

        A file that cannot be read, or holds something else, counts as none: the next answer replaces it.
        """
        path = self._path(image, question, identity, seed)
        if self.ask_again:
            return None
        try:
            found = Semantics.from_json(path.read_text(encoding="utf-8"))
            os.utime(path)
        except (OSError, UnicodeDecodeError, SemanticsError):
            return None
        return found

    def keep(self, image: np.ndarray, question: str, identity: str, seed: int, answer: Semantics) -> None:
        """Keeps an answer; where the folder cannot be written a warning says so."""
        path = self._path(image, question, identity, seed)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Through another name, so that a reader at the same time never sees half an answer.
            handle, name = tempfile.mkstemp(suffix=".tmp", dir=self.folder)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(answer.to_json() + "\n")
            os.replace(name, path)
            self._forget()
        except OSError as error:
            warnings.warn(
                f"The answer cannot be kept in {self.folder} ({error.strerror}): the same question will be asked "
                "again; make the folder writable.",
                stacklevel=2,
            )

    def _forget(self) -> None:
        files = list(self.folder.glob("*.json"))
        if len(files) > self.most:
            for path in sorted(files, key=_used)[: len(files) - self.most]:
                path.unlink(missing_ok=True)

    def _path(self, image: np.ndarray, question: str, identity: str, seed: int) -> Path:
        digest = hashlib.sha256(np.ascontiguousarray(image).tobytes())
        for part in (VERSION, str(image.shape), question, identity, str(seed)):
            digest.update(b"\0" + part.encode())
        return self.folder / f"{digest.hexdigest()}.json"


def _used(path: Path) -> float:
    """When a file was last used; another process may have taken it away meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
