"""What the headless tools tell in a sentence. Nothing here needs a package: they run on a bare Python, too."""

from __future__ import annotations


class HeadlessError(Exception):
    """Something the person at the keyboard can mend: what was wrong, what to do.

    Not a ``SedicError``: importing the library needs packages, which a machine that only talks to a server has not.
    """
