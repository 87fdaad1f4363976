"""What the measurements run in processes of their own: one call, its arguments and its answer as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SedicError

_PROGRAM = """
import json, sys
from importlib import import_module
module, function = sys.argv[1:]
answer = getattr(import_module(module), function)(**json.load(sys.stdin))
print("\\n" + json.dumps(answer))
"""


def call(function: Any, environment: Mapping[str, str], **arguments: Any) -> Any:
    """What ``function``, of a module's own, answers in a fresh process with these variables in its environment.

    Raises:
        SedicError: it failed, with the last line that it said.
    """
    words = [_PROGRAM, function.__module__, function.__name__]
    paths = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *_paths()])}
    return answer(words, paths | dict(environment), "A process of the measurement failed", json.dumps(arguments))


def answer(words: list[str], environment: Mapping[str, str], failed: str, given: str = "",
           folder: Path | None = None) -> Any:  # fmt: skip
    """What a program says in its last line, as JSON; ``words`` are its source and what it is given.

    Raises:
        SedicError: it failed: ``failed``, with the last line that it said.
    """
    done = subprocess.run(
        [sys.executable, "-c", *words], cwd=folder, env=os.environ | dict(environment), input=given,
        capture_output=True, encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise SedicError(f"{failed}: {said}")
    return json.loads(done.stdout.splitlines()[-1])


def _paths() -> list[str]:
    """Where this process was told to look for packages."""
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def command(arguments: list[str]) -> tuple[float, float, int]:
    """Seconds, processor seconds and peak memory of the ``sedic`` that this process becomes; for :func:`call`.

    Raises:
        SystemExit: the command failed.
    """
    from ..batch.work import peak
    from ..cli import main

    started = time.monotonic()
    if status := main(arguments):
        sys.exit(status)
    return time.monotonic() - started, time.process_time(), peak()
