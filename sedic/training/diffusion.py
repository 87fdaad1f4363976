"""Trains the embedded UNet, ControlNet and text encoder together on cached latents."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from ..models.embedded import load, new_controlnet, new_text_encoder, new_unet, save, tokenizer
from ..restoration.schedules import noise_levels
from ..restoration.settings import NEGATIVE
from .data import Picture, decode_run_lengths, read_annotations, to_tensor
from .loop import Run
from .words import describe


@dataclass
class Config:
    """The shipped weights were made with these values."""

    minutes: float = 39
    size: int = 256
    batch: int = 16
    rate: float = 1e-3
    degraded_share: float = 0.08  # targets that stay degraded, named by the negative prompt: what CFG moves away from
    no_text: float = 0.1
    no_condition: float = 0.05
    seed: int = 0


class TextEncoder(nn.Module):
    """The text encoder with a record of the tokens it has seen, so that only those need to be shipped."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = new_text_encoder()
        self.register_buffer("trained_tokens", torch.zeros(49408, dtype=torch.bool))


class Networks(nn.Module):
    """What is trained: (B, 16, h, w) noisy latents, times, tokens, condition latents -> v."""

    def __init__(self) -> None:
        super().__init__()
        self.unet, self.controlnet, self.text = new_unet(), new_controlnet(), TextEncoder()

    def forward(self, z: Tensor, time: Tensor, tokens: Tensor, condition: Tensor, strength: Tensor) -> Tensor:
        text = self.text.encoder(tokens)[0]
        down, middle = self.controlnet(z, time, text, controlnet_cond=condition, return_dict=False)
        down, middle = [d * strength for d in down], middle * strength
        return self.unet(
            z, time, text, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample


def degrade(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What an AV1 reference makes of a picture at about 0.01 to 0.05 bit per pixel, (H, W, 3) uint8.

    Scales and qualities are those that the ``av1`` codec's search settles on at these rates; it is not called itself,
    because the search takes seconds a picture.
    """
    scale, quality = random.uniform(3, 6), int(random.integers(6, 30))
    size = pixels.shape[1], pixels.shape[0]
    small = Image.fromarray(pixels).resize([max(16, round(n / scale)) for n in size], Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "AVIF", quality=quality, speed=8, subsampling="4:4:4", max_threads=1, advanced={"tune": "psnr"})
    return np.asarray(Image.open(buffer).convert("RGB").resize(size, Image.Resampling.LANCZOS))


def examples(
    picture: Picture, size: int, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, list[str]]]:
    """(target, degraded, texts) crops of ``size``: some of the whole picture, some of its objects."""
    pixels = picture.pixels(512)
    if min(pixels.shape[:2]) < size:
        return
    words = describe(pixels)
    whole = [*picture.captions, words, *[f"{caption}, {words}" for caption in picture.captions[:2]]]
    count = max(1, min(4, round(pixels.shape[0] * pixels.shape[1] / (size * size) / 1.5)))
    degraded = degrade(pixels, random)
    for _ in range(count):
        top, left = (int(random.integers(n - size + 1)) for n in pixels.shape[:2])
        box = slice(top, top + size), slice(left, left + size)
        step = -1 if random.random() < 0.5 else 1
        yield pixels[box][:, ::step], degraded[box][:, ::step], whole
    for scene_object in [o for o in picture.objects if o["name"] != "region"][:3]:
        mask = np.asarray(Image.fromarray(decode_run_lengths(scene_object["mask_rle"])).resize(pixels.shape[1::-1]))
        rows, columns = np.nonzero(mask)
        if mask.mean() < 0.06:
            continue
        side = max(size, min(max(np.ptp(rows), np.ptp(columns)), *pixels.shape[:2]))
        top = int(np.clip(rows.mean() - side / 2, 0, pixels.shape[0] - side))
        left = int(np.clip(columns.mean() - side / 2, 0, pixels.shape[1] - side))
        box = slice(top, top + side), slice(left, left + side)
        crop, blurred = (
            np.asarray(Image.fromarray(p[box]).resize((size, size), Image.Resampling.LANCZOS))
            for p in (pixels, degraded)
        )
        name = scene_object["name"]
        yield crop, blurred, [name, f"{name}, {describe(pixels, mask)}"]


def prepare(data: Path, out: Path, config: Config) -> None:
    """Makes all examples once: ``pairs.npy`` (N, 2, size, size, 3) uint8 (target, degraded) and ``texts.npy``."""
    random = np.random.default_rng(config.seed)
    pairs, texts = [], []
    for picture in tqdm(read_annotations(data), "degrading pictures"):
        for target, degraded, choices in examples(picture, config.size, random):
            pairs.append(np.stack([target, degraded]))
            texts.append("\n".join(choices))
    np.save(out / "texts.npy", np.array(texts))
    np.save(out / "pairs.npy", np.stack(pairs))


@torch.no_grad()
def encode(out: Path, autoencoder: Path) -> None:
    """Encodes ``pairs.npy`` once: ``latents.npy`` (N, 2, 16, h, w) float16."""
    encoder = load("autoencoder", autoencoder).encoder.to(memory_format=torch.channels_last)
    pairs = np.load(out / "pairs.npy", mmap_mode="r")
    latents = []
    for start in tqdm(range(0, len(pairs), 8), "encoding pictures"):
        images = to_tensor(np.concatenate(pairs[start : start + 8])).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            encoded = encoder(images).float()
        latents.append(encoded.half().numpy().reshape(-1, 2, *encoded.shape[1:]))
    np.save(out / "latents.npy", np.concatenate(latents))


def train(data: Path, out: Path, config: Config) -> Networks:
    """Trains, or resumes, in ``out``, and writes the weights there; the run ``autoencoder`` must lie beside it."""
    torch.manual_seed(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "pairs.npy").is_file():
        prepare(data, out, config)
    if not (out / "latents.npy").is_file():
        encode(out, out.parent / "autoencoder")
    latents = torch.from_numpy(np.load(out / "latents.npy"))
    texts = [row.split("\n") for row in np.load(out / "texts.npy")]
    held_out = torch.arange(0, len(latents), 60)
    training = torch.tensor([i for i in range(len(latents)) if i % 60])
    model = Networks().to(memory_format=torch.channels_last)
    run = Run(out, model, config.minutes, config.rate)
    tokens_of = tokenizer()
    sigmas = noise_levels()
    kept = 1 / (1 + sigmas**2).sqrt()
    random = np.random.default_rng(run.step)

    def batch(network: Networks, rows: Tensor, validating: bool = False) -> dict[str, Tensor]:
        target, condition = latents[rows].float().unbind(1)
        chosen = [str(random.choice(texts[int(row)])) for row in rows]
        strength = torch.ones(len(rows), 1, 1, 1)
        time = torch.randint(1000, (len(rows),))
        if validating:
            time = torch.linspace(50, 990, len(rows)).long()
        else:
            for i in range(len(rows)):
                if random.random() < config.degraded_share:
                    target[i], chosen[i] = condition[i], NEGATIVE
                elif random.random() < config.no_text:
                    chosen[i] = ""
            strength[torch.rand(len(rows)) < config.no_condition] = 0
        encoded = tokens_of(chosen, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        tokens = encoded["input_ids"]
        network.text.trained_tokens[tokens.flatten()] = True  # type: ignore[operator]
        noise = torch.randn_like(target)
        signal = kept[time].reshape(-1, 1, 1, 1)
        spread = (1 - signal**2).sqrt()
        z = (signal * target + spread * noise).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = network(z, time, tokens, condition, strength).float()
        return {"v": F.mse_loss(predicted, signal * noise - spread * target)}

    @torch.no_grad()
    def validate(average: Networks) -> dict[str, float]:
        state = torch.get_rng_state()
        torch.manual_seed(1)
        losses = [batch(average, rows, True)["v"].item() for rows in held_out.split(32)[:4]]
        torch.set_rng_state(state)
        return {"held_out_v": float(np.mean(losses))}

    run.train(lambda: batch(model, training[torch.randint(len(training), (config.batch,))]), validate)
    save("unet", run.average.unet, out)
    save("controlnet", run.average.controlnet, out)
    save("text_encoder", run.average.text.encoder, out, run.average.text.trained_tokens)
    return run.average
