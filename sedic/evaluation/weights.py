"""Where learned metrics' weights lie, and whose they are: the places where their libraries look for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import SedicError
from ..hashes import file_sha256


class Missing(SedicError):
    """A figure that cannot be taken here, for want of a package or of weights: left out, and named."""


@dataclass(frozen=True)
class Weights:
    """A file of a library's.

    Attributes:
        name: of the file.
        megabytes: about how many it has.
        folder: where the library looks for it.
    """

    name: str
    megabytes: int
    folder: Callable[[], Path]

    def path(self) -> Path | None:
        """The file; None where it is not."""
        path = self.folder() / self.name
        return path if path.is_file() else None

    def require(self, download: bool) -> None:
        """Raises Missing where the file is not and nobody allowed the library to download it."""
        if not download and self.path() is None:
            raise Missing(
                f"{self.name} ({self.megabytes} MB) is not in {_short(self.folder())}; put it there, or add --download."
            )

    def told(self) -> str:
        """The file's name with the first digits of its SHA-256."""
        path = self.path()
        return f"{self.name} ({_digest(path)})" if path else self.name


def hub() -> Path:
    """PyTorch's folder of downloaded weights, which ``TORCH_HOME`` moves."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def pyiqa_folder() -> Path:
    """pyiqa's own."""
    return hub().parent / "pyiqa"


def clip_folder() -> Path:
    """That of OpenAI's CLIP."""
    return Path("~/.cache/clip").expanduser()


@contextmanager
def missing(extra: str, weights: str = "") -> Iterator[None]:
    """What a library says about packages and downloads, as :class:`Missing`.

    Args:
        extra: how its packages are installed.
        weights: what it reads, for the sentence.
    """
    try:
        yield
    except ImportError as error:
        raise Missing(f"{error.name or error} is not installed; {extra}.") from error
    except OSError as error:
        line = " ".join(str(error).split()) or type(error).__name__
        raise Missing(f"{weights or 'its weights'} could not be read or downloaded ({line[:200]}).") from error
    except RuntimeError as error:
        raise Missing(f"{weights} cannot be used ({str(error).splitlines()[0]}); replace the file.") from error


def _short(folder: Path) -> str:
    """A folder as a person writes it: reports are shown to others, whom nobody's home folder concerns."""
    home = Path.home()
    return f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else str(folder)


@cache
def _digest(path: Path) -> str:
    """Of a file that may have gigabytes, once in a run; empty where it cannot be read."""
    return (file_sha256(path) or "")[:8]
