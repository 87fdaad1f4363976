"""The same bytes from every process, instruction set and number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sedic.models.processor import lacking

ROOT = Path(__file__).resolve().parents[2]
PLACES = [
    {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    {
        "ATEN_CPU_CAPABILITY": "avx2",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    {"ATEN_CPU_CAPABILITY": "avx512", "OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "SkylakeX"},
    {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F"},
]


def run(place: dict[str, str], *arguments: str) -> dict[str, str]:
    """What a process in this surrounding writes."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.bitstream.written_elsewhere", *arguments]
    done = subprocess.run(
        command, env={**os.environ, **place}, capture_output=True, check=False, encoding="utf-8", cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> tuple[dict[str, str], str]:
    """What a process writes without being told anything, and a file of it."""
    written = run({})
    path = tmp_path_factory.mktemp("written") / "here.json"
    path.write_text(json.dumps(written), encoding="ascii")
    return written, str(path)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: " ".join(f"{k}={v}" for k, v in place.items()))
def test_every_machine_writes_and_reads_the_same_bytes(place, here):
    if missing := lacking(place):
        pytest.skip(f"this processor has no {missing}")
    written, path = here
    assert len(written) > 0
    assert run(place, path) == written
