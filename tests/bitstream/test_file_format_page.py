"""docs/file-format.md is enough to read a file: a reader written from it alone, and its worked example."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.bitstream import SedicFile
from sedic.demo import PHOTOGRAPH
from sedic.reference.compact import Compact, CompactFirst

from .reference_from_the_page import Reference
from .written_from_the_page import Masks, Stream, Words, payloads

ROOT = Path(__file__).parents[2]
FILE = ROOT / "sedic/demo/coffee.sedic"


@pytest.fixture(scope="module")
def data() -> bytes:
    return FILE.read_bytes()


@pytest.mark.parametrize("coder", [0, 2])
def test_a_reader_written_from_the_page_finds_the_same_words_and_masks(data: bytes, coder: int) -> None:
    data = dataclasses.replace(SedicFile.from_bytes(data), text_coder=coder).to_bytes()
    fields, (_, overall, *objects) = payloads(data)
    wanted = SedicFile.from_bytes(data)
    assert (fields["width"], fields["height"], fields["quality"]) == (wanted.width, wanted.height, wanted.quality)
    assert fields["text"] == coder
    words, masks = Words(coder), Masks(fields["width"], fields["height"])
    assert words.text(Stream(overall), 0) == wanted.semantics.overall
    assert len(objects) == fields["objects"] == len(wanted.semantics.objects)
    for payload, expected in zip(objects, wanted.semantics.objects, strict=True):
        stream = Stream(payload)
        assert (words.text(stream, 2), words.text(stream, 1)) == (expected.name, expected.detail)
        assert np.array_equal(masks.mask(stream), expected.mask)


def test_a_reader_written_from_the_page_finds_the_same_symbols_of_the_reference(data: bytes) -> None:
    fields, (payload, *_) = payloads(data)
    size = fields["width"], fields["height"]
    read = Reference(3, fields["quality"]).symbols(payload, *size)
    wanted = CompactFirst().symbols(payload, size, fields["quality"])
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(read, wanted, strict=True))


def test_a_reader_written_from_the_page_finds_the_same_symbols_of_what_is_written_now() -> None:
    codec = Compact()
    with Image.open(PHOTOGRAPH) as image:
        picture = np.asarray(image.convert("RGB").resize((180, 133), Image.Resampling.LANCZOS))
    data, size = codec.encode(picture, 40), (180, 133)
    read = Reference(4, 40).symbols(data, *size)
    wanted = codec.symbols(data, size, 40)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(read, wanted, strict=True))


def test_the_worked_example_is_the_shipped_file(data: bytes) -> None:
    page = (ROOT / "docs/file-format.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| ((?:`[0-9a-f ]+`)) ?(…)? \|", page, re.MULTILINE)
    end = 0
    for at, quoted, more in rows:
        written = bytes.fromhex(quoted.strip("`"))
        assert data[int(at) : int(at) + len(written)] == written
        assert int(at) == end or end < 0, f"byte {end} is told of twice or not at all"
        end = -1 if more else int(at) + len(written)
    assert len(rows) == 24
    assert end == len(data)
