"""Fits the shipped model of natural statistics, which :mod:`sedic.metrics.naturalness` measures from."""

from __future__ import annotations

from pathlib import Path

from ..errors import SedicError
from ..metrics.naturalness import fit_pristine, save_pristine
from ..training.data import read_annotations

SOURCES = ("cid22", "bsds", "clic")
"""Beginnings of the names of training pictures that keep their detail; the others were squashed or compressed hard."""


def measure(data: Path) -> None:
    """Fits, writes and tells how many patches that took.

    Args:
        data: the folder with the training pictures and their ``annotations.jsonl``.

    Raises:
        SedicError: no such pictures.
    """
    try:
        chosen = [picture for picture in read_annotations(data) if picture.path.name.startswith(SOURCES)]
    except FileNotFoundError as error:
        raise SedicError(str(error)) from error
    if not chosen:
        raise SedicError(f"{data} has no pictures of {', '.join(SOURCES)}; name the folder of the training pictures.")
    mean, covariance, patches = fit_pristine(picture.pixels(512) for picture in chosen)
    save_pristine(mean, covariance)
    print(f"{patches} sharp patches of {len(chosen)} pictures")
