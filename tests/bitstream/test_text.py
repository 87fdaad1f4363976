"""The coders of words: every text comes back, dense descriptions cost little."""

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
from sedic.bitstream.text import CODERS, DETAIL, MOST_CHARACTERS, NAME, OVERALL
from sedic.bitstream.text.network import MOST_READ
from sedic.bitstream.text.tokens import split_tokens
from sedic.bitstream.text.trigram import CODE_POINT, word_model

characters = st.characters(exclude_categories=["Cs"])
samples = "A a The red barn BARN McDonald iPhone don't DON'T zyxwv 42 two-leaf , . ! é ’ 漢 \n \t"
words = st.sampled_from(samples.split(" "))

each_coder = pytest.mark.parametrize("name", CODERS.names.values())
models = pytest.mark.parametrize("name", ["trigram", "network"])


def new_coder(name: str):
    return CODERS.make(CODERS.id_of(name))


def sizes(name: str, texts: list[tuple[str, int]]) -> list[int]:
    """Bytes of each text in a stream of its own, the coder's memory shared."""
    coder, result = new_coder(name), []
    for text, kind in texts:
        encoder = Encoder()
        coder.write(encoder, text, kind)
        result.append(len(encoder.finish()))
    return result


def round_trip(name: str, texts: list[tuple[str, int]]) -> list[str]:
    encoder, writer, reader = Encoder(), new_coder(name), new_coder(name)
    for text, kind in texts:
        writer.write(encoder, text, kind)
    decoder = Decoder(encoder.finish())
    again = [reader.read(decoder, kind) for _, kind in texts]
    assert decoder.again() == encoder.finish()
    return again


@each_coder
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(characters, max_size=20) | st.lists(words, max_size=12).map(" ".join), max_size=4))
def test_any_texts_come_back(name, texts):
    pairs = [(text, i % 3) for i, text in enumerate(texts)]
    assert round_trip(name, pairs) == texts


@each_coder
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
def test_awkward_texts_come_back(name, text):
    assert round_trip(name, [(text, kind) for kind in (OVERALL, DETAIL, NAME)]) == [text] * 3


def test_tokens_carry_spaces_and_capitals_beside_the_word():
    assert split_tokens("A two-LEAF") == [("a", True, 1), ("two", True, 0), ("-", False, 0), ("leaf", False, 2)]


@each_coder
def test_longest_text_fits_and_a_longer_one_is_refused(name):
    longest = "ab, " * 1024
    assert round_trip(name, [(longest, OVERALL)]) == [longest]
    with pytest.raises(BitstreamError, match="4097 characters.*shorten"):
        new_coder(name).write(Encoder(), longest + "x", OVERALL)


@each_coder
def test_half_a_character_is_refused(name):
    with pytest.raises(BitstreamError, match="half a character"):
        new_coder(name).write(Encoder(), "a \ud800 b", NAME)


@models
def test_words_that_occurred_before_cost_less(name):
    called = ("wooden lighthouse", NAME)
    (first,) = sizes(name, [called])
    _, later = sizes(name, [("Frontal view of an old wooden lighthouse.", OVERALL), called])
    assert later < first


@pytest.mark.parametrize(("name", "saved"), [("trigram", 5), ("network", 8)])
def test_rare_words_that_occurred_before_cost_less(name, saved):
    detail = ("Oily Zxqvarian valve.", DETAIL)
    first, again = sizes(name, [detail, detail])
    assert again <= first - saved


@each_coder
def test_arbitrary_bytes_give_texts_or_bitstream_error(name):
    chance = random.Random(5)
    outcomes = set()
    for length in range(40):
        try:
            text = new_coder(name).read(Decoder(chance.randbytes(length)), length % 3)
            outcomes.add(len(text) <= MOST_CHARACTERS)
        except BitstreamError:
            outcomes.add("refused")
    assert True in outcomes
    assert False not in outcomes


def test_counts_stay_in_the_coders_range_whatever_the_history():
    model = word_model()
    for first, second in [model.start(OVERALL), model.start(NAME), (5, 5), (CODE_POINT, CODE_POINT)]:
        counts = model.counts(first, second, list(range(64, 900)))
        assert counts.min() >= 0
        assert 0 < counts.sum() < 1 << 38


@pytest.mark.parametrize("name", ["network", "distilled"])
def test_endless_words_cost_the_network_a_bounded_work(name):
    encoder = Encoder()
    coder = new_coder(name)
    for _ in range(3):
        coder.write(encoder, "ab, " * 1024, DETAIL)
    assert encoder.work < coder.read_work * MOST_READ + 30 * 3 * 1024 * 3  # three pieces a word, two symbols a piece


@pytest.mark.parametrize(("table", "most"), [("text0", 5e6), ("text1", 1.5e6), ("text2", 4e6), ("text3", 2e3)])
def test_tables_are_small(table, most):
    assert (Path(sedic.bitstream.coder.__file__).parent / "tables" / f"{table}.npz").stat().st_size <= most


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("trigram", 190),  # an unpruned four-gram with Kneser–Ney smoothing: 202 bytes; zlib: 436
        ("network", 165),
        ("distilled", 150),
    ],
)
def test_kodak_descriptions_cost_little(shared_data, name, most):
    totals = []
    for path in sorted((shared_data / "kodak").glob("*.json")):
        words = json.loads(path.read_text(encoding="utf-8"))
        texts = [(words["overall"], OVERALL)]
        for o in words["objects"]:
            texts += [(o["name"], NAME), (o["detail"], DETAIL)]
        encoder, coder = Encoder(), new_coder(name)
        for text, kind in texts:
            coder.write(encoder, text, kind)
        totals.append(len(encoder.finish()))
    assert statistics.mean(totals) < most
