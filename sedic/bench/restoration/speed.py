"""How long a picture takes to come back, and how much memory, each in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...codec import encode
from ...evaluation.scenes import Scene
from ..processes import call, command

RUNS: dict[str, tuple[int, list[str]]] = {
    f"{steps}, {kind}{', one thread' * (threads == 1)}": (threads, [*options, "--precision", kind])
    for steps, options, threads in (("default", [], 2), ("preview", ["--preview"], 2), ("default", [], 1))
    for kind in ("float32", "bfloat16")
}
"""By name: threads, and options of ``sedic decode``."""


def speed_table(scene: Scene, folder: Path) -> Iterator[str]:
    """A row for each of :data:`RUNS`: seconds of the command, without starting Python, and peak memory.

    Args:
        scene: the picture.
        folder: receives its file and what is decoded.

    Raises:
        SedicError: a decode failed.
    """
    from ...metrics.fidelity import psnr
    from ...picture import read_picture

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{scene.name}.sedic"
    encode(scene.pixels, scene.semantics).write(file)
    height, width = scene.pixels.shape[:2]
    yield f"{scene.name}, {width}×{height}, {len(scene.semantics.objects)} objects, {os.cpu_count()} processors"
    yield ""
    yield "| decode | threads | seconds | processor seconds | peak memory, MB | dB to float32's picture |"
    yield "|---|---|---|---|---|---|"
    first: dict[bool, Path] = {}
    for number, (name, (threads, options)) in enumerate(RUNS.items()):
        picture = folder / f"speed-{number}.png"
        seconds, busy, memory = decode_seconds(file, picture, threads, options)
        base = first.setdefault("--preview" in options, picture)
        apart = psnr(read_picture(base), read_picture(picture))
        told = "" if base == picture else f"{apart:.1f}"
        yield f"| {name} | {threads} | {seconds:.1f} | {busy:.1f} | {memory / 1e6:.0f} | {told} |"


def decode_seconds(file: Path, picture: Path, threads: int, options: list[str]) -> tuple[float, float, int]:
    """Seconds, processor seconds and peak bytes of one ``sedic decode``.

    Raises:
        SedicError: it failed.
    """
    arguments = ["decode", str(file), "-o", str(picture), *options]
    return tuple(call(command, {"OMP_NUM_THREADS": str(threads)}, arguments=arguments))
