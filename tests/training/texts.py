"""Descriptions to train on, few and alike."""

from __future__ import annotations

from pathlib import Path


def write_texts(folder: Path) -> None:
    """Makes ``folder/text`` with training and held-out lines and their sources."""
    (folder / "text").mkdir()
    for name in ("lmm_train", "captions_train", "lmm_heldout"):
        lines = ["A red barn stands beside a pond.", "The red barn is old, and the pond is frozen."] * 6
        (folder / "text" / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
        (folder / "text" / f"{name}.src").write_text("\n".join(["iiw-objects\t1", "x\t2"] * 6), encoding="utf-8")
