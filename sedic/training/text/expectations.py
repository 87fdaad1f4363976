"""What a larger model expects of each piece, as files: what :mod:`.teacher` writes and :mod:`.network` learns from.

A file holds texts side by side. Of a piece, the likeliest candidates stand with the teacher's probabilities; of the
others, some drawn at random share what is left of 1, so that a loss over the candidates has the mean that it would
have over all pieces.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

LIKELIEST, DRAWN = 32, 8  # candidates of a piece
OPEN = 6  # files from which texts are taken in turn


@dataclass(frozen=True)
class Expectations:
    """n texts of T pieces side by side.

    Attributes:
        pieces: (T, n) int64, what came.
        candidates: (T, n, K) int64, what could have come there, K = 40.
        shares: (T, n, K) float32, how likely each was.
    """

    pieces: np.ndarray
    candidates: np.ndarray
    shares: np.ndarray

    def write(self, path: Path) -> None:
        """Writes it in 16 bits a number; a file is there whole or not at all."""
        partial = path.with_suffix(".partial")
        kinds = {"pieces": np.uint16, "candidates": np.uint16, "shares": np.float16}
        with partial.open("wb") as file:
            np.savez(file, **{name: getattr(self, name).astype(kind) for name, kind in kinds.items()})
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Expectations:
        """Reads what :meth:`write` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(
                file["pieces"].astype(np.int64), file["candidates"].astype(np.int64), file["shares"].astype(np.float32)
            )

    def rows(self, rows: slice | np.ndarray) -> Expectations:
        """Some of the T pieces, of all texts."""
        return Expectations(self.pieces[rows], self.candidates[rows], self.shares[rows])

    def text(self, number: int) -> Expectations:
        """One of the n texts."""
        chosen = slice(number, number + 1)
        return Expectations(self.pieces[:, chosen], self.candidates[:, chosen], self.shares[:, chosen])

    @staticmethod
    def joined(parts: list[Expectations], axis: int) -> Expectations:
        """One behind the other (0) or side by side (1)."""
        return Expectations(
            np.concatenate([part.pieces for part in parts], axis),
            np.concatenate([part.candidates for part in parts], axis),
            np.concatenate([part.shares for part in parts], axis),
        )


def of_logits(logits: Tensor, pieces: Tensor) -> Expectations:
    """Expectations from a model's logits, (T, n, V), of ``pieces``, (T, n), which came there."""
    probabilities = logits.float().softmax(-1)
    shares, likeliest = probabilities.topk(LIKELIEST)
    left = (1 - shares.sum(-1, keepdim=True)).clamp(min=0)
    others = probabilities.scatter(2, likeliest, 1e-12).flatten(0, 1)  # T,n,V -> T·n,V
    drawn = torch.multinomial(others, DRAWN, replacement=True).view(*likeliest.shape[:2], DRAWN)
    return Expectations(
        pieces.cpu().numpy(),
        torch.cat([likeliest, drawn], 2).cpu().numpy(),
        torch.cat([shares, (left / DRAWN).expand(*left.shape[:2], DRAWN)], 2).cpu().numpy(),
    )


def stream(folder: Path, texts: int, length: int, known: int, seed: int = 0) -> Iterator[Expectations]:
    """Blocks of ``length`` + 1 pieces of ``texts`` texts for ever, each beginning with the last row of the one before.

    Args:
        folder: where the files are; those that come later are found in the next pass.
        texts: side by side.
        length: of a block.
        known: pieces from this number on, which part a teacher's documents, are left out.
        seed: of the order.

    Raises:
        FileNotFoundError: the folder has no such files.
    """
    source = _texts(folder, known, random.Random(seed))
    columns = [next(source) for _ in range(texts)]
    while True:
        for i, column in enumerate(columns):
            while len(columns[i].pieces) <= length:
                column = columns[i] = Expectations.joined([column, next(source)], 0)
        yield Expectations.joined([column.rows(slice(length + 1)) for column in columns], 1)
        columns = [column.rows(slice(length, None)) for column in columns]


def _texts(folder: Path, known: int, chance: random.Random) -> Iterator[Expectations]:
    while True:
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise FileNotFoundError(f"{folder} holds no expectations; make them with sedic train teacher")
        chance.shuffle(paths)
        for top in range(0, len(paths), OPEN):
            held = {path: Expectations.read(path) for path in paths[top : top + OPEN]}
            order = [(path, number) for path, all in held.items() for number in range(all.pieces.shape[1])]
            chance.shuffle(order)
            for path, number in order:
                text = held[path].text(number)
                text = text.rows(text.pieces[:, 0] < known)
                outside = text.candidates >= known
                yield Expectations(
                    text.pieces, np.where(outside, 0, text.candidates), np.where(outside, 0, text.shares)
                )
