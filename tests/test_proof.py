"""The files that prove that every machine reads alike: whole, and as the table says; what differs is named."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from sedic import proof
from sedic.cli import main

ROWS = json.loads(proof.TABLE.read_text(encoding="utf-8"))


def test_every_file_is_in_the_table_and_whole():
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in proof.FILES.glob("*.sedic")}
    assert found == {name: row["sha256"] for name, row in ROWS.items()}
    for name, row in ROWS.items():
        assert sum(row["sections"].values()) == (proof.FILES / name).stat().st_size


@pytest.fixture(scope="module")
def checked():
    """One file in seven; `sedic verify` takes all of them, half a minute of a core."""
    return list(proof.check(every=7))


def test_files_are_read_here_as_the_table_says(checked):
    assert [row.differs for row in checked] == [[]] * 4
    assert {len(row.name) for row in checked} == {len("kodim01.sedic"), len("097cb426910ba8ce.sedic")}


@pytest.mark.slow
def test_all_files_are_read_and_written_here_as_the_table_says():
    assert [row.differs for row in proof.check(write=True)] == [[]] * 26


def test_verify_tells_what_was_checked(checked, monkeypatch, capsys):
    monkeypatch.setattr(proof, "check", lambda write: iter(checked))
    assert main(["verify"]) == 0
    assert "4 files, " in capsys.readouterr().out
    assert main(["verify", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["files"][0] == {"name": checked[0].name, "bytes": checked[0].bytes, "differs": []}


def test_what_differs_is_named_and_the_status_tells(tmp_path, monkeypatch, capsys):
    name, row = next(iter(ROWS.items()))
    (tmp_path / "files").mkdir()
    shutil.copy(proof.FILES / name, tmp_path / "files")
    wrong = row | {"words": "1", "reference": "2", "masks": [row["masks"][0], "3", *row["masks"][2:]], "width": 9}
    table = tmp_path / "table.json"
    table.write_text(json.dumps({name: wrong, "missing.sedic": row}), encoding="utf-8")
    check = proof.check
    monkeypatch.setattr(proof, "check", lambda write: check(tmp_path / "files", table, write))
    assert main(["verify"]) == 1
    output = capsys.readouterr()
    assert (
        f"{name}: differs in the width ({row['width']} here, 9 there); the reference's whole numbers; the words; "
        in (output.out)
    )
    assert "the masks of objects 2" in output.out
    assert "missing.sedic: differs in all of it" in output.out
    assert output.err.startswith("2 of 2 files differ on this machine")
