"""The manifest: readable, tolerant of a run that was killed, and never of another version or command."""

from __future__ import annotations

import json

import pytest

from sedic.batch import parquet
from sedic.batch.manifest import NAME, Manifest, ManifestError

ROW = {"source": "a.png", "output": "a.sedic", "error": None, "output_sha256": "12"}


def test_rows_are_found_again_the_newest_first_and_failures_are_none(tmp_path):
    manifest = Manifest(tmp_path, "encode")
    assert not (tmp_path / NAME).exists()
    for row in (ROW, ROW | {"output_sha256": "34"}, ROW | {"output_sha256": None, "error": "no"}):
        manifest.add(row)
    again = Manifest(tmp_path, "encode")
    for found in (manifest, again):
        assert found.done("a.sedic") == ROW | {"output_sha256": "34"}
        assert found.done("b.sedic") is None
        assert [found.wrote("a.sedic", sha) for sha in ("12", "34", "56")] == [True, True, False]
    lines = (tmp_path / NAME).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line).get("version") for line in lines] == [1, None, None, None]


def test_a_manifest_cut_anywhere_is_read_up_to_its_last_whole_line_and_goes_on(tmp_path):
    path = tmp_path / NAME
    manifest = Manifest(tmp_path, "encode")
    for name in ("a", "b"):
        manifest.add(ROW | {"output": name})
    data = path.read_bytes()
    header, first, _ = data.splitlines(keepends=True)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        Manifest(tmp_path, "encode").add(ROW | {"output": "c"})
        found = Manifest(tmp_path, "encode")
        assert found.done("c")
        assert bool(found.done("a")) == (length >= len(header + first) - 1)
        whole = range(len(header) + 1), [len(header + first) - 1, len(header + first), len(data) - 1]
        assert found.torn == (not any(length in lengths for lengths in whole))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"sedic": "manifest", "version": 2, "command": "encode"}\n', "of version 2"),
        (b'{"sedic": "manifest", "version": 1, "command": "decode"}\n', "of sedic decode, not encode"),
        (b'{"other": 1}\n', "is no manifest of sedic's"),
        (b"\xff\xfe\n", "is no manifest of sedic's"),
        (b"[1]", "is no manifest of sedic's"),
    ],
)
def test_a_manifest_of_another_kind_is_refused_and_stays_as_it_is(tmp_path, data, said):
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(ManifestError) as error:
        Manifest(tmp_path, "encode")
    assert said in str(error.value)
    assert (tmp_path / NAME).read_bytes() == data


@pytest.mark.parametrize(("version", "command"), [(2, "encode"), (1, "decode")])
def test_a_manifest_of_parquet_of_another_kind_is_refused_and_stays_as_it_is(tmp_path, version, command, monkeypatch):
    pytest.importorskip("pyarrow")
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "VERSION", version)
        parquet.ParquetManifest(tmp_path, command).plan(["a.sedic"])
    (written,) = (tmp_path / parquet.FOLDER).iterdir()
    data = written.read_bytes()
    with pytest.raises(ManifestError, match=f"is of sedic {command}, version {version}, not encode, version 1"):
        parquet.ParquetManifest(tmp_path, "encode")
    assert written.read_bytes() == data


def test_names_that_are_no_text_are_kept(tmp_path):
    Manifest(tmp_path, "encode").add(ROW | {"output": "\udcff.sedic", "source": "日"})
    assert Manifest(tmp_path, "encode").done("\udcff.sedic")
    assert Manifest(tmp_path, "encode").torn == 0
