"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

from sedic.bitstream import SedicFile
from sedic.cli import main

WIDTH, HEIGHT = 64, 72
EARLIER = b"SDC: what an earlier run wrote"


def failure(capsys, *arguments) -> str:
    """The one line that a failing command leaves on standard error."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 1
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if not line.startswith("Note: ")]
    assert len(lines) == 1, output.err
    assert output.out == ""
    return lines[0]


def cut(scene: Path, section: str) -> bytes:
    """The scene's file up to within ``section``."""
    data, end = (scene / "a.sedic").read_bytes(), 0
    for part in SedicFile.from_bytes(data).sections:
        if part.name == section:
            return data[: end + part.bytes // 2]
        end += part.bytes
    raise AssertionError(section)
