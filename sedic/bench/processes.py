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
    command = [sys.executable, "-c", _PROGRAM, function.__module__, function.__name__]
    own = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *_paths()])} | dict(environment)
    done = subprocess.run(command, env=own, input=json.dumps(arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise SedicError(f"A process of the measurement failed: {said}")
    return json.loads(done.stdout.splitlines()[-1])


def _paths() -> list[str]:
    """Where this process was told to look for packages."""
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def command(arguments: list[str]) -> tuple[float, float, int]:
    """Seconds, processor seconds and peak memory of the ``sedic`` that this process becomes; for :func:`call`.

    Raises:
        SystemExit: the command failed.
    """
    from ..cli import main

    started = time.monotonic()
    if status := main(arguments):
        sys.exit(status)
    return time.monotonic() - started, time.process_time(), peak_memory()


def peak_memory() -> int:
    """Most bytes that this process has had in memory."""
    try:  # the resource module would count what the parent had when it forked, too
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)
