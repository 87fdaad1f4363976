"""What must hold for any bytes."""

from __future__ import annotations

import dataclasses

from sedic.bitstream import BitstreamError, SedicFile, StreamReader
from sedic.bitstream.coder import CutError
from sedic.bitstream.header import Header, crc8, read_number
from sedic.bitstream.sections import MOST_PAYLOAD, frame

MOST_PIXELS = 1 << 20  # of pictures whose masks are drawn


def check(data: bytes) -> None:
    """Raises AssertionError, or whatever the reader raised, where one of the promises is broken."""
    check_reading(data)
    mended = mend(data)
    if mended != data:
        check_reading(mended)


def check_reading(data: bytes) -> None:
    """One error type, every byte accounted for, the same in one piece and in two, and written again the same."""
    try:
        file = SedicFile.from_bytes(data)
    except BitstreamError:
        return
    read = file.to_bytes()
    assert data.startswith(read)
    assert sum(section.bytes for section in file.sections) == len(read)
    assert bool(file.missing) == (read != data or bool(file.missing_sections))
    for o in file.semantics.objects:
        if file.width * file.height <= MOST_PIXELS and o.mask is not None:
            assert o.mask.shape == (file.height, file.width)
    if not file.missing_sections:
        assert dataclasses.replace(file).to_bytes() == read
    reader = StreamReader()
    half = len(data) // 2
    arrived = [section for part in (data[:half], data[half:]) for section, _ in reader.feed(part)]
    assert arrived == file.sections
    assert reader.missing == file.missing


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
