"""``sedic verify``: whether files decode here to the same words, masks and numbers as everywhere."""

from __future__ import annotations

import argparse
from typing import Any

from .. import threads
from ..errors import SedicError
from .bars import Bars
from .speech import Speech


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers."""
    command = kinds.add_parser("verify", help="whether this machine reads files as every other one does")
    command.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    command.add_argument("--write", action="store_true", help="also write each file again, which takes twice as long")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, speech: Speech) -> None:
    """Reads the shipped files, and tells what differs.

    Raises:
        SedicError: something does.
    """
    threads.share()
    from .. import proof
    from ..progress import watched_by

    threads.adapt()
    with Bars() as bars, watched_by(bars):
        rows = list(proof.check(write=options.write))
    wrong = [row for row in rows if row.differs]
    for row in wrong:
        speech.say(f"{row.name}: differs in {'; '.join(row.differs)}")
    total = sum(row.bytes for row in rows)
    speech.json({"files": [row._asdict() for row in rows], "bytes": total, "machine": proof.machine()})
    if wrong:
        raise SedicError(
            f"{len(wrong)} of {len(rows)} files differ on this machine ({proof.machine()}); please report it with the "
            "lines above."
        )
    again = ", and written again every byte is" if options.write else ""
    speech.say(
        f"{len(rows)} files, {total} bytes: all words, masks and numbers of the references are those of the table"
        f"{again} ({proof.machine()})."
    )
