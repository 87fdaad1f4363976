"""The fuzzer finds nothing in ten seconds, and would find a reader that breaks its promises."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sedic.bitstream import SedicFile, StreamReader

from . import target
from .seeds import seeds

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
SEEDS = seeds()
SECONDS = os.environ.get("SEDIC_FUZZ_SECONDS", "10")  # the workflow of the checks takes five minutes


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_keeps_the_promises(path):
    target.check(path.read_bytes())


@pytest.mark.parametrize(("name", "data"), SEEDS.items(), ids=SEEDS)
def test_every_coder_keeps_the_promises(name, data):
    assert not SedicFile.from_bytes(data).missing
    target.check(data)


def test_mending_reaches_what_damaged_check_values_hide():
    data = bytearray(CORPUS[-1].read_bytes())
    whole = SedicFile.from_bytes(bytes(data))
    assert not whole.missing
    data[0] ^= 1
    header = whole.sections[0].bytes
    data[header - 1] ^= 1
    data[header + whole.sections[1].bytes - 1] ^= 1
    assert target.mend(bytes(data)) == whole.to_bytes()


@pytest.mark.parametrize("broken", ["another exception", "a byte lost"])
def test_a_broken_promise_is_noticed(broken, monkeypatch):
    def read(reader: StreamReader) -> SedicFile:
        if broken == "another exception":
            return {}["no such key"]
        file = original(reader)
        file.__dict__["_pieces"] = file._pieces[:-1]
        return file

    original = SedicFile.from_stream
    monkeypatch.setattr(SedicFile, "from_stream", read)
    with pytest.raises((KeyError, AssertionError)):
        target.check(CORPUS[-1].read_bytes())


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="needs atheris, which has wheels for CPython on Linux x86-64 only: pip install .[fuzz]",
)
def test_some_seconds_of_fuzzing_find_nothing(tmp_path, repository):
    command = [sys.executable, "-m", "tests.fuzz", str(tmp_path), f"-max_total_time={SECONDS}"]
    # A process is born with its parent's peak of memory, here that of all tests; test_bounds.py asks for the reader's.
    command.append("-rss_limit_mb=0")
    done = subprocess.run(command, cwd=repository, capture_output=True, encoding="utf-8", errors="replace", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    executed = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    assert executed is not None, done.stderr[-3000:]
    print(f"{executed[1]} executions in {SECONDS} s")
    assert int(executed[1]) > len(CORPUS)
