"""Batches for the diffusion training: cached latents, and prompts with the places of their names."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ...models.embedded import TEXT_ENCODER, load, tokenizer
from ...models.precision import autocast
from ...reference.registry import DEFAULT_CODEC, codec_by_name
from ...restoration.diffusers_backend.schedules import noise_levels
from ...restoration.settings import NEGATIVE
from ..data import to_tensor
from ..device import CPU, Device

_NEAR = 8  # qualities around the default codec's default that half of its references have
_BY_DEFAULT_CODEC = 0.6  # of the conditions, are what the default codec leaves
_LENGTH = TEXT_ENCODER["max_position_embeddings"]


class Odds(Protocol):
    """Shares of the examples, as a training's configuration gives them."""

    no_text: float
    no_condition: float
    degraded_share: float  # targets that stay degraded, named by the negative prompt


class Texts:
    """Prompts with the places of their names, from what :mod:`.scenes` said of a crop."""

    def __init__(self, words: list[dict[str, list[str]]], odds: Odds):
        self.words, self.odds, self.tokenizer = words, odds, tokenizer()
        self._cache: dict[str, list[int]] = {}

    def _ids(self, text: str) -> list[int]:
        if text not in self._cache:
            self._cache[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._cache[text]

    def draw(self, row: int, masks: Tensor, random: np.random.Generator) -> list[tuple[str, int]]:
        """Parts (text, number of the region or -1) of a prompt, drawn at random; empty for no words.

        Args:
            row: of the crop.
            masks: (K, h, w), the part of the regions that this example sees.
            random: the source of the choice.
        """
        said = self.words[row]
        seen = [k for k in range(len(said["names"])) if masks[k].mean() > 0.02 and masks[k].max() > 0.5]
        if random.random() < self.odds.no_text:
            return []
        if seen and random.random() < 0.5:
            k = int(random.choice(seen))
            return [(said["names"][k], k), (said["details"][k], -1)]
        parts: list[tuple[str, int]] = []
        if said["captions"] and (not seen or random.random() < 0.6):
            parts.append((str(random.choice(said["captions"])), -1))
        for k in random.permutation(seen):
            parts.append((said["names"][k], int(k)))
            if random.random() < 0.6:
                parts.append((said["details"][k], -1))
        return parts

    def encode(self, parts: list[tuple[str, int]], regions: int) -> tuple[Tensor, Tensor]:
        """Token numbers (T,) and the places of the regions' names, (regions, T) in {0, 1}."""
        tokens, places = [self.tokenizer.bos_token_id], torch.zeros(regions, _LENGTH)
        for number, (text, region) in enumerate(parts):
            ids = [*(self._ids(",") if number else []), *self._ids(text)][: _LENGTH - 1 - len(tokens)]
            if region >= 0:
                start = len(tokens) + (1 if number else 0)
                places[region, start : len(tokens) + len(ids)] = 1
            tokens += ids
        tokens += [self.tokenizer.eos_token_id] * (_LENGTH - len(tokens))
        return torch.tensor(tokens), places


def compact_reference(pixels: np.ndarray, seed: int) -> np.ndarray:
    """What the default reference keeps of a crop, (H, W, 3) uint8: half of them near its default quality."""
    random, codec = np.random.default_rng(seed), codec_by_name(DEFAULT_CODEC)
    first, middle, last = codec.qualities[0], codec.default_quality, codec.qualities[-1]
    near = random.random() < 0.5
    quality = int(random.integers(middle - _NEAR, middle + _NEAR + 1) if near else random.integers(first, last + 1))
    return codec.decode(codec.encode(pixels, quality), (pixels.shape[1], pixels.shape[0]), quality)


def _references(crops: Path, start: int, count: int) -> np.ndarray:
    """:func:`compact_reference` of the crops from ``start`` on, (count, 1, H, W, 3) uint8."""
    part = np.load(crops, mmap_mode="r")[start : start + count, 0]
    return np.stack([compact_reference(np.ascontiguousarray(c), start + i) for i, c in enumerate(part)])[:, None]


@torch.no_grad()
def encode(out: Path, autoencoder: Path, device: Device = CPU, workers: int = 2) -> None:
    """Encodes ``crops.npy`` once, and what :func:`compact_reference` leaves of each: ``latents.npy``.

    It is (N, 4, C, h, w) float16: the original, two AV1 references and one by the default codec.
    """
    encoder = device.place(load("autoencoder", autoencoder).encoder.to(memory_format=torch.channels_last))
    # One thread a worker, NumPy's as PyTorch's: with more they wait for one another.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    path, count = out / "crops.npy", 8
    crops = np.load(path, mmap_mode="r")
    starts, latents = range(0, len(crops), count), []
    workers = min(workers, len(starts))  # each loads PyTorch
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        made = pool.map(_references, repeat(path), starts, repeat(count))
        for start, references in tqdm(zip(starts, made, strict=True), "encoding pictures", len(starts)):
            part = np.concatenate([crops[start : start + count], references], 1)
            images = to_tensor(part.reshape(-1, *part.shape[2:])).contiguous(memory_format=torch.channels_last)
            images = device.batch(images)
            with autocast("convolution", device=images.device):
                encoded = encoder(images).float()
            latents.append(device.home(encoded.half()).numpy().reshape(len(part), -1, *encoded.shape[1:]))
    np.save(out / "latents.npy", np.concatenate(latents))


def mixed(clean: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Latents with noise, at a share of the signal; :func:`unmixed` undoes it."""
    return signal * clean + (1 - signal**2).sqrt() * noise


def unmixed(z: Tensor, v: Tensor, signal: Tensor) -> tuple[Tensor, Tensor]:
    """The clean latents and the noise that ``z`` is made of, by ``v`` (Salimans, Ho 2022), at a share of the signal."""
    spread = (1 - signal**2).sqrt()
    return signal * z - spread * v, spread * z + signal * v


class Examples:
    """Batches from the folder that :func:`prepare` and :func:`encode` filled."""

    def __init__(self, folder: Path, odds: Odds):
        self.crops = np.load(folder / "crops.npy", mmap_mode="r")
        self.latents = torch.from_numpy(np.load(folder / "latents.npy"))
        self.masks = torch.from_numpy(np.load(folder / "masks.npy"))
        words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        self.texts, self.odds = Texts(words, odds), odds
        self.held_out = torch.arange(0, len(self.latents), 60)
        self.training = torch.tensor([i for i in range(len(self.latents)) if i % 60])
        # Folders that were prepared before crops said so draw all alike.
        self.larger = torch.tensor([words[i].get("larger", False) for i in self.training.tolist()])
        self.kept = 1 / (1 + noise_levels() ** 2).sqrt()  # of the signal, at each training step

    def draw(self, count: int, larger: float) -> Tensor:
        """Rows of training crops, a share of them from pictures that are larger than a crop, where there are both."""
        if self.larger.all() or not self.larger.any():
            return self.training[torch.randint(len(self.training), (count,))]
        weights = torch.where(self.larger, larger / self.larger.sum(), (1 - larger) / (~self.larger).sum())
        return self.training[torch.multinomial(weights, count, replacement=True)]

    def batch(
        self, rows: Tensor, side: int, random: np.random.Generator, validating: bool = False, pixels: bool = False
    ) -> dict[str, Tensor]:
        """What networks are asked and what they should find, clean: :meth:`noised` or the steps before give the rest.

        Args:
            rows: of the crops.
            side: of the windows into the latents.
            random: the source of every choice.
            validating: nothing is dropped.
            pixels: whether the originals' are read, too.
        """
        full, count = self.latents.shape[-1], len(rows)
        tops, lefts = random.integers(full - side + 1, size=(2, count))
        windows = [(..., slice(t, t + side), slice(left, left + side)) for t, left in zip(tops, lefts, strict=True)]
        latents = torch.stack([self.latents[row][w] for row, w in zip(rows, windows, strict=True)]).float()
        masks = torch.stack([self.masks[row][w] for row, w in zip(rows, windows, strict=True)]).float() / 255
        # Two of the references are AV1's, the last one is by the default codec.
        final = latents.shape[1] - 1
        chosen = np.where(random.random(count) < _BY_DEFAULT_CODEC, final, random.integers(1, final, size=count))
        target, condition = latents[:, 0].clone(), latents[torch.arange(count), torch.from_numpy(chosen)]
        strength = torch.ones(count, 1, 1, 1)
        tokens, places = [], []
        for i, row in enumerate(rows.tolist()):
            parts = self.texts.draw(row, masks[i], random)
            if not validating and random.random() < self.odds.degraded_share:
                target[i], parts = condition[i], [(NEGATIVE, -1)]
            ids, where = self.texts.encode(parts, masks.shape[1])
            tokens.append(ids)
            places.append(where)
            if not validating and random.random() < self.odds.no_condition:
                strength[i] = 0
        batch = {
            "tokens": torch.stack(tokens), "condition": condition, "strength": strength, "target": target,
            "places": torch.stack(places), "masks": masks,
        }  # fmt: skip
        return batch | {"pixels": self._pixels(rows, tops, lefts, side)} if pixels else batch

    def noised(self, batch: dict[str, Tensor], validating: bool = False) -> dict[str, Tensor]:
        """``batch`` with times (at equal distances for ``validating``), noisy latents ``z`` and what v is there."""
        target, count = batch["target"], len(batch["target"])
        time = torch.linspace(20, 980, count).long() if validating else torch.randint(len(self.kept), (count,))
        signal = self.kept[time].reshape(-1, 1, 1, 1)
        noise = torch.randn_like(target)
        z = mixed(target, noise, signal).contiguous(memory_format=torch.channels_last)
        return batch | {"z": z, "time": time, "v": signal * noise - (1 - signal**2).sqrt() * target}

    def _pixels(self, rows: Tensor, tops: np.ndarray, lefts: np.ndarray, side: int) -> Tensor:
        """The originals below windows of ``side`` cells, (B, 3, 8·side, 8·side) in [-1, 1]."""
        places = zip(rows.tolist(), 8 * tops, 8 * lefts, strict=True)
        return to_tensor(np.stack([self.crops[r, 0, t : t + 8 * side, w : w + 8 * side] for r, t, w in places]))
