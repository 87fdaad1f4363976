"""The range coder: exact intervals, shortest bytes, one kind of error."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedic.bitstream.coder import WHOLE, BitstreamError, Decoder, Encoder, interval_widths

GOLDEN = (
    "000a1caaa9c4e4e291b08ceb009da801655b18039ede703f6c8650791bee5976e30002d46db69efab71254d5b467c7104e22"
    "1dbbb7d46251a12aea4a9fbf5a77f1ec6434270b0071acdd75a61785f0e90e15c9e2a4796aa42749fdbb5e7307f20165869c"
    "e966a5d1bc08f9c3"
)
counts_lists = st.lists(st.integers(0, 10**6), min_size=2, max_size=40).filter(any)


@st.composite
def symbols(draw):
    """One of the three kinds with its model."""
    kind = draw(st.integers(0, 2))
    if kind == 0:
        counts = draw(counts_lists)
        return kind, draw(st.integers(0, len(counts) - 1)), counts
    if kind == 1:
        total = draw(st.integers(1, 1 << 37))
        return kind, draw(st.integers(0, 1)), (draw(st.integers(0, total)), total)
    limit = draw(st.integers(1, (1 << 24) - 1))
    return kind, draw(st.integers(0, limit - 1)), limit


def encode(sequence) -> bytes:
    encoder = Encoder()
    for kind, value, model in sequence:
        if kind == 0:
            encoder.symbol(value, model)
        elif kind == 1:
            encoder.bit(bool(value), *model)
        else:
            encoder.number(value, model)
    return encoder.finish()


def decode(data: bytes, sequence) -> list[int]:
    decoder = Decoder(data)
    readers = (decoder.symbol, lambda model: int(decoder.bit(*model)), decoder.number)
    return [readers[kind](model) for kind, _, model in sequence]


@settings(max_examples=200, deadline=None)
@given(st.lists(symbols(), max_size=60))
def test_any_symbols_come_back(sequence):
    assert decode(encode(sequence), sequence) == [value for _, value, _ in sequence]


def test_no_shorter_bytes_decode_to_the_same():
    chance = random.Random(1)
    lengths = set()
    for _ in range(60):
        sequence = []
        for _ in range(chance.randrange(1, 6)):
            counts = [chance.choice((1, 3, 40, 300)) for _ in range(chance.randrange(2, 9))]
            sequence.append((0, chance.randrange(len(counts)), counts))
        data = encode(sequence)
        lengths.add(len(data))
        values = [value for _, value, _ in sequence]
        for shorter in range(min(len(data), 2)):
            for candidate in itertools.product(range(256), repeat=shorter):
                try:
                    same = decode(bytes(candidate), sequence) == values
                except BitstreamError:
                    same = False
                assert not same
        if data:
            with_dropped_end = data[:-1]
            assert not data.endswith(b"\0")
            assert decode(with_dropped_end, sequence) != values
    assert lengths >= {1, 2}


def test_the_end_costs_at_most_a_byte_over_the_information():
    chance = random.Random(2)
    for _ in range(100):
        left = 1 << 64
        encoder = Encoder()
        for _ in range(10):
            limit = chance.randrange(2, 60)
            encoder.number(chance.randrange(limit), limit)
            left //= limit
        bits = 64 - left.bit_length()
        assert len(encoder.finish()) <= bits / 8 + 1.5


def test_finish_may_be_asked_twice_and_symbols_added_between():
    encoder = Encoder()
    encoder.number(7, 100)
    assert encoder.finish() == encoder.finish()
    encoder.number(9, 100)
    decoder = Decoder(encoder.finish())
    assert [decoder.number(100), decoder.number(100)] == [7, 9]


@settings(max_examples=100, deadline=None)
@given(counts_lists)
def test_constriction_keeps_our_integer_intervals_exactly(counts):
    widths = interval_widths(counts)
    assert widths.min() >= 1
    assert widths.sum() == WHOLE
    unit = ((1 << 64) - 1) >> 24
    for index in {0, len(counts) // 2, len(counts) - 1}:
        encoder = Encoder()
        encoder.symbol(index, counts)
        _, (lower, width) = encoder._coder.pos()
        if width < 1 << 32 or width == unit * int(widths[index]) << 32:
            continue  # a word was already moved out
        assert lower == unit * int(widths[:index].sum())
        assert width == unit * int(widths[index])


def test_golden_bytes():
    encoder = Encoder()
    for i in range(40):
        encoder.symbol(i % 5, [1, 20, 300, 4000, 0])
        encoder.bit(i % 3 == 0, 1, 3)
        encoder.number(i * i, 2000)
    assert encoder.finish().hex() == GOLDEN


def test_bytes_that_no_encoder_wrote_give_symbols_or_bitstream_error():
    refused = 0
    chance = random.Random(3)
    for _ in range(300):
        words = [chance.choice((b"\xff" * 4, bytes(4), chance.randbytes(4))) for _ in range(6)]
        decoder = Decoder(b"".join(words))
        try:
            for i in range(200):
                decoder.number(chance.randrange(2, 1 << 20)) if i % 2 else decoder.symbol([WHOLE, 1, 1])
        except BitstreamError:
            refused += 1
    assert refused


def test_a_missing_table_is_named():
    from sedic.bitstream.coder import load_table

    with pytest.raises(BitstreamError, match=r"nothing\.npz.*install"):
        load_table("nothing")


def plain_decode(data: bytes, sequence) -> list[int]:
    """What the module's docstring tells a stranger to do."""

    def word() -> int:
        nonlocal position
        position += 4
        return int.from_bytes(data[position - 4 : position].ljust(4, b"\0"), "big")

    position = 0
    offset, size = word() << 32 | word(), (1 << 64) - 1
    symbols = []
    for kind, _, model in sequence:
        if kind == 2 and model == 1:
            symbols.append(0)
            continue
        if kind == 2:
            share = WHOLE // model
            symbol = min(offset // (size >> 24) // share, model - 1)
            start, width = symbol * share, share if symbol < model - 1 else WHOLE - symbol * share
        else:
            counts = model if kind == 0 else (model[1] - model[0], model[0])
            n, total = len(counts), sum(counts)
            ends = [sum(counts[: i + 1]) * (WHOLE - n) // total + i + 1 for i in range(n)]
            symbol = next(i for i, end in enumerate(ends) if offset // (size >> 24) < end)
            start = ends[symbol - 1] if symbol else 0
            width = ends[symbol] - start
        symbols.append(symbol)
        offset -= (size >> 24) * start
        size = (size >> 24) * width
        if size < 1 << 32:
            offset, size = offset << 32 | word(), size << 32
    return symbols


@settings(max_examples=60, deadline=None)
@given(st.lists(symbols(), max_size=30))
def test_the_description_is_enough_to_write_a_reader(sequence):
    assert plain_decode(encode(sequence), sequence) == [value for _, value, _ in sequence]
