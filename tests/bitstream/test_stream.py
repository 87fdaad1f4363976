"""A file is read as its bytes arrive."""

from __future__ import annotations

import pytest

from sedic.bitstream import BitstreamError, SedicFile, StreamReader
from sedic.bitstream.header import Header

from .scenes import barn, contents


def test_each_section_comes_with_the_byte_that_makes_it_whole_and_with_its_content():
    data = barn().to_bytes()
    whole = SedicFile.from_bytes(data)
    reader, arrived, ends = StreamReader(), [], []
    for position in range(len(data)):
        for section, content in reader.feed(data[position : position + 1]):
            arrived.append((section, content))
            ends.append(position + 1)
    assert [section for section, _ in arrived] == whole.sections
    sizes = [section.bytes for section in whole.sections]
    assert ends == [sum(sizes[: i + 1]) for i in range(len(sizes))]
    header, reference, overall, *objects = (content for _, content in arrived)
    assert isinstance(header, Header)
    assert header.objects == 3
    assert (reference, overall) == (whole.reference, whole.semantics.overall)
    assert [o.name for o in objects] == [o.name for o in whole.semantics.objects]
    assert (objects[0].mask == whole.semantics.objects[0].mask).all()
    assert reader.finished
    assert reader.missing == ""
    assert contents(SedicFile.from_stream(reader)) == contents(whole)


def test_what_has_arrived_is_a_file_at_any_time():
    data = barn().to_bytes()
    reader = StreamReader()
    with pytest.raises(BitstreamError, match="ends within its header"):
        SedicFile.from_stream(reader)
    for start in range(0, len(data), 7):
        reader.feed(data[start : start + 7])
        if reader.header:
            assert contents(SedicFile.from_stream(reader)) == contents(SedicFile.from_bytes(data[: start + 7]))


def test_behind_a_damaged_section_nothing_comes_and_it_is_named():
    data = bytearray(barn().to_bytes())
    sizes = [section.bytes for section in barn().sections]
    data[sum(sizes[:4]) - 2] ^= 1  # in object1
    reader = StreamReader()
    names = [section.name for position in range(len(data)) for section, _ in reader.feed(data[position : position + 1])]
    assert names == ["header", "reference", "overall"]
    assert reader.damaged == "object1"
    assert reader.missing_sections == ["object1", "object2", "object3"]
    assert "'object1' of the file is damaged" in reader.missing


def test_bytes_of_another_file_are_refused_with_the_first_that_tell():
    reader = StreamReader()
    assert reader.feed(b"S") == []
    with pytest.raises(BitstreamError, match=r"not a \.sedic file"):
        reader.feed(b"P")
