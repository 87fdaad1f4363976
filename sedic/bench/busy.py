"""How long ``sedic decode`` takes on a quiet machine, and beside programs that keep cores busy."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..demo import PHOTOGRAPH
from ..threads import busy_cores, cores
from .processes import call, command

RUNS = 3
BESIDE = (0, 1, 4)  # busy processes
PLAIN = {"OMP_NUM_THREADS": str(cores()), "GOMP_SPINCOUNT": "300000"}  # what libgomp does where nothing is said
WAYS: dict[str, dict[str, str]] = {
    "as shipped": {},
    "OpenMP's own way": PLAIN,
    "all cores, threads that do not spin": {"OMP_NUM_THREADS": PLAIN["OMP_NUM_THREADS"], "OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
"""By name: variables of the decoding process."""


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Keeps ``number`` processes computing meanwhile."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def measure(image: Path | None = None, runs: int = RUNS) -> None:
    """Prints a row for each of :data:`WAYS`, with the median of ``runs`` turns in which all ways follow one another.

    Raises:
        SedicError: the picture, its words or a decode failed.
    """
    from ..codec import encode
    from ..picture import read_picture
    from ..semantics import Semantics

    image = image or PHOTOGRAPH
    words = image.with_name("semantics.json") if image == PHOTOGRAPH else image.with_suffix(".json")
    pixels = read_picture(image)
    size = pixels.shape[1], pixels.shape[0]
    print(f"{image.name}, {size[0]}×{size[1]}, {cores()} cores, {busy_cores():.1f} of them busy before")
    seconds: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.sedic")
        encode(pixels, Semantics.read(words, size)).write(file)
        for _ in range(runs):
            for number in BESIDE:
                with busy_processes(number):
                    for name, variables in WAYS.items():
                        arguments = ["decode", str(file), "-o", str(Path(folder, "a.png"))]
                        took, computed, _ = call(command, variables, arguments=arguments)
                        seconds.setdefault((name, number), []).append((took, computed))
    print(f"| decode | {' | '.join(f'beside {number}' if number else 'quiet' for number in BESIDE)} |")
    print("|---|" + "---|" * len(BESIDE))
    for name in WAYS:
        middle = [[statistics.median(part) for part in zip(*seconds[name, n], strict=True)] for n in BESIDE]
        print(f"| {name} | " + " | ".join(f"{took:.1f} s ({computed:.1f})" for took, computed in middle) + " |")
    print("Seconds of the command without starting Python, medians; in brackets those of all its threads together.")
