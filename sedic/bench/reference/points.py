"""What each codec makes of each picture at each rate, kept on disk, so that nothing is done twice."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from ...metrics.fidelity import ms_ssim, psnr
from ...picture import read_picture, write_picture
from ...reference import CodecError, ReferenceCodec, codec_by_name, codec_names
from ...reference.av1 import Av1
from . import rivals
from .hevc import Hevc
from .jpeg_xl import JpegXl
from .rivals import TOLERANCE, Rival

RIVALS: dict[str, Callable[[], Rival]] = {"hevc": Hevc, "jxl": JpegXl}
TARGET = 18
TARGETS = (TARGET, 10, 40, 24, 14)
"""Thousandths of a bit per pixel, in the order in which they are measured."""
RARE, PAPERS = ("av1-slow", "compact-slow", "compact-1"), "cheng2020-attn"
_FEW = 8  # qualities, among which no rate can be met
_TRIES = 6  # qualities for one rate
_SHARES = (1.02, 1.04, 1.06)  # of the budget, for a codec that stays below: until it comes near enough
_STEP = 0.03  # of the logarithm of the bytes from a quality to the next, to begin with
_REFERENCE = Path(__file__).parents[2] / "reference"


@dataclass(frozen=True)
class Point:
    """A picture, coded.

    Attributes:
        bytes: of the reference, nothing left out; of ordinary codecs the container is.
        pixels: of the picture.
        psnr: dB.
        ms_ssim: as :func:`sedic.metrics.fidelity.ms_ssim`.
        setting: how, for people.
    """

    bytes: int
    pixels: int
    psnr: float
    ms_ssim: float
    setting: str

    @property
    def bpp(self) -> float:
        """Bits per pixel."""
        return 8 * self.bytes / self.pixels


@dataclass(frozen=True)
class Task:
    """A codec, a picture and a target, in thousandths of a bit per pixel.

    Attributes:
        weights: folder of weights for codecs that need any.
        folder: where results are kept.
    """

    codec: str
    picture: Path
    target: int
    weights: Path | None
    folder: Path

    @property
    def kept(self) -> Path:
        """The result's file."""
        return self.folder / self.picture.stem / f"{self.codec}-{self.target}.json"

    @property
    def decoded(self) -> Path:
        """The decoded picture's file."""
        return self.kept.with_suffix(".png")


def names(slow: bool, weights: Path | None) -> tuple[str, ...]:
    """All codecs that are compared, our own first; ``slow`` and ``weights`` say whether two of them are."""
    left_out = set() if slow else set(RARE)
    left_out |= {PAPERS} - ({PAPERS} if weights else set())
    own = sorted(set(codec_names()) - left_out, key=lambda name: (name != "compact", name))
    return *own, *RIVALS


def tasks(codecs: Sequence[str], pictures: Sequence[Path], weights: Path | None, folder: Path) -> list[Task]:
    """All that is to be measured, the middle rate's first."""
    return [
        Task(name, picture, target, weights, folder) for target in TARGETS for name in codecs for picture in pictures
    ]


def read(task: Task) -> Point | None:
    """What is kept of a task and still holds; None where it is to be done."""
    try:
        kept = json.loads(task.kept.read_text(encoding="utf-8"))
    except OSError:
        return None
    if kept.pop("key") != key(task.codec, task.weights):
        return None
    return Point(**kept)


@lru_cache(maxsize=32)
def key(name: str, weights: Path | None) -> str:
    """Of all that decides what a codec makes of a picture: sources, weights, versions."""
    digest = hashlib.sha256()
    if name in RIVALS:
        rival = RIVALS[name]()
        digest.update(rival.version.encode())
        files = [Path(rivals.__file__), Path(inspect.getfile(type(rival)))]
    else:
        codec = codec_by_name(name, weights)
        for quality in _present(codec):
            digest.update(codec.fingerprint(quality))
        digest.update(version("pillow").encode())
        module = _REFERENCE / type(codec).__module__.split(".")[2]
        files = [*sorted(module.glob("*.py")), *(p for p in [module.with_suffix(".py")] if p.is_file())]
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run(todo: Sequence[Task], workers: int) -> Iterator[str]:
    """Measures what is missing in as many processes of one thread each; yields a line for each that is done."""
    waiting = [task for task in todo if read(task) is None]
    yield f"{len(todo) - len(waiting)} of {len(todo)} points are there already"
    if not waiting:
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin) as pool:
        futures = [pool.submit(perform, task) for task in waiting]
        for done, future in enumerate(as_completed(futures), 1):
            yield f"{done}/{len(waiting)} {future.result()}"


def _begin() -> None:
    import torch

    torch.set_num_threads(1)


def perform(task: Task) -> str:
    """Measures and keeps one point; returns a line about it."""
    image = read_picture(task.picture)
    pixels = image.shape[0] * image.shape[1]
    budget = task.target * pixels // 8000
    told = f"{task.codec} {task.picture.stem} {task.target / 1000:g} bpp"
    if task.codec in RIVALS:
        found = rivals.best(_rival(task.codec), Image.fromarray(image), budget)
        if found is None:
            return f"{told}: cannot be reached"
        size, decoded, setting = found.bytes, found.pixels, found.setting
    else:
        codec = codec_by_name(task.codec, task.weights)
        try:
            quality, data = matched(codec, image, budget)
        except CodecError as error:
            return f"{told}: {error}"
        decoded = codec.decode(data, (image.shape[1], image.shape[0]), quality)
        size, setting = len(data), "" if isinstance(codec, Av1) else f"quality {quality}"
    point = Point(size, pixels, psnr(image, decoded), ms_ssim(image, decoded), setting)
    task.kept.parent.mkdir(parents=True, exist_ok=True)
    if task.target == TARGET:
        write_picture(task.decoded, decoded)
    partial = task.kept.with_suffix(".partial")
    text = json.dumps({"key": key(task.codec, task.weights), **asdict(point)}, ensure_ascii=False)
    partial.write_text(text, encoding="utf-8")
    partial.replace(task.kept)
    return f"{told}: {size} bytes, {point.psnr:.2f} dB ({setting})"


@lru_cache(maxsize=8)
def _rival(name: str) -> Rival:
    return RIVALS[name]()


def matched(codec: ReferenceCodec, image: np.ndarray, budget: int) -> tuple[int, bytes]:
    """The quality whose bytes are nearest to ``budget``, and the bytes.

    A codec whose quality is a budget gets more than it needs to come as near as the others do, and one of few
    qualities is tried at each.

    Raises:
        CodecError: no quality can code the picture.
    """
    if isinstance(codec, Av1):
        tried: list[bytes] = []
        for share in _SHARES:
            data = codec.within(image, round(share * budget))
            tried.append(data)
            if abs(len(data) / budget - 1) <= TOLERANCE:
                break
        nearest = min(tried, key=lambda data: abs(len(data) - budget))
        return codec.default_quality, nearest or codec.encode(image, codec.qualities[0])  # which tells what it needs
    known: dict[int, bytes] = {}
    if len(codec.qualities) <= _FEW:
        known = {quality: codec.encode(image, quality) for quality in _present(codec)}
    else:
        _approach(codec, image, budget, known)
    return min(known.items(), key=lambda pair: abs(len(pair[1]) - budget))


def _approach(codec: ReferenceCodec, image: np.ndarray, budget: int, known: dict[int, bytes]) -> None:
    """Encodes at ever nearer qualities: bytes grow about exponentially with the quality."""
    low, high = codec.qualities[0] - 1, codec.qualities[-1] + 1  # too few bytes, too many
    quality = codec.default_quality
    for _ in range(_TRIES):
        known[quality] = codec.encode(image, quality)
        off = math.log(max(1, len(known[quality])) / budget)
        if abs(off) < _STEP / 4:
            return
        low, high = (low, quality) if off > 0 else (quality, high)
        if high - low <= 1:
            return
        quality = min(max(quality - round(off / _STEP), low + 1), high - 1)


def _present(codec: ReferenceCodec) -> list[int]:
    """The qualities that have weights.

    Raises:
        CodecError: none has.
    """
    if len(codec.qualities) > _FEW:
        return [codec.default_quality]
    present: list[int] = []
    reason = CodecError(f"{codec.name} has no weights.")
    for quality in codec.qualities:
        try:
            codec.fingerprint(quality)
        except CodecError as error:
            reason = error if not present else reason
        else:
            present.append(quality)
    if not present:
        raise reason
    return present


def within(point: Point, target: int) -> bool:
    """Whether a point meets its target, in thousandths of a bit per pixel, to the tolerance."""
    return abs(1000 * point.bpp / target - 1) <= TOLERANCE + 8000 / (target * point.pixels)  # whole bytes
