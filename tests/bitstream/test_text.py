"""Text coder 1: every text comes back, dense descriptions cost little."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sedic.bitstream.coder
from sedic.bitstream.coder import BitstreamError, Decoder, Encoder
from sedic.bitstream.text import DETAIL, NAME, OVERALL
from sedic.bitstream.text.trigram import CODE_POINT, TrigramCoder, split_tokens, word_model

characters = st.characters(exclude_categories=["Cs"])
samples = "A a The red barn BARN McDonald iPhone don't DON'T zyxwv 42 two-leaf , . ! é ’ 漢 \n \t"
words = st.sampled_from(samples.split(" "))


def sizes(texts: list[tuple[str, int]]) -> list[int]:
    """Bytes of each text in a stream of its own, the coder's memory shared."""
    coder, result = TrigramCoder(), []
    for text, kind in texts:
        encoder = Encoder()
        coder.write(encoder, text, kind)
        result.append(len(encoder.finish()))
    return result


def round_trip(texts: list[tuple[str, int]]) -> list[str]:
    encoder, writer, reader = Encoder(), TrigramCoder(), TrigramCoder()
    for text, kind in texts:
        writer.write(encoder, text, kind)
    decoder = Decoder(encoder.finish())
    again = [reader.read(decoder, kind) for _, kind in texts]
    assert decoder.again() == encoder.finish()
    return again


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(characters, max_size=20) | st.lists(words, max_size=12).map(" ".join), max_size=4))
def test_any_texts_come_back(texts):
    pairs = [(text, i % 3) for i, text in enumerate(texts)]
    assert round_trip(pairs) == texts


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "  a",
        "a ",
        "a  b",
        "A",
        "a",
        "AB",
        "Ab",
        "aB",
        "ABc",
        "İstanbul ſ ß",
        "x\0y",
        "\n",
        "'",
        "it's IT'S",
        "𝒳",
    ],
)
def test_awkward_texts_come_back(text):
    assert round_trip([(text, kind) for kind in (OVERALL, DETAIL, NAME)]) == [text] * 3


def test_tokens_carry_spaces_and_capitals_beside_the_word():
    assert split_tokens("A two-LEAF") == [("a", True, 1), ("two", True, 0), ("-", False, 0), ("leaf", False, 2)]


def test_longest_text_fits_and_a_longer_one_is_refused():
    longest = "ab, " * 1024
    assert round_trip([(longest, OVERALL)]) == [longest]
    with pytest.raises(BitstreamError, match="4097 characters.*shorten"):
        TrigramCoder().write(Encoder(), longest + "x", OVERALL)


def test_half_a_character_is_refused():
    with pytest.raises(BitstreamError, match="half a character"):
        TrigramCoder().write(Encoder(), "a \ud800 b", NAME)


def test_words_that_occurred_before_cost_less():
    name = ("wooden lighthouse", NAME)
    (first,) = sizes([name])
    _, later = sizes([("Frontal view of an old wooden lighthouse.", OVERALL), name])
    assert later < first


def test_spelled_words_that_occurred_before_cost_less():
    name, detail = ("weathered crankshaft", NAME), ("Oily Zxqvarian valve.", DETAIL)
    first, _ = sizes([name, detail])
    _, later, _, again = sizes([("An old weathered crankshaft.", OVERALL), name, detail, detail])
    assert later < first
    assert again < sizes([detail])[0] - 4


def test_arbitrary_bytes_give_texts_or_bitstream_error():
    chance = random.Random(5)
    outcomes = set()
    for length in range(40):
        try:
            text = TrigramCoder().read(Decoder(chance.randbytes(length)), length % 3)
            outcomes.add(text.isprintable())
        except BitstreamError:
            outcomes.add("refused")
    assert True in outcomes


def test_counts_stay_in_the_coders_range_whatever_the_history():
    model = word_model()
    for first, second in [model.start(OVERALL), model.start(NAME), (5, 5), (CODE_POINT, CODE_POINT)]:
        counts = model.counts(first, second, list(range(64, 900)))
        assert counts.min() >= 0
        assert 0 < counts.sum() < 1 << 38


def test_table_is_small():
    assert (Path(sedic.bitstream.coder.__file__).parent / "tables" / "text1.npz").stat().st_size <= 1.5e6


def test_kodak_descriptions_cost_less_than_an_unpruned_four_gram(shared_data):
    totals = []
    for path in sorted((shared_data / "kodak").glob("*.json")):
        words = json.loads(path.read_text(encoding="utf-8"))
        texts = [(words["overall"], OVERALL)]
        for o in words["objects"]:
            texts += [(o["name"], NAME), (o["detail"], DETAIL)]
        encoder, coder = Encoder(), TrigramCoder()
        for text, kind in texts:
            coder.write(encoder, text, kind)
        totals.append(len(encoder.finish()))
    assert statistics.mean(totals) < 190  # the four-gram with Kneser–Ney: 202 bytes; zlib: 436
