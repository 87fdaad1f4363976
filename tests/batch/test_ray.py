"""On Ray every picture is made once, with the same bytes as without it, whatever happens to workers and nodes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from turning import Turning, folder, plan, run

from sedic.batch import ray_engine
from sedic.batch.manifest import ManifestError
from sedic.batch.parquet import ParquetManifest
from sedic.batch.places import Address, read, where, write
from sedic.batch.plan import make_plan
from sedic.cli import main
from sedic.picture import picture_endings

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'sedic[ray]'")
pytestmark = pytest.mark.slow  # minutes of processes that start


@pytest.fixture(scope="module")
def cluster():
    """Three nodes in this machine; the driver's has one core, the others a worker each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=10**8)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def outputs(path: Path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.suffix in (".out", ".sedic")}


def on_ray(source: Path, to, work=None, **options):
    return ray_engine.RayRun(work or Turning(), plan(source), to, **options).start()


def test_a_worker_and_a_node_are_killed_in_the_middle_and_every_picture_is_there_once(cluster, tmp_path):
    files = {f"{number:02}": f"picture {number}".encode() for number in range(40)}
    files |= {"07": b"kill a worker once", "19": b"wait for a node's death", "23": b"bad", "31": b"die"}
    source, log = folder(tmp_path / "in", files), tmp_path / "log"
    doomed = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    killed = []

    def told(what: str, done: int, total: int) -> None:
        if done == 12 and not killed:
            killed.append(done)
            cluster.remove_node(doomed, allow_graceful=False)

    from sedic.progress import watched_by

    with watched_by(told):
        summary = on_ray(source, tmp_path / "out", Turning(log=log, once=tmp_path / "once"))
    assert killed
    assert (summary.done, summary.skipped, summary.failed) == (38, 0, 2)
    assert sorted(error.rsplit("/", 1)[1].split(":")[0] for error in summary.errors) == ["23", "31"]
    assert any("worker on it died" in error for error in summary.errors)
    assert (tmp_path / "once").exists()

    without = folder(tmp_path / "plain", {name: data for name, data in files.items() if data not in (b"bad", b"die")})
    run(without, tmp_path / "local", Turning(once=tmp_path / "once"))
    assert outputs(tmp_path / "out") == outputs(tmp_path / "local")
    manifest = ParquetManifest(tmp_path / "out", "encode")
    assert set(manifest.done) == {f"{name}.out" for name in files} - {"23.out", "31.out"}

    (source / "31").write_bytes(b"cured")
    log.unlink()
    again = on_ray(source, tmp_path / "out", Turning(log=log, once=tmp_path / "once"))
    assert (again.done, again.skipped, again.failed) == (1, 38, 1)
    assert {line.split()[-1] for line in log.read_text().splitlines()} == {"began", "23", "31"}


def test_a_driver_that_was_killed_leaves_files_that_the_next_run_knows_for_its_own(cluster, tmp_path):
    source, to = folder(tmp_path / "in", {"a": b"one", "b": b"two", "c": b"three"}), tmp_path / "out"
    ParquetManifest(to, "encode").plan(["a.out", "c.out"])
    folder(to, {"a.out": b"of another moment", "b.out": b"mine", "c.out": b"eerht"})
    summary = on_ray(source, to)
    assert (summary.done, summary.failed) == (2, 1)
    assert outputs(to) == {"a.out": b"eno", "b.out": b"mine", "c.out": b"eerht"}
    assert on_ray(source, to, force=True).done == 1
    assert outputs(to)["b.out"] == b"owt"
    with pytest.raises(ManifestError, match="of sedic encode"):
        on_ray(source, to, Turning(command="decode"))


def test_addresses_are_read_and_written(cluster, tmp_path):
    """With the one file system of pyarrow that needs no server."""
    files = {"a.png": b"one", "deep/b.jpg": b"two", "deep/b.png": b"2", "c.txt": b""}
    source = Address((folder(tmp_path / "in", files)).as_uri())
    to = Address((tmp_path / "out").as_uri())
    found = make_plan([source], picture_endings(), to, ".out")
    summary = ray_engine.RayRun(Turning(), found, to).start()
    assert (summary.done, summary.failed) == (1, 2)
    assert outputs(tmp_path / "out") == {"a.out": b"eno"}
    assert ray_engine.RayRun(Turning(), found, to).start().skipped == 1
    target = where(f"{to}/x/y")
    write(target, b"data")
    assert read(target) == b"data"


def test_the_command_line_makes_the_same_files_with_ray_as_without(cluster, repository, tmp_path, capsys):
    for name in ("kodim03", "kodim04"):
        shutil.copy(repository / "sedic" / "proof" / "files" / f"{name}.sedic", tmp_path)
    source = folder(tmp_path / "in", {})
    source.mkdir()
    for path in tmp_path.glob("*.sedic"):
        shutil.copy(path, source)
    command = ["decode", str(source), "--until", "reference", "--json"]
    assert main([*command, "-o", str(tmp_path / "ray"), "--engine", "ray"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["done"] == 2
    assert main([*command, "-o", str(tmp_path / "plain"), "--jobs", "1"]) == 0
    pictures = [{p.name: p.read_bytes() for p in (tmp_path / n).glob("*.png")} for n in ("ray", "plain")]
    assert pictures[0] == pictures[1]
