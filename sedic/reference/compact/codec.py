"""The codec ``compact`` as the registry knows it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ...bitstream.coder import BitstreamError
from ...models.precision import autocast, computes_in_bfloat16
from ...progress import track
from ..registry import CodecError, check_image, check_quality, check_size
from .distribution import Distribution
from .prior import SUBSTEPS, Prior
from .symbols import Latents, read, write

WEIGHTS = Path(__file__).parents[1] / "weights" / "compact.safetensors"
STRIDE = 32  # both sides' divisor
# Pixels that are taken at once, in each direction, and what is seen around them: they bound the memory. What the
# encoder does may be a little worse at a border; the decoder sees nearly all that there is to see.
DECODED, ANALYSED, REFINED = (768, 96), (768, 96), (768, 32)
BEYOND = 12  # qualities above the last that was trained: what depends on the quality goes on along its last line
LATENTS = (32, 16)  # how much smaller than the picture they are
Tile = tuple[slice, slice]  # rows and columns
FACTOR = ".factor"  # a tensor of this name holds the scales of 8-bit rows


@dataclass(frozen=True)
class Weights:
    """What is trained, ready to code.

    Attributes:
        transforms: :class:`.transforms.Transforms`.
        prior: the entropy model's networks.
        distribution: its probabilities.
        trade_offs: λ at each quality: bits per pixel that a squared error of one grey level is worth.
        fingerprint: one byte: weights that are released never change, so that few can be mistaken for them.
    """

    transforms: Any
    prior: Prior
    distribution: Distribution
    trade_offs: np.ndarray
    fingerprint: bytes

    @cached_property
    def in_bfloat16(self) -> Any:
        """The transforms with convolutions in bfloat16, for the encoder: autocast would convert them every time."""
        import torch

        with torch.inference_mode(False):
            transforms = copy.deepcopy(self.transforms)
            for module in transforms.modules():
                if isinstance(module, torch.nn.Conv2d):
                    module.bfloat16()
        return transforms


class Compact:
    """A learned codec of variable rate; one step of ``quality`` is about 3 % of the bytes.

    Attributes:
        bfloat16: whether the encoder's transforms compute in it; None: where the processor does so quickly. Other
            symbols may be chosen then, about as good ones; what is read in the bytes is the same.
    """

    name = "compact"
    id = 3
    default_quality = 28
    qualities = range(1, 7 * SUBSTEPS + 2 + BEYOND)
    bfloat16: bool | None = None

    def __init__(self, models: Path | None = None) -> None:
        """``models`` is not used: the weights are part of the package."""

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        """``image``, (H, W, 3) uint8, as range-coded latents.

        Raises:
            CodecError: picture or quality out of range, or the weights are damaged.
        """
        import torch

        from .refine import PACE, expectations, refined, rounded
        from .transforms import PIXEL

        check_image(image)
        check_quality(self, quality)
        weights = _weights()
        half = computes_in_bfloat16("convolution") if self.bfloat16 is None else self.bfloat16
        transforms = weights.in_bfloat16 if half else weights.transforms
        padded = np.pad(image, [*((0, -n % STRIDE) for n in image.shape[:2]), (0, 0)], mode="edge")
        step = torch.tensor([(quality - 1) / SUBSTEPS])

        def pixels(tile: Tile) -> torch.Tensor:
            values = torch.from_numpy(np.ascontiguousarray(padded[tile])).permute(2, 0, 1)[None]
            return values.contiguous().float().sub_(127.5).div_(PIXEL)

        def analyse(tile: Tile) -> list[torch.Tensor]:
            with torch.no_grad(), autocast(on=half):
                return [y[0] for y in transforms.latents(pixels(tile), step)]

        coarse, fine = _in_tiles(padded.shape[:2], analyse, LATENTS, *ANALYSED, "reference, analysis")
        symbols = rounded(torch.from_numpy(coarse)).numpy(), rounded(torch.from_numpy(fine)).numpy()
        expected = expectations(weights.prior, symbols, quality - 1)
        # The linear transforms are nearly orthonormal: an error of one step is one of the step's size in pixels.
        worth = [weights.trade_offs[quality - 1] / 3 * (PIXEL * s.flatten()).square() for s in transforms.steps(step)]

        def refine(tile: Tile) -> list[torch.Tensor]:
            parts = [torch.from_numpy(_part(k, tile, n)[None]).float() for k, n in zip(symbols, LATENTS, strict=True)]
            means_scales = [tuple(_part(m, tile, n) for m in e) for e, n in zip(expected, LATENTS, strict=True)]
            with autocast(on=half):
                return [y[0] for y in refined(transforms, pixels(tile), parts, means_scales, worth, step)]

        # Within a node of ComfyUI inference mode forbids gradients.
        with torch.inference_mode(False), torch.enable_grad():
            latents = _in_tiles(padded.shape[:2], refine, LATENTS, *REFINED, "reference, refinement")
        bits = tuple((w / PACE).numpy() for w in worth)
        return write(latents, bits, weights.prior, weights.distribution, quality - 1)

    def decode(self, data: bytes, size: tuple[int, int], quality: int) -> np.ndarray:
        """The picture at ``size`` = (width, height), as (H, W, 3) uint8.

        Raises:
            CodecError: damaged bytes, or what :meth:`encode` raises.
        """
        import torch

        from .transforms import PIXEL

        width, height = size
        weights = _weights()
        latents = [torch.from_numpy(k).float()[None] for k in self.symbols(data, size, quality)]
        step = torch.tensor([(quality - 1) / SUBSTEPS])

        def synthesise(tile: Tile) -> list[torch.Tensor]:
            parts = [
                _part(k, tile, n).contiguous(memory_format=torch.channels_last)
                for k, n in zip(latents, LATENTS, strict=True)
            ]
            with torch.no_grad():
                pixels = weights.transforms.pictures(*parts, step)[0] * PIXEL + 127.5
            return [pixels.float().nan_to_num(127.5).round().clamp(0, 255).byte()]

        padded = height + -height % STRIDE, width + -width % STRIDE
        (pixels,) = _in_tiles(padded, synthesise, (1,), *DECODED, "reference")
        return np.ascontiguousarray(pixels[:, :height, :width].transpose(1, 2, 0))  # 3,H,W -> H,W,3

    def symbols(self, data: bytes, size: tuple[int, int], quality: int) -> Latents:
        """The whole numbers in ``data``: what every machine has to read alike.

        Raises:
            CodecError: damaged bytes, or size or quality out of range.
        """
        check_size(size)
        check_quality(self, quality)
        weights = _weights()
        rows, columns = -(-size[1] // 32), -(-size[0] // 32)
        try:
            return read(data, (rows, columns), weights.prior, weights.distribution, quality - 1)
        except BitstreamError as error:
            raise CodecError("The reference's bytes are damaged; fetch the file again.") from error

    def least_quality(self, image: np.ndarray) -> int:
        """The first: every picture fits."""
        return self.qualities[0]

    def most_bytes(self, quality: int, size: tuple[int, int]) -> None:
        """Only encoding tells."""

    def fingerprint(self, quality: int) -> bytes:
        """First byte of the SHA-256 over all weights, in the order of their names."""
        return _weights().fingerprint


def _in_tiles(
    size: tuple[int, ...],
    work: Callable[[Tile], list[Any]],
    strides: tuple[int, ...],
    tile: int,
    margin: int,
    what: str,
) -> Any:
    """Puts together, (channels, rows, columns) each, what ``work`` makes of overlapping tiles of ``size`` pixels.

    ``what`` is for those who wait.
    """
    whole: list[np.ndarray] = []
    tiles = list(product(_spans(size[0], tile, margin), _spans(size[1], tile, margin)))
    for (rows, inner_rows), (columns, inner_columns) in track(tiles, what):
        parts = [part.numpy() for part in work((rows, columns))]
        if not whole:
            shapes = [(len(p), size[0] // n, size[1] // n) for p, n in zip(parts, strides, strict=True)]
            whole = [np.empty(shape, p.dtype) for shape, p in zip(shapes, parts, strict=True)]
        inside = _shifted(inner_rows, rows.start), _shifted(inner_columns, columns.start)
        for target, part, n in zip(whole, parts, strides, strict=True):
            _part(target, (inner_rows, inner_columns), n)[...] = _part(part, inside, n)
    return tuple(whole)


def _part(values: Any, tile: Tile, stride: int) -> Any:
    """What of ``values``, (…, rows, columns) at 1/stride of the picture's size, lies in a tile."""
    rows, columns = (slice(s.start // stride, s.stop // stride) for s in tile)
    return values[..., rows, columns]


def _shifted(span: slice, origin: int) -> slice:
    return slice(span.start - origin, span.stop - origin)


def _spans(length: int, tile: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """Tiles of at most ``tile``, as even as can be, with their margins, and what is kept of each."""
    parts = -(-length // tile)
    borders = [length * number // (parts * STRIDE) * STRIDE for number in range(parts)] + [length]
    for start, end in zip(borders, borders[1:], strict=False):
        yield slice(max(0, start - margin), min(length, end + margin)), slice(start, end)


@lru_cache(maxsize=1)
def _weights() -> Weights:
    """The weights of the package.

    Raises:
        CodecError: the file is missing or damaged.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    from .transforms import Transforms

    try:
        digest = hashlib.sha256()
        parts: dict[str, dict[str, np.ndarray]] = {"prior": {}, "transforms": {}, "table": {}}
        with safe_open(WEIGHTS, "numpy") as file:
            for name in sorted(file.keys()):
                part, _, inner = name.partition(".")
                parts[part][inner] = file.get_tensor(name)
                digest.update(parts[part][inner].tobytes())
        with torch.inference_mode(False):  # tensors made in it would refuse gradients later
            state = {
                name: _floats(value, parts["transforms"].get(name + FACTOR))
                for name, value in parts["transforms"].items()
                if not name.endswith(FACTOR)
            }
            with torch.device("meta"):  # no memory for weights that are replaced at once
                transforms = Transforms()
            transforms.load_state_dict(state, strict=True, assign=True)
            transforms.eval().requires_grad_(False)
        prior, distribution = Prior(parts["prior"]), Distribution(parts["table"]["distribution"])
        trade_offs = parts["table"]["trade_offs"]
        beyond = trade_offs[-1] * (trade_offs[-1] / trade_offs[-2]) ** np.arange(1, BEYOND + 1)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CodecError(f"The weights {WEIGHTS} cannot be used ({reason}); install the package again.") from error
    return Weights(transforms, prior, distribution, np.concatenate([trade_offs, beyond]), digest.digest()[:1])


def _floats(values: np.ndarray, factors: np.ndarray | None) -> Any:
    """Weights as the transforms take them, of what is stored."""
    import torch

    whole = values.astype(np.float32)
    if factors is not None:
        whole *= factors.reshape(-1, *[1] * (whole.ndim - 1))
    tensor = torch.from_numpy(whole)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
