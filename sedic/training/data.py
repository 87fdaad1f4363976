"""Pictures, captions and masks for training, from a folder with ``annotations.jsonl``.

One JSON object a line: ``file``, ``captions``, ``objects`` (``name``, ``mask_rle``), ``masks_known``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


@dataclass
class Picture:
    """One annotated picture; the pixels are read when asked for."""

    path: Path
    captions: list[str] = field(default_factory=list)
    objects: list[dict] = field(default_factory=list)

    def pixels(self, longest_short_side: int | None = None) -> np.ndarray:
        """RGB pixels, (H, W, 3) uint8, shrunk until the short side is at most ``longest_short_side``."""
        with Image.open(self.path) as opened:
            image = opened.convert("RGB")
        short = min(image.size)
        if longest_short_side and short > longest_short_side:
            scale = longest_short_side / short
            size = (round(image.width * scale), round(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS)
        return np.array(image)


def read_annotations(folder: Path) -> list[Picture]:
    """All pictures that ``folder/annotations.jsonl`` lists."""
    path = folder / "annotations.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; name the folder that holds annotations.jsonl and its pictures.")
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Picture(folder / row["file"], row["captions"], row["objects"]) for row in rows]


def split(folder: Path) -> tuple[list[Picture], list[Picture]]:
    """What a network is trained with and what it is validated with: every ninetieth picture of a folder."""
    pictures = read_annotations(folder)
    return [p for i, p in enumerate(pictures) if i % 90], pictures[::90]


def centre(pixels: np.ndarray, side: int) -> np.ndarray:
    """The square in the middle of a picture, (H, W, 3), or as much of it as there is."""
    top, left = (max(0, length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def decode_run_lengths(rle: dict) -> np.ndarray:
    """Uncompressed COCO run lengths (column by column, zeros first) to a mask, (h, w) bool."""
    height, width = rle["size"]
    runs = np.repeat(np.arange(len(rle["counts"])) % 2, rle["counts"])
    return runs.reshape(width, height).T.astype(bool)


class RandomCrops:
    """Endless batches of random square crops, flipped at random, (N, 3, size, size) in [-1, 1]."""

    def __init__(self, pictures: list[np.ndarray], size: int, batch: int, seed: int):
        self.pictures = [p for p in pictures if min(p.shape[:2]) >= size]
        areas = np.array([p.shape[0] * p.shape[1] for p in self.pictures], float)
        self.weights = areas / areas.sum()
        self.size, self.batch = size, batch
        self.random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            crops = []
            for index in self.random.choice(len(self.pictures), self.batch, p=self.weights):
                picture = self.pictures[index]
                top = self.random.integers(picture.shape[0] - self.size + 1)
                left = self.random.integers(picture.shape[1] - self.size + 1)
                crop = picture[top : top + self.size, left : left + self.size]
                crops.append(crop[:, ::-1] if self.random.random() < 0.5 else crop)
            yield to_tensor(np.stack(crops))


def to_tensor(pixels: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
