"""Beside other programs a process of ours takes fewer threads, which do not spin; a person's word stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sedic import threads
from sedic.threads import Look

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def four_cores(monkeypatch):
    """A machine of four cores on which others use as many as the returned list's only number says."""
    busy = [0.0]
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "busy_cores", lambda: busy[0])
    return busy


def test_what_others_compute_is_told_from_what_this_process_computes():
    assert Look(12.0, 105.0, 8.0).busy_since(Look(10.0, 100.0, 5.0)) == 1.0
    assert Look(12.0, 101.0, 8.0).busy_since(Look(10.0, 100.0, 5.0)) == 0.0  # counters are coarse


@pytest.mark.parametrize(("busy", "expected"), [(0, 4), (0.3, 4), (0.7, 3), (1, 3), (2.9, 1), (4, 1), (30, 1)])
def test_every_busy_core_takes_a_thread_and_one_is_left(busy, expected, four_cores):
    assert threads.threads_beside(busy) == expected


def test_a_quiet_machine_is_left_as_it_is(four_cores):
    assert threads.environment({}) == {}


def test_beside_others_threads_are_fewer_and_do_not_spin(four_cores):
    four_cores[0] = 2.0
    assert threads.environment({}) == {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "2"}


@pytest.mark.parametrize("said", [{"OMP_NUM_THREADS": "4"}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}])
def test_what_a_person_says_stays(said, four_cores, monkeypatch):
    four_cores[0] = 4.0
    chosen = threads.environment(said)
    assert not chosen.keys() & said.keys()
    if "OMP_NUM_THREADS" not in said:
        assert chosen == {"OMP_NUM_THREADS": "1"}
    import torch

    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", str(before))
    threads.adapt()
    assert torch.get_num_threads() == before


def test_threads_follow_what_others_leave(four_cores, monkeypatch):
    import torch

    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    try:
        for busy, expected in ((0.0, 4), (3.0, 1), (1.0, 3)):
            four_cores[0] = busy
            threads.adapt()
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


def test_a_command_says_how_threads_wait_before_pytorch_is_loaded(tmp_path):
    code = f"""
import sys
from sedic import threads
threads.busy_cores, threads.cores = (lambda: 100.0), (lambda: 2)
from sedic.cli import main
assert main(["compare", {str(ROOT / "sedic/demo/coffee.png")!r}, {str(tmp_path / "absent.png")!r}]) == 1
import os, torch
print(os.environ["OMP_WAIT_POLICY"], torch.get_num_threads(), "OMP_NUM_THREADS" in os.environ)
"""
    plain = {k: v for k, v in os.environ.items() if k not in {*threads.WAITING, "OMP_NUM_THREADS"}}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=plain, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["PASSIVE", "1", "False"], done.stderr
