"""What the decoder promises and what it costs: exactness, energy, and, inside ComfyUI, time and memory."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..codec import load_models
from ..errors import SedicError
from .energy import VARIANTS, energy_table
from .exactness import exactness_table


def measure(images: Path | None, pictures: int, side: int, variants: Sequence[str], cost: bool) -> None:
    """Prints the tables.

    Args:
        images: folder for the energies, see :func:`.energy.scenes`; None leaves them out.
        pictures, side: how many of it, and their shorter side in pixels.
        variants: of guidance, names of :data:`.energy.VARIANTS`.
        cost: whether to measure inside ComfyUI, which writes a checkpoint of 3 GB and takes minutes.

    Raises:
        SedicError: a folder or variant that does not exist, or no ComfyUI to measure in.
    """
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise SedicError(f"There is no variant {unknown[0]!r}; choose from {', '.join(VARIANTS)}.")
    print("Exactness, embedded models\n")
    for line in exactness_table():
        print(line, flush=True)
    if images is not None:
        print("\nEnergy (Eq. 2), embedded models\n")
        for line in energy_table(load_models(), images, pictures, side, variants):
            print(line, flush=True)
    if cost:
        print("\nCost inside ComfyUI\n", flush=True)
        if importlib.util.find_spec("headless") is None:
            raise SedicError("Cost is measured by headless/, which is not installed; run this from the repository.")
        # A process of its own: the library imports neither ComfyUI nor what starts it.
        if subprocess.run([sys.executable, "-m", "headless.bench_decoder"], check=False).returncode:
            raise SedicError("The cost could not be measured; what was wrong stands above.")
