"""The table of kinds is what the tests hold."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_test_that_the_table_names_is_there():
    table = (HERE.parents[1] / "docs" / "pictures-and-masks.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", table))
    written = set(
        re.findall(r"^def (test_\w+)", "\n".join(p.read_text(encoding="utf-8") for p in HERE.glob("*.py")), re.M)
    )
    assert len(named) > 40
    assert named <= written
