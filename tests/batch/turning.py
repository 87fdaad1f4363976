"""Work that costs nothing, for runs whose workers are real: a file's bytes, turned round."""

from __future__ import annotations

import io
import os
import signal
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedic.batch.plan import Item, Plan
from sedic.batch.run import Run
from sedic.batch.work import Made
from sedic.errors import SedicError


@dataclass(frozen=True)
class Turning:
    """Turns files round; what a file says may be that something befalls its worker."""

    said: str = ""
    log: Path | None = None
    once: Path | None = None
    command: str = "encode"

    def begin(self, device: str) -> Turner:
        if device == "broken":
            raise SedicError("There is no device 'broken' here.")
        return Turner(self, device)

    def settings(self) -> Mapping[str, Any]:
        return {"said": self.said}

    def memory(self) -> int:
        return 1

    def spread(self, workers: int) -> Turning:
        return self


class Turner:
    def __init__(self, how: Turning, device: str) -> None:
        self.how, self.device = how, device
        self._log("began")

    def make(self, source: io.BytesIO, semantics: Path | None) -> Made:
        data = source.read()
        self._log(Path(source.name).name)
        if data == b"die":
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        if data == b"kill a worker once" and self.how.once and not self.how.once.exists():
            self.how.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"bug":
            raise LookupError("of the program's own")
        if data == b"bad":
            raise SedicError("It is bad; make it good.")
        if data == b"end the run":
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()
        if data == b"odd":
            warnings.warn("It is odd.", stacklevel=2)
        return Made(data[::-1] + self.how.said.encode(), len(data), 8, 1)

    def _log(self, line: str) -> None:
        """What all workers did, a line each."""
        if self.how.log:
            with self.how.log.open("a") as file:
                file.write(f"{self.device} {os.getpid()} {line}\n")


def folder(path: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def plan(source: Path) -> Plan:
    """A plan of all files of a folder."""
    return Plan([Item(path, f"{path.name}.out") for path in sorted(source.iterdir())])


def run(source: Path, output: Path, work: Turning = Turning(), **options: Any):
    """Runs over a folder; the summary."""
    return Run(work, plan(source), output, **{"jobs": 1, **options}).start()
