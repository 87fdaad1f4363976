"""What the embedded diffusion model learns from: pictures, what a reference leaves of them, and words with places."""

from __future__ import annotations

import io
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..data import Picture, read_annotations
from .regions import Region, regions

MOST_REGIONS = 4
_LONGEST_SHORT_SIDE = 1024
_SCALES, _SCALE_ODDS = (2, 3, 4), (0.5, 0.3, 0.2)
_RATES = 0.01, 0.06  # bits per pixel
_QUALITIES = range(1, 64)


@dataclass
class Words:
    """What is said of a crop: captions of the whole, and a name and a detail for each of its regions.

    ``larger`` says whether the picture is larger than the crop: most that are not were shrunk and stored once more, and
    are less sharp.
    """

    captions: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    larger: bool = False


def degrade(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What an AV1 reference of about 0.01 to 0.06 bit per pixel keeps of a picture, (H, W, 3) uint8.

    The ``av1`` codec's coder, scales and filter with a budget drawn at random; the scale is drawn, too, where the
    codec tries all of them: its search takes seconds a picture.
    """
    height, width = pixels.shape[:2]
    scale = random.choice(_SCALES, p=_SCALE_ODDS)
    budget = np.exp(random.uniform(*np.log(_RATES))) * height * width / 8 + _CONTAINER
    small = Image.fromarray(pixels).resize(
        (max(16, width // scale), max(16, height // scale)), Image.Resampling.LANCZOS
    )
    low, high = _QUALITIES[0], _QUALITIES[-1]
    best = _avif(small, low)
    while low < high:
        quality = (low + high + 1) // 2
        data = _avif(small, quality)
        if len(data) <= budget:
            low, best = quality, data
        else:
            high = quality - 1
    return np.asarray(Image.open(io.BytesIO(best)).convert("RGB").resize((width, height), Image.Resampling.LANCZOS))


_CONTAINER = 287  # bytes of an AVIF file that the reference does not spend


def _avif(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "AVIF", quality=quality, speed=8, subsampling="4:4:4", max_threads=1, advanced={"tune": "psnr"})
    return buffer.getvalue()


def crops(picture: Picture, size: int, seed: int) -> list[tuple[np.ndarray, np.ndarray, Words]]:
    """Crops of a picture with what a reference leaves of them, and words.

    Args:
        picture: a training picture; one that is smaller than a crop gives none.
        size: of a crop, a multiple of 8.
        seed: of this picture's degradations and places.

    Returns:
        For each crop the original and two degraded ones, (3, size, size, 3) uint8; how far the regions cover each cell,
        (4, size/8, size/8) uint8; the words.
    """
    random = np.random.default_rng(seed)
    pixels = picture.pixels(_LONGEST_SHORT_SIDE)
    height, width = pixels.shape[:2]
    if min(height, width) < size:
        return []
    versions = np.stack([pixels, degrade(pixels, random), degrade(pixels, random)])
    found = regions(pixels, picture)
    if min(height, width) == size:
        boxes = [(0, int(left)) for left in sorted({0, width - size})]
    else:
        count = max(1, min(8, round(1.5 * height * width / size**2)))
        boxes = [
            (int(random.integers(height - size + 1)), int(random.integers(width - size + 1))) for _ in range(count)
        ]
    return [_crop(versions, found, picture.captions, top, left, size, random.random() < 0.5) for top, left in boxes]


def _crop(
    versions: np.ndarray, found: list[Region], captions: list[str], top: int, left: int, size: int, flip: bool
) -> tuple[np.ndarray, np.ndarray, Words]:
    box = slice(top, top + size), slice(left, left + size)
    step = -1 if flip else 1
    masks = np.zeros((MOST_REGIONS, size // 8, size // 8), np.uint8)
    words = Words(list(captions), larger=min(versions.shape[1:3]) > size)
    for region in found:
        mask = region.mask[box][:, ::step]
        if mask.mean() >= 0.03:
            cells = mask.reshape(size // 8, 8, size // 8, 8).mean((1, 3))
            masks[len(words.names)] = np.round(255 * cells)
            words.names.append(region.name)
            words.details.append(region.detail)
    return versions[:, box[0], box[1]][:, :, ::step], masks, words


def prepare(data: Path, out: Path, size: int, seed: int, workers: int = 2) -> None:
    """Writes what :func:`crops` gives, stacked, as ``crops.npy``, ``masks.npy`` and ``words.json`` into ``out``."""
    pictures = read_annotations(data)
    pixels, masks, words = [], [], []
    with ProcessPoolExecutor(workers) as pool:
        made = pool.map(crops, pictures, [size] * len(pictures), range(seed, seed + len(pictures)), chunksize=16)
        for result in tqdm(made, "degrading pictures", len(pictures)):
            for crop, cells, said in result:
                pixels.append(crop)
                masks.append(cells)
                words.append(asdict(said))
    (out / "words.json").write_text(json.dumps(words), encoding="utf-8")
    np.save(out / "masks.npy", np.stack(masks))
    # Crop by crop: stacked, they would be in memory twice, gigabytes each time.
    partial = out / "crops.partial.npy"
    stored = np.lib.format.open_memmap(partial, "w+", np.uint8, (len(pixels), *pixels[0].shape))
    for place, crop in zip(stored, pixels, strict=True):
        place[...] = crop
    stored.flush()
    partial.replace(out / "crops.npy")
