"""Whether every machine reads the same: written under one configuration, read under every other.

A configuration is an instruction set, a number of threads, oneDNN or not, and float32 or bfloat16 transforms. Each
writes the streams of all pictures in a process of its own, and in another one reads those of all others.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SedicError
from ...models.precision import autocast
from ...models.processor import lacking
from ...picture import read_picture
from ...reference import codec_by_name
from ...reference.compact import Compact
from ...training.data import centre
from ..processes import call
from .papers import PAPERS, Symbols

CAPABILITIES = ("default", "avx2", "avx512")
THREADS, ONEDNN, PRECISIONS = (1, 2), (True, False), ("float32", "bfloat16")
# What PyTorch's own variable leaves to the libraries below it: oneDNN, MKL, and OpenBLAS under numpy.
_LIBRARIES = {
    "default": {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "OPENBLAS_CORETYPE": "Nehalem"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
    "avx512": {},
}


@dataclass(frozen=True)
class Configuration:
    """A machine, as far as one can be imitated."""

    capability: str
    threads: int
    onednn: bool
    precision: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables of its processes."""
        own = {"ATEN_CPU_CAPABILITY": self.capability, "OMP_NUM_THREADS": str(self.threads)}
        return own | {"OPENBLAS_NUM_THREADS": str(self.threads)} | _LIBRARIES[self.capability]

    def __str__(self) -> str:
        dnn = "oneDNN" if self.onednn else "no oneDNN"
        return f"{self.capability}, {self.threads} thread{'s' * (self.threads > 1)}, {dnn}, {self.precision}"


CONFIGURATIONS = tuple(itertools.starmap(Configuration, itertools.product(CAPABILITIES, THREADS, ONEDNN, PRECISIONS)))


@dataclass(frozen=True)
class Work:
    """What every configuration codes.

    Attributes:
        codec: its name.
        models: folder of its weights, or None.
        quality: of all pictures.
        pictures: files.
        crop: side of the square from their middle that is coded, pixels; None takes all of them.
    """

    codec: str
    models: Path | None
    quality: int
    pictures: Sequence[Path]
    crop: int | None = None


Written = Mapping[str, str]
"""Streams, hexadecimal, by picture."""
Read = Mapping[str, Mapping[str, str]]
"""Digests of symbols, by picture and stream; an error's text where a stream could not be read."""


def measure(work: Work, workers: int, configurations: Sequence[Configuration] = CONFIGURATIONS) -> dict[str, Any]:
    """Runs all configurations; see :func:`agreement` for the answer.

    Configurations that this processor cannot be are left out, and named.

    Raises:
        SedicError: a process failed, or fewer than two configurations are left.
    """
    configurations, left_out = _possible(configurations)
    plain = {
        "codec": work.codec, "models": str(work.models) if work.models else None, "quality": work.quality,
        "pictures": [str(path) for path in work.pictures], "crop": work.crop,
    }  # fmt: skip

    def run(function: Any, configuration: Configuration, **more: Any) -> Any:
        return call(
            function, configuration.environment, **plain, **more, threads=configuration.threads,
            onednn=configuration.onednn, precision=configuration.precision,
        )  # fmt: skip

    with ThreadPoolExecutor(workers) as pool:
        answers = list(pool.map(lambda c: run(write, c), configurations))
        written = [answer["streams"] for answer in answers]
        # Reading a stream twice under one configuration shows nothing new: equal ones are read once.
        streams = {p: sorted({w[p] for w in written if p in w}) for w in written for p in w}
        read_ = list(pool.map(lambda c: run(read, c, streams=streams), configurations))
    names = [str(c) for c in configurations]
    answer = agreement(dict(zip(names, written, strict=True)), dict(zip(names, read_, strict=True)))
    answer["capabilities"] = sorted({a["capability"] for a in answers})
    answer["left_out"] = left_out
    answer["streams"] = sum(map(len, streams.values()))
    exact = [name for name, c in zip(names, configurations, strict=True) if c.precision == "float32"]
    answer["float32"] = agreement(
        {n: w for n, w in zip(names, written, strict=True) if n in exact},
        {n: r for n, r in zip(names, read_, strict=True) if n in exact},
    )
    return answer


def _possible(configurations: Sequence[Configuration]) -> tuple[list[Configuration], dict[str, list[str]]]:
    """Those that run here, and the names of the others by the instruction set that this processor has not."""
    possible, left_out = [], defaultdict(list)
    for configuration in configurations:
        missing = lacking(configuration.environment)
        if missing is None:
            possible.append(configuration)
        else:
            left_out[missing].append(str(configuration))
    if len(possible) < 2:
        raise SedicError(
            f"Of {len(configurations)} configurations this processor can be {len(possible)}, as it has no "
            f"{' or '.join(left_out)}; measure on one that has."
        )
    return possible, dict(left_out)


def agreement(written: Mapping[str, Written], read_: Mapping[str, Read]) -> dict[str, Any]:
    """In how many cells the reader has found what the writer wrote.

    A cell is a writer and a reader; it agrees when for every picture the reader's symbols of the writer's stream are
    those that the writer itself reads, and there are any.

    Returns:
        ``cells``, ``agree``, ``pictures`` (of all cells together, how many agree, and how many there are), ``apart``
        (writer, reader and picture of the first disagreements).
    """
    agree, same, total, apart = 0, 0, 0, []
    pictures = sorted({picture for streams in written.values() for picture in streams})
    for (writer, streams), (reader, found) in itertools.product(written.items(), read_.items()):
        wrong = []
        for picture in pictures:
            stream = streams.get(picture)
            own = None if stream is None else read_[writer].get(picture, {}).get(stream)
            other = None if stream is None else found.get(picture, {}).get(stream)
            if own is None or own.startswith(_ERROR) or own != other:
                wrong.append(picture)
        agree += not wrong
        same, total = same + len(pictures) - len(wrong), total + len(pictures)
        apart += [[writer, reader, picture] for picture in wrong[:1]]
    return {
        "cells": len(written) * len(read_), "agree": agree, "pictures": [same, total], "apart": apart[:5],
    }  # fmt: skip


def table(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A row for each codec."""
    yield "| codec | cells that agree | pictures in them | distinct streams | among float32 alone | coded |"
    yield "|---|---|---|---|---|---|"
    for name, each in found.items():
        cells, exact = (f"{part['agree']} of {part['cells']}" for part in (each, each["float32"]))
        same, total = each["pictures"]
        yield f"| {name} | {cells} | {same} of {total} | {each['streams']} | {exact} | {each['note']} |"
    yield ""
    for name, each in found.items():
        if each["apart"]:
            writer, reader, picture = each["apart"][0]
            yield f"- {name}, for one: {picture} written under {writer} and read under {reader}."
    told = sorted({capability for each in found.values() for capability in each["capabilities"]})
    alone = "" if len(told) > 1 else ", so that this says nothing about others"
    yield f"- Instruction sets that PyTorch said it used: {', '.join(told)}{alone}."
    left_out = {missing: names for each in found.values() for missing, names in each.get("left_out", {}).items()}
    for missing, names in sorted(left_out.items()):
        yield f"- Left out, as this processor has no {missing}: {'; '.join(names)}."


_ERROR = "error: "


def write(
    codec: str, models: str | None, quality: int, pictures: Iterable[str], crop: int | None, threads: int,
    onednn: bool, precision: str,
) -> dict[str, Any]:  # fmt: skip
    """In a process of its own: the streams of all pictures that could be written, and the instruction set."""
    import torch

    coder, streams = _coder(codec, models, threads, onednn, precision), {}
    for path in pictures:
        with autocast(on=precision == "bfloat16"):
            streams[Path(path).stem] = coder.encode(_picture(path, crop), quality).hex()
    return {"streams": streams, "capability": torch.backends.cpu.get_cpu_capability()}


def read(
    codec: str, models: str | None, quality: int, pictures: Iterable[str], crop: int | None, threads: int,
    onednn: bool, precision: str, streams: Mapping[str, Iterable[str]],
) -> dict[str, dict[str, str]]:  # fmt: skip
    """In a process of its own: digests of what is in all streams of all pictures."""
    coder, found = _coder(codec, models, threads, onednn, precision), {}
    for path in pictures:
        image = _picture(path, crop)
        size, digests = (image.shape[1], image.shape[0]), {}
        for stream in streams.get(Path(path).stem, ()):
            try:
                with autocast(on=precision == "bfloat16"):
                    digests[stream] = digest(coder.symbols(bytes.fromhex(stream), size, quality))
            except SedicError as error:
                digests[stream] = f"{_ERROR}{error}"
        found[Path(path).stem] = digests
    return found


def digest(symbols: Iterable[np.ndarray]) -> str:
    """Of whole numbers, their shapes and their order."""
    total = hashlib.sha256()
    for values in symbols:
        total.update(repr(values.shape).encode() + np.ascontiguousarray(values, np.int64).tobytes())
    return total.hexdigest()[:16]


def _coder(codec: str, models: str | None, threads: int, onednn: bool, precision: str) -> Any:
    import torch

    torch.set_num_threads(threads)
    torch.backends.mkldnn.enabled = onednn  # type: ignore[assignment]
    folder = None if models is None else Path(models)
    if codec == PAPERS:
        return Symbols(folder or Path())
    coder = codec_by_name(codec, folder)
    if isinstance(coder, Compact):  # which otherwise takes what the processor is quick in
        coder.bfloat16 = precision == "bfloat16"
    return coder


def _picture(path: str, crop: int | None) -> np.ndarray:
    image = read_picture(Path(path))
    if crop is None:
        return image
    return np.ascontiguousarray(centre(image, crop))
