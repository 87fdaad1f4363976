"""``sedic encode PHOTO --auto``: nothing typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedic.bitstream import SedicFile
from sedic.cli import main
from sedic.demo import PHOTOGRAPH


def test_a_photograph_is_encoded_with_nothing_typed_and_a_sentence_on_what_was_found_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cup.sedic"
    assert main(["encode", str(PHOTOGRAPH), "--auto", "--objects", "1", "-o", str(out)]) == 0
    (cup,) = SedicFile.read(out).semantics.objects
    assert cup.name == "cup"
    assert cup.mask is not None
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Note: ")]
    assert any(note.startswith("Note: Found: cup") for note in notes)
    assert any(note.startswith("Note: Left out: ") for note in notes)


@pytest.mark.parametrize("other", [["--endpoint", "local"], ["--semantics", "s.json"]])
def test_words_come_from_one_place(other: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["encode", str(PHOTOGRAPH), "--auto", *other, "-o", str(tmp_path / "x.sedic")])
    assert stopped.value.code == 2
    assert "--auto" in capsys.readouterr().err
