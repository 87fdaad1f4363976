"""What words cost under each coder: held-out descriptions by their source, and all words of a picture."""

from __future__ import annotations

import statistics
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..bitstream.coder import Encoder
from ..bitstream.text import CODERS, DETAIL, NAME, OVERALL
from ..errors import SedicError
from ..semantics import Semantics
from ..training.text.descriptions import OBJECTS, read_held_out, read_texts

Texts = Sequence[tuple[str, int]]
Coder = Callable[[Texts], int]
"""Bytes that the texts of one file take, each given with its kind."""

DICTIONARY_BYTES = 112_640  # zstd's own default


def measure(data: Path, images: Path | None) -> None:
    """Prints bits a character of the held-out lines of at most 50 words, then bytes of words a picture.

    Each line is a stream of its own, in whole bytes, so that everything is counted: spaces, punctuation, capitals, the
    end of the text. The words of a picture are one overall text, names and details; general compressors get them as
    lines of one text. Containers and check sums of theirs are left out.

    Args:
        data: the folder that holds ``text/``.
        images: pictures' ``NAME.json``; None leaves the second table out.

    Raises:
        SedicError: no such files.
    """
    try:
        lines = read_held_out(data)
        training = [text for text, _ in read_texts(data)]
    except OSError as error:
        raise SedicError(f"{error.filename} cannot be read; name the folder that holds text/.") from error
    coders = {name: _ours(name) for name in CODERS.names.values()} | _general(training)
    by_source: dict[str, list[str]] = defaultdict(list)
    for text, source in lines:
        by_source[source].append(text)
    print(f"{'bits a character':<28}{'lines':>7}" + _header(coders))
    bits = {
        name: {source: _bits(coder, by_source[source], source) for source in by_source}
        for name, coder in coders.items()
    }
    for source in sorted(by_source):
        characters = sum(map(len, by_source[source]))
        print(f"{source:<28}{len(by_source[source]):>7}" + _cells(bits[name][source] / characters for name in coders))
    characters = sum(len(text) for text, _ in lines)
    print(f"{'all':<28}{len(lines):>7}" + _cells(sum(bits[name].values()) / characters for name in coders))
    if images is not None:
        _pictures(images, coders)


def _pictures(images: Path, coders: dict[str, Coder]) -> None:
    scenes = [Semantics.from_json(path.read_text(encoding="utf-8")) for path in sorted(images.glob("*.json"))]
    if not scenes:
        raise SedicError(f"{images} holds no Semantics JSON; name another folder.")
    files: list[Texts] = [
        [(s.overall, OVERALL), *((t, k) for o in s.objects for t, k in ((o.name, NAME), (o.detail, DETAIL)))]
        for s in scenes
    ]
    print(f"\n{'bytes of words a picture':<28}{'files':>7}" + _header(coders))
    means = (statistics.fmean(coder(texts) for texts in files) for coder in coders.values())
    print(f"{images.name:<28}{len(files):>7}" + _cells(means, 1))


def _bits(coder: Coder, texts: list[str], source: str) -> int:
    kind = DETAIL if source == OBJECTS else OVERALL
    return sum(8 * coder([(text, kind)]) for text in texts)


def _ours(name: str) -> Coder:
    def size(texts: Texts) -> int:
        coder, encoder = CODERS.make(CODERS.id_of(name)), Encoder()
        for text, kind in texts:
            coder.write(encoder, text, kind)
        return len(encoder.finish())

    return size


def _general(training: list[str]) -> dict[str, Coder]:
    """Compressors for anything; zstd has a dictionary of the training lines.

    Raises:
        SedicError: their packages are not installed.
    """
    try:
        import brotli
        import pyppmd
        import zstandard
    except ImportError as error:
        raise SedicError(f'{error}; the table compares with other compressors: pip install "sedic[bench]".') from error
    samples: list[bytes | bytearray | memoryview] = [text.encode() for text in training]
    dictionary = zstandard.train_dictionary(DICTIONARY_BYTES, samples)
    options = zstandard.ZstdCompressionParameters.from_level(
        22, write_checksum=False, write_content_size=False, write_dict_id=False
    )
    zstd = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=options)

    def deflate(data: bytes) -> bytes:
        compressor = zlib.compressobj(9, wbits=-15)
        return compressor.compress(data) + compressor.flush()

    def ppmd(data: bytes) -> bytes:
        return pyppmd.compress(data, max_order=6, mem_size=1 << 24)

    plain: dict[str, Callable[[bytes], bytes]] = {
        "ppmd": ppmd,
        "brotli": lambda data: brotli.compress(data, quality=11),
        "zstd+dict": zstd.compress,
        "deflate": deflate,
    }
    return {name: _joined(compress) for name, compress in plain.items()}


def _joined(compress: Callable[[bytes], bytes]) -> Coder:
    return lambda texts: len(compress("\n".join(text for text, _ in texts).encode()))


def _header(coders: dict[str, Coder]) -> str:
    return "".join(f"{name:>11}" for name in coders)


def _cells(values: Iterable[float], digits: int = 3) -> str:
    return "".join(f"{value:>11.{digits}f}" for value in values)
