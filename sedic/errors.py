"""The one base class of errors that are told to a person in a sentence."""


class SedicError(Exception):
    """Something the person at the keyboard can mend: what was wrong, what to do, in one sentence."""
