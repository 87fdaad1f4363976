"""Seconds and memory of encoding and decoding, each codec in a process of its own, its weights loaded before."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...batch.work import peak
from ...picture import read_picture
from ...reference import codec_by_name
from ..processes import call
from .points import PAPERS

SIDES = (512, 1024, 2048, 4096)
REPEATS, THREADS = 5, 2
_WARM = 192  # side of the first picture, which loads what is loaded once


def measure(codec: str, models: Path | None, picture: Path, side: int | None = None, repeats: int = REPEATS) -> Any:
    """What :func:`run` answers in a fresh process.

    Raises:
        SedicError: it failed.
    """
    return call(
        run, {"OMP_NUM_THREADS": str(THREADS)}, codec=codec, models=None if models is None else str(models),
        picture=str(picture), side=side, repeats=repeats,
    )  # fmt: skip


def run(codec: str, models: str | None, picture: str, side: int | None, repeats: int) -> dict[str, Any]:
    """Encodes and decodes one picture at the default quality.

    Args:
        codec, models: as :func:`sedic.reference.codec_by_name` takes them.
        picture: file.
        side: of a square that the picture, mirrored at its edges, fills; None takes it as it is.
        repeats: how often; the median counts.

    Returns:
        ``encode`` and ``decode``: median seconds and processor seconds; ``memory``: bytes in memory at most;
        ``size``: width and height; ``bytes``: of the stream.
    """
    import torch

    torch.set_num_threads(THREADS)
    image = read_picture(Path(picture))
    if side is not None:
        spare = [(0, max(0, side - length)) for length in image.shape[:2]]
        image = np.ascontiguousarray(np.pad(image, [*spare, (0, 0)], mode="symmetric")[:side, :side])
    coder = codec_by_name(codec, None if models is None else Path(models))
    quality, size = coder.default_quality, (image.shape[1], image.shape[0])
    warm = image[:_WARM, :_WARM].copy()
    enough = max(quality, coder.least_quality(warm))
    coder.decode(coder.encode(warm, enough), (_WARM, _WARM), enough)
    encode = [_timed(lambda: coder.encode(image, quality)) for _ in range(repeats)]
    data = encode[0][2]
    decode = [_timed(lambda: coder.decode(data, size, quality)) for _ in range(repeats)]
    return {
        "encode": [statistics.median(each[i] for each in encode) for i in range(2)],
        "decode": [statistics.median(each[i] for each in decode) for i in range(2)],
        "memory": peak(), "size": size, "bytes": len(data),
    }  # fmt: skip


def importing() -> dict[str, Any]:
    """``memory``, bytes at most, of a fresh process that imports PyTorch and does no more; its ``version``."""
    return call(imported, {})


def imported() -> dict[str, Any]:
    """What :func:`importing` answers, for this process."""
    import torch

    return {"memory": peak(), "version": torch.__version__}


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, busy = time.monotonic(), time.process_time()
    result = work()
    return time.monotonic() - wall, time.process_time() - busy, result


def table(found: dict[str, Any]) -> Iterator[str]:
    """A row for each codec, the last one's share of time against each other's."""
    first = next(iter(found.values()))
    width, height = first["size"]
    yield f"{width}×{height}, {THREADS} threads, weights loaded, median; {os.cpu_count()} processors"
    yield ""
    yield "| codec | encode, s | processor s | decode, s | processor s | peak memory, MB | encode / first's | decode |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, each in found.items():
        (encode, encode_busy), (decode, decode_busy) = each["encode"], each["decode"]
        ratios = [each[way][1] / first[way][1] for way in ("encode", "decode")]
        told = "| | |" if each is first else f"| {ratios[0]:.2g} | {ratios[1]:.2g} |"
        yield (
            f"| {name} | {encode:.2f} | {encode_busy:.2f} | {decode:.2f} | {decode_busy:.2f} | "
            f"{each['memory'] / 1e6:.0f} {told}"
        )


def sizes_table(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A row for each size: processor microseconds a pixel say whether the cost is linear."""
    yield "| size | encode, s | decode, s | processor µs a pixel: encode | decode | peak memory, MB |"
    yield "|---|---|---|---|---|---|"
    for each in found:
        width, height = each["size"]
        pixels = [1e6 * each[way][1] / (width * height) for way in ("encode", "decode")]
        yield (
            f"| {width}×{height} | {each['encode'][0]:.2f} | {each['decode'][0]:.2f} | {pixels[0]:.2f} | "
            f"{pixels[1]:.2f} | {each['memory'] / 1e6:.0f} |"
        )


def codecs(names: Sequence[str], papers: bool) -> list[str]:
    """Of the compared ones those of the package, and the paper's where CompressAI is installed."""
    from .points import RARE, RIVALS

    return [name for name in names if name not in (*RIVALS, *RARE, PAPERS)] + [PAPERS] * papers
