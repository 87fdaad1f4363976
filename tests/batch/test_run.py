"""A run: each picture once, whatever happens to its workers, to itself, or to the pictures."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from turning import Turning, folder, run

from sedic import output
from sedic.batch import work
from sedic.batch.manifest import NAME
from sedic.batch.plan import Item, Plan
from sedic.batch.run import Run, RunError
from sedic.batch.workers import default_jobs
from sedic.errors import SedicError
from sedic.progress import watched_by

FOUR = {"a": b"one", "b": b"two", "c": b"three", "d": b"odd"}


def rows(path: Path) -> dict[str, dict]:
    """The newest row of each output."""
    lines = (path / NAME).read_text(encoding="utf-8").splitlines()[1:]
    return {row["output"]: row for row in map(json.loads, lines)}


def test_a_folder_is_done_by_workers_that_load_once_and_done_again_not_at_all(tmp_path):
    source, to, log = folder(tmp_path / "in", FOUR), tmp_path / "out", tmp_path / "log"
    told = []
    with watched_by(lambda what, done, total: told.append((what, done, total))):
        summary = run(source, to, Turning(log=log), jobs=2, devices=["x", "y"])
    assert (summary.done, summary.skipped, summary.failed, summary.noted, summary.jobs) == (4, 0, 0, 1, 2)
    assert (summary.bytes, summary.pixels) == (14, 32)
    assert summary.memory > 1 << 20
    assert {path.name: path.read_bytes() for path in to.glob("*.out")} == {
        f"{name}.out": data[::-1] for name, data in FOUR.items()
    }
    assert told[0] == ("pictures", 0, 4)
    assert told[-1] == ("pictures", 4, 4)
    began = [line.split()[0] for line in log.read_text().splitlines() if line.endswith("began")]
    assert sorted(began) == ["x", "y"]
    row = rows(to)["d.out"]
    assert row["notes"] == ["It is odd."]
    assert (row["bytes"], row["bpp"], row["width"], row["height"], row["error"]) == (3, 3.0, 8, 1, None)
    assert row["seconds"] >= 0
    assert row["source"] == str(source / "d")

    log.unlink()
    again = run(source, to, Turning(log=log))
    assert (again.done, again.skipped, again.failed, again.jobs) == (0, 4, 0, 0)
    assert not log.exists()


def test_what_changed_is_done_again_and_nothing_else(tmp_path):
    source, to, log = folder(tmp_path / "in", FOUR), tmp_path / "out", tmp_path / "log"
    run(source, to)
    (source / "a").write_bytes(b"other")
    (to / "b.out").unlink()
    assert run(source, to, Turning(log=log)).done == 2
    assert {line.split()[-1] for line in log.read_text().splitlines()} == {"began", "a", "b"}
    assert (to / "a.out").read_bytes() == b"rehto"
    assert run(source, to, Turning("!")).done == 4
    assert (to / "b.out").read_bytes() == b"owt!"


def test_files_that_no_run_wrote_as_they_are_stay_unless_forced(tmp_path):
    source, to = folder(tmp_path / "in", FOUR), folder(tmp_path / "out", {"a.out": b"mine"})
    summary = run(source, to)
    assert (summary.done, summary.failed) == (3, 1)
    (to / "b.out").write_bytes(b"edited")
    (source / "b").write_bytes(b"new")
    summary = run(source, to)
    assert (summary.skipped, summary.failed) == (2, 2)
    assert all("--force" in error for error in summary.errors)
    assert [(to / name).read_bytes() for name in ("a.out", "b.out")] == [b"mine", b"edited"]
    assert run(source, to, force=True).done == 2
    assert [(to / name).read_bytes() for name in ("a.out", "b.out")] == [b"eno", b"wen"]


def test_a_bad_picture_a_fault_and_a_dead_worker_cost_their_pictures_alone(tmp_path):
    source = folder(tmp_path / "in", {**FOUR, "b": b"bad", "c": b"die", "d": b"bug", "e": b"last"})
    plan = Plan([Item(path, path.name) for path in [*sorted(source.iterdir()), source / "gone"]])
    told = []
    summary = Run(Turning(), plan, tmp_path / "out", 1, told=lambda *failure: told.append(failure)).start()
    assert (summary.done, summary.failed) == (2, 4)
    failed = {Path(source).name: sentence for source, sentence in told}
    assert failed["b"] == "It is bad; make it good."
    assert "worker on it died" in failed["c"]
    assert "LookupError: of the program's own" in failed["d"]
    assert "There is no file" in failed["gone"]
    found = rows(tmp_path / "out")
    assert {name: found[name]["error"] for name in failed} == failed
    (source / "c").write_bytes(b"cured")
    assert run(source, tmp_path / "other").done == 3


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_in_a_circle_and_a_folder_with_a_pictures_name_cost_nothing_else(tmp_path):
    source = folder(tmp_path / "in", {"a": b"one", "c/d": b"two"})
    (source / "b").symlink_to(source / "b")
    told = []
    plan = Plan([Item(source / name, name) for name in ("a", "b", "c")])
    summary = Run(Turning(), plan, tmp_path / "out", 1, told=lambda *failure: told.append(failure)).start()
    assert (summary.done, summary.failed) == (1, 2)
    assert all(name in sentence for name, sentence in told)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["a", NAME]


def test_models_that_cannot_be_loaded_end_the_run_with_their_sentence(tmp_path):
    with pytest.raises(SedicError, match="no device 'broken'"):
        run(folder(tmp_path / "in", FOUR), tmp_path / "out", devices=["broken"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_run_that_is_killed_continues_and_leaves_no_worker(tmp_path):
    """Killed from within a picture, so that nothing has to be waited for."""
    source = folder(tmp_path / "in", {"a": b"one", "b": b"two", "c": b"end the run", "d": b"four"})
    to, log = tmp_path / "out", tmp_path / "log"
    code = f"""
from pathlib import Path
from turning import Turning, run
if __name__ == "__main__":
    run(Path({str(source)!r}), Path({str(to)!r}), Turning(log=Path({str(log)!r})))
"""
    (tmp_path / "main.py").write_text(code)
    paths = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])
    done = subprocess.run([sys.executable, tmp_path / "main.py"], env=os.environ | {"PYTHONPATH": paths}, check=False)
    assert done.returncode == -9
    made = {path.name for path in to.glob("*.out")}  # the worker may be quicker than the run that it ends
    assert made <= {"a.out", "b.out"}
    worker = int(log.read_text().split()[1])
    end = time.monotonic() + 30
    while _runs(worker):
        assert time.monotonic() < end
        time.sleep(0.01)
    (source / "c").write_bytes(b"three")
    summary = run(source, to)
    assert (summary.skipped, summary.done) == (len(made), 4 - len(made))
    assert {path.read_bytes() for path in to.glob("*.out")} == {b"eno", b"owt", b"eerht", b"ruof"}


def _runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_full_disk_ends_the_run_and_what_is_done_stays_done(tmp_path, monkeypatch):
    source, to = folder(tmp_path / "in", FOUR), tmp_path / "out"
    write = output._write

    def full(path, data):
        if Path(path).name == "b.out":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(output, "_write", full)
        with pytest.raises(RunError, match="No space left on device.*run the same again"):
            run(source, to)
    assert [path.name for path in to.glob("*.out")] == ["a.out"]
    summary = run(source, to)
    assert (summary.skipped, summary.done) == (1, 3)


def test_workers_are_as_many_as_fit(monkeypatch):
    class Large(Turning):
        def memory(self) -> int:
            return psutil.virtual_memory().total * 2

    monkeypatch.setattr("sedic.batch.workers.cores", lambda: 8)
    assert default_jobs(Turning(), ["cpu"], 100) == 8
    assert default_jobs(Turning(), ["cpu"], 3) == 3
    assert default_jobs(Large(), ["cpu"], 100) == 1
    assert default_jobs(Large(), ["cuda:0", "cuda:1"], 100) == 2


def test_a_file_depends_on_words_and_masks_beside_it(tmp_path):
    item = Item(tmp_path / "a.png", "a.sedic", tmp_path / "a.json")
    seen = []
    for text, mask in (("[]", b""), ('{"objects": [{"name": "x", "mask": "m.png"}]}', b"1"), (None, b"2")):
        if text:
            item.semantics.write_text(text)
        (tmp_path / "m.png").write_bytes(mask)
        seen.append(work.fingerprint({}, item.semantics))
    assert len(set(seen)) == 3
