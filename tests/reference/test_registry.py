"""The registry finds codecs and says what there is when it does not."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from sedic import reference
from sedic.reference import CodecError, codec_by_id, codec_by_name, codec_names, parse_reference, registry
from sedic.reference.registry import MAX_SIDE, check_image, check_size


def test_numbers_in_the_file_never_change():
    assert {codec_by_id(number).name: number for number in (1, 2, 3, 4)} == {
        "av1": 1,
        "cheng2020-attn": 2,
        "compact-1": 3,
        "compact": 4,
    }


def test_names_that_share_a_number_read_each_others_streams():
    assert codec_by_name("av1-slow").id == codec_by_name("av1").id
    assert type(codec_by_name("av1-slow")).decode is type(codec_by_name("av1")).decode


def test_every_codec_has_a_number_for_five_bits_and_a_default_among_its_one_byte_qualities():
    for name in codec_names():
        codec = codec_by_name(name)
        assert codec.name == name
        assert 1 <= codec.id <= 31
        assert codec.default_quality in codec.qualities
        assert set(codec.qualities) <= set(range(256))


@pytest.mark.parametrize(("text", "quality"), [("av1", 18), ("av1:40", 40), (" av1:255 ", 255), ("cheng2020-attn", 1)])
def test_name_and_quality_are_read_as_typed(text, quality):
    codec, found = parse_reference(text)
    assert codec.name == text.strip().split(":")[0]
    assert found == quality


@pytest.mark.parametrize("text", ["jpeg", "", "av1:", "av1:best", "av1:0", "av1:256", "cheng2020-attn:7"])
def test_unknown_name_or_quality_names_what_there_is(text):
    with pytest.raises(CodecError, match=r"av1, av1-slow, cheng2020-attn|1 to (255|6)"):
        parse_reference(text)


def test_unknown_number_names_those_known():
    with pytest.raises(CodecError, match=r"31.*1 \(av1\), 2 \(cheng2020-attn\)"):
        codec_by_id(31)


@pytest.mark.parametrize("size", [(15, 16), (16, 0), (-16, 16), (MAX_SIDE + 1, 16), (MAX_SIDE, MAX_SIDE)])
def test_sizes_that_would_exhaust_memory_are_refused(size):
    with pytest.raises(CodecError, match="×"):
        check_size(size)


@pytest.mark.parametrize("image", [np.zeros((32, 32)), np.zeros((32, 32, 4), np.uint8), np.zeros((32, 32, 3))])
def test_pictures_of_another_kind_are_refused(image):
    with pytest.raises(CodecError, match="uint8"):
        check_image(image)


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(registry).failed == doctest.testmod(reference).failed == 0
