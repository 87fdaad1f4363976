"""What must hold for any bytes."""

from __future__ import annotations

import dataclasses
import zlib

from sedic.bitstream import BitstreamError, SedicFile, StreamReader
from sedic.bitstream.coder import CutError
from sedic.bitstream.header import Header, crc8, read_number
from sedic.bitstream.sections import MOST_PAYLOAD, frame

MOST_PIXELS = 1 << 20  # of pictures whose masks are drawn


def check(data: bytes) -> None:
    """Raises AssertionError, or whatever the reader raised, where one of the promises is broken.

    Reading is what takes time, so that some of it is done for one input in four only: chosen by the input, so that
    an input that broke a promise breaks it again.
    """
    mended = mend(data)
    seldom = zlib.crc32(data) % 4 == 0
    check_reading(mended, seldom)
    if seldom and mended != data:
        check_reading(data, False)


def check_reading(data: bytes, twice: bool) -> None:
    """One error type, every byte accounted for, written again the same; ``twice``: the same in one piece and in two."""
    half = len(data) // 2
    reader = StreamReader()
    try:
        arrived = [section for part in (data[:half], data[half:]) for section, _ in reader.feed(part)]
        file = SedicFile.from_stream(reader)
    except BitstreamError:
        return
    assert arrived == file.sections
    read = file.to_bytes()
    assert data.startswith(read)
    assert sum(section.bytes for section in file.sections) == len(read)
    assert bool(file.missing) == (read != data or bool(file.missing_sections))
    for o in file.semantics.objects:
        if file.width * file.height <= MOST_PIXELS and o.mask is not None:
            assert o.mask.shape == (file.height, file.width)
    if not file.missing_sections:
        assert dataclasses.replace(file).to_bytes() == read
    if twice:
        again = SedicFile.from_bytes(data)
        assert (again.sections, again.missing) == (file.sections, file.missing)


def mend(data: bytes) -> bytes:
    """``data`` with its magic number, version and check values put right, so that its content is read."""
    data = b"SDC\x01" + data[4:]
    for end in range(8, min(len(data), 40)):
        try:
            header, _ = Header.from_bytes(data[:end] + bytes([crc8(data[:end])]))
        except CutError:
            continue
        except BitstreamError:
            return data
        break
    else:
        return data
    mended, position = data[:end] + bytes([crc8(data[:end])]), end + 1
    for number in range(header.objects + 2):
        try:
            length, start = read_number(data, position)
        except (IndexError, BitstreamError):
            break
        if length > min(MOST_PAYLOAD, len(data) - start - 1):
            break
        mended += frame(data[start : start + length], number)
        position = start + length + 1
    return mended + data[position:]
