"""One picture of a run, whoever works on it: what is asked of a kind of work, and what comes back."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

from ..errors import SedicError
from ..hashes import file_sha256, sha256
from . import places
from .places import Where
from .plan import mask_files

FORMAT = "SEDIC 1"


@dataclass(frozen=True)
class Made:
    """What a picture became.

    Attributes:
        data: bytes of the file that is written.
        coded: bytes of the ``.sedic`` file, which that is, or which it came from.
        width: of the picture; likewise ``height``.
    """

    data: bytes
    coded: int
    width: int
    height: int


class Maker(Protocol):
    """Something with its models loaded that makes files of files."""

    def make(self, source: io.BytesIO, semantics: Path | None) -> Made:
        """A file's bytes to those of another one; SedicError where that is impossible."""
        ...


class Work(Protocol):
    """What is done with every picture of a run; it can be pickled, and loads nothing before :meth:`begin`."""

    @property
    def command(self) -> str:
        """``encode`` or ``decode``."""
        ...

    def begin(self, device: str) -> Maker:
        """Loads the models; SedicError where they cannot be used."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """All that the files depend on but the pictures, in what JSON holds; weights by their bytes' hashes."""
        ...

    def memory(self) -> int:
        """Bytes that a worker takes, about."""
        ...

    def spread(self, workers: int) -> Work:
        """The same for so many workers on several machines, which share nothing."""
        ...


@dataclass
class Result:
    """What came of one picture.

    Attributes:
        made: None where it failed.
        error: why, in one sentence.
        notes: what was told of it.
        seconds: that it took, reading included.
        processor: seconds of the processor's in these.
        source_sha256: of the bytes that were read; empty where none could be.
        memory: bytes that the worker holds afterwards.
        peak: the most that it held so far.
    """

    made: Made | None = None
    error: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    processor: float = 0.0
    source_sha256: str = ""
    memory: int = 0
    peak: int = 0

    def row(self, source: str, output: str, settings: str) -> dict[str, Any]:
        """A manifest's row; ``settings`` is the hash of :func:`fingerprint`."""
        row: dict[str, Any] = {"source": source, "output": output}
        names = ("bytes", "bpp", "width", "height")
        made = self.made
        if made is None:
            row |= dict.fromkeys(names)
        else:
            row |= {"bytes": made.coded, "bpp": made.coded * 8 / (made.width * made.height)}
            row |= {"width": made.width, "height": made.height}
        row |= {"seconds": round(self.seconds, 3), "notes": self.notes, "error": self.error or None}
        row |= {"source_sha256": self.source_sha256 or None, "settings": settings}
        return row | {"output_sha256": sha256(made.data) if made else None}


def fingerprint(settings: Mapping[str, Any], semantics: Where | None) -> str:
    """The hash of all that a file depends on but the picture itself: settings, and words and masks beside it."""
    digest = hashlib.sha256(json.dumps({"format": FORMAT, **settings}, sort_keys=True, default=str).encode())
    if semantics:
        for path in (semantics, *mask_files(semantics)):
            digest.update((places.digest(path) or "missing").encode())
    return digest.hexdigest()


def foreign(target: object) -> str:
    """Why an output is left as it is."""
    return f"{target} is there and no run wrote it as it is; name another folder, or add --force to replace it."


def files_fingerprint(*paths: str | os.PathLike[str] | None) -> str:
    """The hash of files' bytes and, of folders, of all that is in them; of what is not there, of its absence."""
    digest = hashlib.sha256()
    for path in paths:
        named = [Path(path)] if path else []
        inner = [p for folder in named if folder.is_dir() for p in sorted(folder.rglob("*")) if p.is_file()]
        for file in inner or named:
            digest.update(f"{file.name} {file_sha256(file)}\n".encode(errors="backslashreplace"))
    return digest.hexdigest()


def do(maker: Maker, source: str, read: Callable[[], bytes], semantics: Path | None) -> Result:
    """Works on one picture; whatever goes wrong with it is in the result.

    Args:
        maker: does it.
        source: how messages call it.
        read: gives its bytes.
        semantics: its Semantics JSON, if there is a folder of them.
    """
    started, computed = time.monotonic(), time.process_time()
    result = Result()
    with _hears(result.notes):
        try:
            data = _Named(read(), source)
            result.source_sha256 = sha256(data.getvalue())
            result.made = maker.make(data, semantics)
        except SedicError as error:
            result.error = str(error)
        except FileNotFoundError:
            result.error = f"There is no file {source}; check the name."
        except OSError as error:
            result.error = f"{source} cannot be read ({error.strerror or error}); mend that, or leave it out."
        except MemoryError:
            result.error = "There is not enough memory for this; take fewer --jobs, or a smaller picture."
        except Exception as error:  # a fault of the program's own ends no run of a thousand pictures
            said = str(error).splitlines()[0] if str(error) else ""
            result.error = f"A fault of sedic's own ({type(error).__name__}: {said}); please report it."
    result.seconds, result.processor = time.monotonic() - started, time.process_time() - computed
    result.memory, result.peak = held(), peak()
    return result


def held() -> int:
    """Bytes that this process has in memory."""
    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """The most bytes that this process has had in memory, as far as the system tells."""
    info = psutil.Process().memory_info()
    if hasattr(info, "peak_wset"):  # Windows
        return int(info.peak_wset)
    try:  # the resource module would count what the parent had when it forked, too
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)


class _Named(io.BytesIO):
    """A file's bytes, which messages call by the file's name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@contextmanager
def _hears(notes: list[str]) -> Iterator[None]:
    """Collects users' warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, category, *_, **__: (
            notes.append(" ".join(str(message).split("\n"))) if issubclass(category, UserWarning) else None
        )
        yield
