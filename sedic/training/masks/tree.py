"""Makes the table of mask coder 1: which neighbours its decision tree asks for, and how often a cell is then inside.

``python -m sedic.training.masks.tree DATA OUT.npz`` with DATA the folder that holds ``train/annotations.jsonl``. Takes
a minute; the same masks give the same bytes. ``python -m sedic.training.masks.tree measure DATA`` prints what masks
then cost.
"""

from __future__ import annotations

import heapq
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...bitstream.coder import Decoder, Encoder
from ...bitstream.mask.grid import to_grid
from ...bitstream.mask.tree import COUNT_UNIT, MARGIN, QUESTIONS, TreeCoder, question_planes
from ...semantics import Semantics, disjoint
from ..data import decode_run_lengths, read_annotations

CELL = 4  # the annotations' short side is 256: 64 cells, as a picture of 512 pixels has
OBJECTS = 3  # of a picture, coded in turn
MOST_GROUPS = 4  # of objects from one picture
SMALLEST = 0.005  # of the picture's area
LEAVES = 600
LEAST_GAIN = 1.0  # bits that a question must save
MOST_COUNT = 200  # cells that a leaf's training counts weigh against those of the picture at hand


def masks_in_turn(data: Path) -> list[list[np.ndarray]]:
    """Grids of up to three objects of a picture, in a random order, some mirrored; overlaps belong to the first."""
    random = np.random.default_rng(0)
    groups = []
    for picture in read_annotations(data / "train"):
        masks = [decode_run_lengths(o["mask_rle"]) for o in picture.objects]
        masks = [m for m in masks if m.mean() >= SMALLEST]
        order = random.permutation(len(masks))
        for start in range(0, min(len(masks), OBJECTS * MOST_GROUPS), OBJECTS):
            grids = [to_grid(masks[i], CELL) for i in order[start : start + OBJECTS]]
            groups.append([g[:, ::-1] for g in grids] if random.random() < 0.5 else grids)
    return groups


def answers(grid: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Each cell's answers to all questions, (rows, columns) uint64, question i in bit i."""
    planes = question_planes(grid, taken)
    rows, columns = grid.shape
    result = np.zeros(grid.shape, np.uint64)
    for i, (plane, y, x) in enumerate(QUESTIONS):
        seen = planes[plane, MARGIN + y : MARGIN + y + rows, MARGIN + x : MARGIN + x + columns]
        result |= seen.astype(np.uint64) << np.uint64(i)
    return result


def count_answers(groups: list[list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The different answers (N,) uint64 that free cells give, and how many of them are 0 and 1, (N, 2) int64."""
    keys, counts = [], []
    for grids in groups:
        taken = np.zeros_like(grids[0])
        for grid in grids:
            grid = grid & ~taken
            found, place = np.unique(answers(grid, taken)[~taken], return_inverse=True)
            keys.append(found)
            counts.append(_by_value(place, grid[~taken], len(found)))
            taken = taken | grid
    found, place = np.unique(np.concatenate(keys), return_inverse=True)
    stacked = np.concatenate(counts)
    return found, np.stack([np.bincount(place, stacked[:, v]).astype(np.int64) for v in (0, 1)], axis=1)


def _by_value(place: np.ndarray, cells: np.ndarray, size: int) -> np.ndarray:
    return np.stack([np.bincount(place[cells == v], minlength=size) for v in (False, True)], axis=1)


def code_length(counts: np.ndarray) -> np.ndarray:
    """Bits for cells of these counts, (…, 2) -> (…), with half a logarithm for having to learn them."""
    total = counts.sum(-1)
    share = counts / np.maximum(total, 1)[..., None]
    bits = -(counts * np.log2(np.where(share > 0, share, 1))).sum(-1)
    return bits + 0.5 * np.log2(total + 1)


@dataclass
class Tree:
    """Nodes in the order in which they were made; a question of −1 marks a leaf."""

    questions: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    counts: list[np.ndarray] = field(default_factory=list)

    def add(self, counts: np.ndarray) -> int:
        """A new leaf's number."""
        self.questions.append(-1)
        self.children.append(0)
        self.counts.append(counts)
        return len(self.questions) - 1


def grow(keys: np.ndarray, counts: np.ndarray) -> Tree:
    """Splits the leaf whose best question saves most, again and again."""
    asked = np.stack([(keys >> np.uint64(i)) & np.uint64(1) for i in range(len(QUESTIONS))]).astype(bool)
    tree = Tree()
    waiting: list[tuple[float, int, int, np.ndarray]] = []

    def consider(members: np.ndarray) -> None:
        own = counts[members]
        leaf = tree.add(own.sum(0))
        yes = asked[:, members].astype(np.int64) @ own
        gain = code_length(own.sum(0)) - code_length(yes) - code_length(own.sum(0) - yes)
        # Rounding keeps the choice between equal questions the same under any order of summation.
        best = int(np.argmax(np.round(gain, 3)))
        if gain[best] > LEAST_GAIN:
            heapq.heappush(waiting, (-round(float(gain[best]), 3), leaf, best, members))

    consider(np.arange(len(keys)))
    for _ in range(LEAVES - 1):
        if not waiting:
            break
        _, leaf, question, members = heapq.heappop(waiting)
        tree.questions[leaf], tree.children[leaf] = question, len(tree.questions)
        consider(members[~asked[question, members]])
        consider(members[asked[question, members]])
    return tree


def train(data: Path, out: Path) -> None:
    """Grows the tree on the training masks and writes the table of :mod:`sedic.bitstream.mask.tree`.

    Args:
        data: the folder with ``train/annotations.jsonl``.
        out: the npz to write; an existing one is replaced.
    """
    tree = grow(*count_answers(masks_in_turn(data)))
    counts = np.stack(tree.counts)
    # Each value keeps a little, so that nothing is impossible; at most MOST_COUNT cells' weight together.
    scaled = counts * COUNT_UNIT * MOST_COUNT // np.maximum(counts.sum(1, keepdims=True), MOST_COUNT)
    np.savez_compressed(
        out,
        questions=np.array(tree.questions, np.int8),
        children=np.array(tree.children, np.uint16),
        counts=np.maximum(scaled, 1).astype(np.uint16),
    )


def measure(data: Path) -> None:
    """Prints bytes a picture, and how far the decoded masks cover the originals, for the described pictures."""
    for name in ("kodak", "clic"):
        sizes, overlaps = [], []
        for path in sorted((data / name).glob("*.json")):
            objects = disjoint(Semantics.read(path).objects)
            masks = [o.mask for o in objects if o.mask is not None]
            height, width = masks[0].shape
            encoder, writer, reader = Encoder(), TreeCoder(width, height), TreeCoder(width, height)
            for mask in masks:
                writer.write(encoder, mask)
            sizes.append(len(encoder.finish()))
            decoder = Decoder(encoder.finish())
            for mask in masks:
                grid = reader.read(decoder)
                again = np.zeros_like(mask) if grid is None else reader.picture(grid)
                overlaps.append((mask & again).sum() / (mask | again).sum())
        print(
            f"{name}: {np.mean(sizes):.1f} bytes of masks a picture, {min(sizes)} to {max(sizes)}, "
            f"{len(sizes)} pictures; intersection over union {np.mean(overlaps):.3f}, at least {min(overlaps):.3f}"
        )


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        measure(Path(sys.argv[2]))
    else:
        train(Path(sys.argv[1]), Path(sys.argv[2]))
