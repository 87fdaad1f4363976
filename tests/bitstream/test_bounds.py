"""A small file cannot make a reader take much time or memory, whatever its bytes are."""

from __future__ import annotations

import tracemalloc

import pytest

from sedic.bitstream import BitstreamError, SedicFile, StreamReader, mask, text
from sedic.bitstream.coder import Decoder, Encoder
from sedic.bitstream.sections import BASE_WORK, WORK_PER_BYTE, TooMuchWorkError
from sedic.semantics import SceneObject, Semantics

from .hostile import LARGEST, SLOW, largest, one_corner

DOTS = "." * text.MOST_CHARACTERS
MOST_WORK = 1_000_000  # microseconds of a core, for a file of 1,000 bytes
MOST_MEMORY = 50 << 20  # for each of two masks
TRACED_LONG = (1, 3)  # coders whose masks take ten seconds each where every allocation is followed


def read_work(data: bytes) -> tuple[int, StreamReader]:
    """What reading took, the section that was given up included, and the reader."""
    decoders = []

    class Counted(Decoder):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            decoders.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sedic.bitstream.sections.Decoder", Counted)
        reader = StreamReader()
        reader.feed(data)
    return sum(decoder.work for decoder in decoders), reader


@pytest.mark.parametrize(
    ("parts", "damaged"),
    [({"masks": 3}, "object3"), ({"masks": 0, "texts": ["", DOTS, DOTS], "text_coder": 1}, "object2")],
)
def test_a_file_of_a_kilobyte_takes_at_most_a_second_of_work(parts, damaged):
    assert BASE_WORK + WORK_PER_BYTE * 1000 <= MOST_WORK
    data = largest(**parts)
    work, reader = read_work(data)
    assert BASE_WORK < work <= BASE_WORK + WORK_PER_BYTE * len(data) + 1000  # the last step
    assert reader.damaged == damaged


def test_work_is_what_the_models_compute_and_the_same_for_writer_and_reader():
    encoder = Encoder()
    encoder.symbol(1, [1] * 1280)
    encoder.bit(True, 1, 2)
    encoder.number(5, 9)
    encoder.spend(100)
    assert encoder.work == 10 + 3 + 3 + 3 + 100
    decoder = Decoder(encoder.finish(), most_work=118)
    decoder.symbol([1] * 1280)
    decoder.bit(1, 2)
    decoder.number(9)
    with pytest.raises(BitstreamError, match="take longer"):
        decoder.spend(100)


def test_what_a_reader_would_give_up_the_writer_refuses():
    objects = [SceneObject("", "", one_corner(j)) for j in range(4)]
    file = SedicFile(*LARGEST, 1, 1, b"", Semantics("", objects), **SLOW)
    with pytest.raises(TooMuchWorkError, match="repeat themselves"):
        file.to_bytes()


@pytest.mark.parametrize("mask_coder", sorted(mask.CODERS.names))
def test_a_small_file_of_the_largest_picture_takes_little_memory(mask_coder):
    masks = 1 if mask_coder in TRACED_LONG else 2
    data = largest(masks=masks, reference=850, mask_coder=mask_coder)
    SedicFile.from_bytes(largest(masks=0, mask_coder=mask_coder))  # the models are loaded once
    tracemalloc.start()
    try:
        file = SedicFile.from_bytes(data)
        assert len(file.semantics.objects) == 7, file.missing
        assert file.semantics.to_json()
        assert file.to_bytes() == data
        _, most = tracemalloc.get_traced_memory()
        assert most < masks * MOST_MEMORY
        assert file.semantics.objects[0].mask is not None
        _, drawn = tracemalloc.get_traced_memory()
        assert drawn > most + LARGEST[0] * LARGEST[1] / 2, "what is asked for is measured"
    finally:
        tracemalloc.stop()
