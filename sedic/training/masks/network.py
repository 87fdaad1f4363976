"""Makes the table of mask coder 2: the network that foretells cells, and the one that draws them.

``python -m sedic.training.masks.network DATA OUT.npz`` with DATA the folder that holds ``train/annotations.jsonl``.
Takes about ten minutes on one core; the same masks give the same bytes on the same machine (PyTorch's float32 sums
differ between machines: what is shipped is rounded to integers once, and those are exact everywhere). ``python -m
sedic.bench bitstream`` measures it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ...bitstream.mask.context import SIZE, contexts, fixed_contexts
from ...bitstream.mask.grid import to_grid
from ...bitstream.mask.lattice import PARTS, REACH, neighbourhoods
from ...bitstream.mask.network import to_integers
from ..data import decode_run_lengths, read_annotations
from ..device import CPU, Device

OBJECTS = 3  # of a picture, coded in turn
MOST_GROUPS = 4  # of objects from one picture
SMALLEST = 0.003  # of the picture's area
# Pixels of the annotations, whose short side is 256, and how often cells of that size are shown.
CELLS = {2: 0.1, 3: 0.2, 4: 0.3, 5: 0.15, 6: 0.12, 8: 0.09, 10: 0.04}
PASSES = 2  # over all pictures, each with other objects together, other cells and other halves mirrored
HIDDEN = (64, 32)
DRAW_HIDDEN = 64
FIRST_STEPS = 1500  # before the network itself says which contexts are worth showing
STEPS = 11000
DRAW_STEPS = 6000
BATCH = 1024
RATE = 0.004
LOGIT_STEPS, MOST_LOGIT = 32, 13  # probabilities are kept for logits in steps of 1/32


def pictures(data: Path, random: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """Up to three disjoint masks of a picture at a time, in a random order, some mirrored, (H, W) bool."""
    for picture in read_annotations(data / "train"):
        masks = [decode_run_lengths(o["mask_rle"]) for o in picture.objects]
        masks = [m for m in masks if m.mean() >= SMALLEST]
        order = random.permutation(len(masks))
        for start in range(0, min(len(masks), OBJECTS * MOST_GROUPS), OBJECTS):
            group = [masks[i] for i in order[start : start + OBJECTS]]
            top, left = random.integers(0, 4, 2)  # cells begin anywhere
            group = [m[top:, left:] for m in group]
            if random.random() < 0.5:
                group = [m[:, ::-1] for m in group]
            yield [m & ~np.logical_or.reduce([np.zeros_like(m), *group[:j]]) for j, m in enumerate(group)]


def count_contexts(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """The different contexts of free cells, (N, bytes) uint8 packed bits, and how many are 0 and 1, (N, 2) float32."""
    random = np.random.default_rng(0)
    found, counted = [], []
    for masks in chain.from_iterable(pictures(data, random) for _ in range(PASSES)):
        cell = int(random.choice(list(CELLS), p=list(CELLS.values())))
        taken = np.zeros_like(to_grid(masks[0], cell))
        for number, mask in enumerate(masks):
            cells = to_grid(mask, cell) & ~taken
            if cells.any():
                seen = contexts(cells, fixed_contexts(taken, number))[~taken]
                values = np.stack([~cells[~taken], cells[~taken]], axis=-1)
                keys, counts = _unite(np.packbits(seen, axis=-1), values)
                found.append(keys)
                counted.append(counts)
            taken = taken | cells
    keys, counts = _unite(np.concatenate(found), np.concatenate(counted))
    return keys, counts.astype(np.float32)


def _unite(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different keys, (N, bytes) uint8, and the sums of their counts."""
    unique, place = np.unique(keys.view(f"V{keys.shape[1]}").ravel(), return_inverse=True)
    sums = [np.bincount(place, counts[:, v], len(unique)).astype(np.int64) for v in (0, 1)]
    return unique.view(np.uint8).reshape(len(unique), -1), np.stack(sums, axis=-1)


def train_cells(
    keys: np.ndarray, counts: np.ndarray, first_steps: int, steps: int, device: Device = CPU
) -> nn.Sequential:
    """The network that foretells a cell from its context, (N, SIZE) -> logits (N, 1)."""
    network = device.place(_perceptron(SIZE, *HIDDEN, 1))
    total = counts.sum(axis=1)
    _train_on_contexts(network, keys, counts, np.sqrt(total), first_steps, device)
    # Contexts in proportion to the gradient that they bring, so that few steps go to what is known.
    parts = [slice(i, i + 65536) for i in range(0, len(keys), 65536)]
    bits = np.concatenate([_bits(network, keys[part], counts[part], device) for part in parts])
    chances = np.maximum(np.sqrt(bits * total) + 1e-3 * np.sqrt(total), 1e-3)
    _train_on_contexts(network, keys, counts, chances, steps, device)
    return device.home(network)


def _train_on_contexts(
    network: nn.Sequential, keys: np.ndarray, counts: np.ndarray, chances: np.ndarray, steps: int, device: Device
) -> None:
    """Draws contexts by their chances, weighs them against those and their number."""
    total = counts.sum(axis=1)
    ends = np.cumsum(chances, dtype=np.float64)
    weights = (total / chances * (ends[-1] / total.sum())).astype(np.float32)
    shares = counts[:, 1] / total
    random = np.random.default_rng(0)

    def loss() -> Tensor:
        chosen = np.searchsorted(ends, random.random(BATCH) * ends[-1])
        share, weight = (device.batch(torch.from_numpy(values[chosen])) for values in (shares, weights))
        logits = network(device.batch(_unpacked(keys[chosen])))[:, 0]
        each = binary_cross_entropy_with_logits(logits, share, reduction="none")
        return (weight * each).mean()

    _descend(network, loss, steps)


def train_drawing(data: Path, steps: int, device: Device = CPU) -> nn.Sequential:
    """The network that sees 5×5 cells and draws the middle one in 8×8 parts, (N, 25) -> logits (N, 64)."""
    random = np.random.default_rng(0)
    seen, drawn = [], []
    for masks in pictures(data, random):
        for mask in masks:
            cells = to_grid(mask, PARTS)
            rows, columns = cells.shape
            missing = ((0, rows * PARTS - mask.shape[0]), (0, columns * PARTS - mask.shape[1]))
            parts = np.pad(mask, missing, mode="edge").reshape(rows, PARTS, columns, PARTS).swapaxes(1, 2)
            near = neighbourhoods(cells)
            mixed = near.any(-1) & ~near.all(-1)
            seen.append(near[mixed])
            drawn.append(parts[mixed])
    near_cells, inside = torch.from_numpy(np.concatenate(seen)), torch.from_numpy(np.concatenate(drawn))
    side = 2 * REACH + 1
    network = device.place(_perceptron(side * side, DRAW_HIDDEN, PARTS * PARTS))

    def loss() -> Tensor:
        chosen = torch.from_numpy(random.integers(len(near_cells), size=BATCH))
        flips, turn, inverse = random.integers(4), random.random() < 0.5, random.random() < 0.5
        x, y = near_cells[chosen].view(-1, side, side), inside[chosen]
        # An outline is as likely mirrored, turned, or with inside and outside exchanged.
        axes = [axis for axis in (1, 2) if flips & axis]
        x, y = x.flip(axes), y.flip(axes)
        if turn:
            x, y = x.transpose(1, 2), y.transpose(1, 2)
        if inverse:
            x, y = ~x, ~y
        x, y = (device.batch(z.flatten(1).float()) for z in (x, y))
        return binary_cross_entropy_with_logits(network(x), y)

    _descend(network, loss, steps)
    return device.home(network)


def train(
    data: Path,
    out: Path,
    first_steps: int = FIRST_STEPS,
    steps: int = STEPS,
    draw: int = DRAW_STEPS,
    device: Device = CPU,
) -> None:
    """Trains both networks and writes the table of :mod:`sedic.bitstream.mask.neural`.

    Args:
        data: the folder with ``train/annotations.jsonl``.
        out: the npz to write; an existing one is replaced.
        first_steps: of the network that foretells cells, on contexts as they come.
        steps: of the same, on those that it has to learn.
        draw: steps of the network that draws.
        device: where.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    drawing = train_drawing(data, draw, device)
    cells = train_cells(*count_contexts(data), first_steps, steps, device)
    logits = np.arange(-MOST_LOGIT * LOGIT_STEPS, MOST_LOGIT * LOGIT_STEPS + 1) / LOGIT_STEPS
    share = 1 / (1 + np.exp(-logits))
    tables = {**_integers(cells, "cell"), **_integers(drawing, "draw")}
    ones = np.rint(share * (1 << 24)).astype(np.int32)
    costs = np.rint(-np.log2(np.stack([1 - share, share], axis=-1)) * 256).astype(np.int32)
    np.savez_compressed(out, ones=ones, costs=costs, **tables)  # type: ignore[arg-type]


def _perceptron(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _descend(network: nn.Sequential, loss_of_batch: Callable[[], Tensor], steps: int) -> None:
    optimizer = torch.optim.Adam(network.parameters(), RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of_batch().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        optimizer.step()
        schedule.step()


def _unpacked(keys: np.ndarray) -> Tensor:
    return torch.from_numpy(np.unpackbits(keys, axis=1, count=SIZE)).float()


@torch.no_grad()
def _bits(network: nn.Sequential, keys: np.ndarray, counts: np.ndarray, device: Device) -> np.ndarray:
    """What all cells of each context cost, in nats."""
    logits = device.home(network(device.batch(_unpacked(keys)))[:, 0]).numpy().astype(np.float64)
    return counts[:, 1] * np.logaddexp(0, -logits) + counts[:, 0] * np.logaddexp(0, logits)


def _integers(network: nn.Sequential, name: str) -> dict[str, np.ndarray]:
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    return to_integers([(n.weight.detach().numpy().T, n.bias.detach().numpy()) for n in layers], name)


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]))
