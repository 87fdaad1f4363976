"""The codec ``compact`` as the registry knows it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ...bitstream.coder import BitstreamError
from ...models.precision import computes_in_bfloat16
from ..registry import CodecError, check_image, check_quality, check_size
from .distribution import Distribution
from .hierarchy import Hierarchy
from .prior import SUBSTEPS, Prior
from .symbols import Latents, read, write
from .tiles import LATENTS, STRIDE, Tile, in_tiles, part_of

WEIGHTS = Path(__file__).parents[1] / "weights" / "compact.safetensors"
WRITTENS_WEIGHTS = WEIGHTS.with_name("compact_written.safetensors")
ENCODERS_WEIGHTS = WEIGHTS.with_name("compact_encoder.safetensors")  # which no file names: they may change
# Pixels that are taken at once, in each direction, and what is seen around them: it bounds the memory, and the decoder
# sees nearly all that there is to see.
DECODED = (768, 96)
BEYOND = 12  # qualities above the last that was trained: what depends on the quality goes on along its last line
FACTOR = ".factor"  # a tensor of this name holds the scales of 8-bit rows


@dataclass(frozen=True)
class Weights:
    """What is trained, ready to code.

    Attributes:
        transforms: :class:`.transforms.Transforms`.
        prior: the entropy model's networks.
        distribution: its probabilities.
        expecting: the networks by whose expectations the encoder has its second thoughts, as it has learnt to.
        trade_offs: λ at each quality: bits per pixel that a squared error of one grey level is worth.
        digest: SHA-256 over all arrays, in the order of their names.
    """

    transforms: Any
    prior: Prior
    distribution: Distribution
    expecting: Prior
    trade_offs: np.ndarray
    digest: bytes

    @cached_property
    def for_encoder(self) -> tuple[Any, Any]:
        """The transforms and :func:`.improve.improvers`.

        Raises:
            CodecError: the file of the latter is missing or damaged.
        """
        from .improve import improvers

        with _usable(ENCODERS_WEIGHTS) as file:
            return self.transforms, _network(improvers, {name: file.get_tensor(name) for name in sorted(file.keys())})

    @cached_property
    def in_bfloat16(self) -> tuple[Any, Any]:
        """The encoder's networks with convolutions in bfloat16: autocast would convert them every time.

        Raises:
            CodecError: as :attr:`for_encoder` says.
        """
        import torch

        with torch.inference_mode(False):
            networks = copy.deepcopy(self.for_encoder)
            for module in chain.from_iterable(network.modules() for network in networks):
                if isinstance(module, torch.nn.Conv2d):
                    module.bfloat16()
        return networks


class CompactFirst:
    """A learned codec of variable rate; one step of ``quality`` is about 3 % of the bytes.

    Its entropy model codes both latents in four passes. :class:`Compact` took its place; its files stay readable.

    Attributes:
        bfloat16: whether the encoder's transforms compute in it; None: where the processor does so quickly. Other
            symbols may be chosen then, about as good ones; what is read in the bytes is the same.
    """

    name = "compact-1"
    id = 3
    default_quality = 28
    qualities = range(1, 7 * SUBSTEPS + 2 + BEYOND)
    bfloat16: bool | None = None
    _long = False  # whether the encoder searches long

    def __init__(self, models: Path | None = None) -> None:
        """``models`` is not used: the weights are part of the package."""

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        """``image``, (H, W, 3) uint8, as range-coded latents.

        Raises:
            CodecError: picture or quality out of range, or the weights are damaged.
        """
        check_image(image)
        check_quality(self, quality)
        weights = self._weights()
        from .search import Search

        half = computes_in_bfloat16("convolution") if self.bfloat16 is None else self.bfloat16
        networks, trade_off = weights.in_bfloat16 if half else weights.for_encoder, weights.trade_offs[quality - 1]
        search = Search(networks, weights.expecting, trade_off, image, quality - 1, half)
        latents, bits = search.latents(self._long)
        return write(latents, bits, weights.prior, weights.distribution, quality - 1)

    def decode(self, data: bytes, size: tuple[int, int], quality: int) -> np.ndarray:
        """The picture at ``size`` = (width, height), as (H, W, 3) uint8.

        Raises:
            CodecError: damaged bytes, or what :meth:`encode` raises.
        """
        import torch

        from .transforms import PIXEL

        width, height = size
        weights = self._weights()
        latents = [torch.from_numpy(k).float()[None] for k in self.symbols(data, size, quality)]
        step = torch.tensor([(quality - 1) / SUBSTEPS])

        def synthesise(tile: Tile) -> list[torch.Tensor]:
            parts = [
                part_of(k, tile, n).contiguous(memory_format=torch.channels_last)
                for k, n in zip(latents, LATENTS, strict=True)
            ]
            with torch.no_grad():
                pixels = weights.transforms.pictures(*parts, step)[0] * PIXEL + 127.5
            return [pixels.float().nan_to_num(127.5).round().clamp(0, 255).byte()]

        padded = height + -height % STRIDE, width + -width % STRIDE
        (pixels,) = in_tiles(padded, synthesise, (1,), *DECODED, "reference")
        return np.ascontiguousarray(pixels[:, :height, :width].transpose(1, 2, 0))  # 3,H,W -> H,W,3

    def symbols(self, data: bytes, size: tuple[int, int], quality: int) -> Latents:
        """The whole numbers in ``data``: what every machine has to read alike.

        Raises:
            CodecError: damaged bytes, or size or quality out of range.
        """
        check_size(size)
        check_quality(self, quality)
        weights = self._weights()
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
        return self._weights().digest[:1]  # weights that are released never change: few can be mistaken for them

    def _weights(self) -> Weights:
        return package_weights(first=True)


class Compact(CompactFirst):
    """Better pictures in fewer bytes: coarse entropy model and synthesis have learnt from what encoders write."""

    name = "compact"
    id = 4

    def _weights(self) -> Weights:
        return package_weights()


class CompactSlow(Compact):
    """The same stream after a long search, of seconds instead of a tenth: a better picture for as many bytes."""

    name = "compact-slow"
    _long = True


@lru_cache(maxsize=2)
def package_weights(first: bool = False) -> Weights:
    """The weights of the package.

    Args:
        first: whether those of :class:`CompactFirst`; otherwise another entropy model of the coarse symbols and
            another synthesis take their places.

    Raises:
        CodecError: a file is missing or damaged.
    """
    return _first_weights() if first else _with_written(package_weights(first=True))


def _first_weights() -> Weights:
    from .transforms import Transforms

    with _usable(WEIGHTS) as file:
        parts = _parts(file)
        transforms, prior = _network(Transforms, parts["transforms"]), Prior(parts["prior"])
        distribution, trade_offs = Distribution(parts["table"]["distribution"]), parts["table"]["trade_offs"]
        beyond = trade_offs[-1] * (trade_offs[-1] / trade_offs[-2]) ** np.arange(1, BEYOND + 1)
    return Weights(transforms, prior, distribution, prior, np.concatenate([trade_offs, beyond]), _digest(parts))


def _with_written(first: Weights) -> Weights:
    from .transforms import Synthesis

    with _usable(WRITTENS_WEIGHTS) as file:
        parts = _parts(file)
        transforms = first.transforms.with_synthesis(_network(Synthesis, parts["synthesis"]))
        prior = first.prior.with_coarse(Hierarchy(parts["hierarchy"]))
        distribution = first.distribution.with_shares(parts["table"]["shares"])
    return replace(first, transforms=transforms, prior=prior, distribution=distribution,
                   digest=_digest(parts, first.digest))  # fmt: skip


def _parts(file: Any) -> dict[str, dict[str, np.ndarray]]:
    """A file's arrays, in the order of their names: what is called ``part.name`` as ``name`` in ``part``."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name in sorted(file.keys()):
        part, _, inner = name.partition(".")
        parts.setdefault(part, {})[inner] = file.get_tensor(name)
    return parts


def _digest(parts: dict[str, dict[str, np.ndarray]], before: bytes = b"") -> bytes:
    """SHA-256 over what stands before and a file's arrays, in their order."""
    digest = hashlib.sha256(before)
    for array in chain.from_iterable(part.values() for part in parts.values()):
        digest.update(array.tobytes())
    return digest.digest()


@contextmanager
def _usable(path: Path) -> Iterator[Any]:
    """The open file of weights; what goes wrong with it is told.

    Raises:
        CodecError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            yield file
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CodecError(f"The weights {path} cannot be used ({reason}); install the package again.") from error


def _network(kind: Callable[[], Any], stored: dict[str, np.ndarray]) -> Any:
    """A network with the weights that are stored, which are not trained any more."""
    import torch

    with torch.inference_mode(False):  # tensors made in it would refuse gradients later
        state = {
            name: _floats(value, stored.get(name + FACTOR))
            for name, value in stored.items()
            if not name.endswith(FACTOR)
        }
        with torch.device("meta"):  # no memory for weights that are replaced at once
            network = kind()
        network.load_state_dict(state, strict=True, assign=True)
        return network.eval().requires_grad_(False)


def _floats(values: np.ndarray, factors: np.ndarray | None) -> Any:
    """Weights as the transforms take them, of what is stored."""
    import torch

    whole = values.astype(np.float32)
    if factors is not None:
        whole *= factors.reshape(-1, *[1] * (whole.ndim - 1))
    tensor = torch.from_numpy(whole)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
