"""The integer network: it computes what the trained one does, exactly and everywhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from sedic.bitstream.text import lstm
from sedic.bitstream.text.cache import Cache, _unit
from sedic.bitstream.text.confidence import Confidence
from sedic.bitstream.text.distilled import DistilledCoder
from sedic.bitstream.text.network import NetworkCoder, piece_model
from sedic.bitstream.text.pieces import CODE_POINT, END, Pieces
from sedic.bitstream.text.repetition import Repetition
from sedic.models.processor import lacking
from sedic.training.text.network import Predictor
from sedic.training.text.quantise import quantised

TABLES = NetworkCoder.table, DistilledCoder.table
PIECES = (2, 300, 4000, 77, 8191, 0, 4, 900)


@pytest.fixture(scope="module")
def pair():
    """A network in floating point with weights of usual size, and the same in integers."""
    torch.manual_seed(3)
    model = Predictor(256, 64, 64, 0.0).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn_like(weights) * 0.3)
    return model, lstm.Network(quantised(model.state_dict()))


def test_integers_give_the_probabilities_of_the_trained_network(pair):
    model, network = pair
    pieces = torch.randint(0, 256, (40,), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, _ = model(pieces[:, None])
    wanted = logits[:, 0].softmax(-1).double().numpy()
    state = network.start()
    worst = 0.0
    for number, row in zip(pieces.tolist(), wanted, strict=True):
        state = network.read(state, number)
        odds = np.exp(network.expect(state).logits / (1 << lstm.LOGIT_BITS))
        worst = max(worst, float((row * np.log2(row / (odds / odds.sum()))).sum()))
    assert worst < 0.02  # bits a piece that rounding to integers costs


def test_products_are_exact_for_the_largest_numbers():
    for width, most in ((1024, 128), (512, 255)):
        weights = np.full((64, width), 127, np.float32)
        assert (lstm._product(weights, np.full(width, most, np.float32)) == 127 * most * width).all()
        chance = np.random.default_rng(width)
        whole = chance.integers(-127, 128, (128, width))
        activations = chance.integers(-most, most + 1, width)
        product = lstm._product(whole.astype(np.float32), activations.astype(np.float32))
        assert (product == whole @ activations).all()


def test_activations_stay_within_what_products_hold(pair):
    _, network = pair
    state = network.start()
    for number in [255] * 50:
        state = network.read(state, number)
    assert np.abs(state.output).max() <= 1 << lstm.OUTPUT_BITS


@pytest.mark.parametrize("table", TABLES)
def test_counts_are_bounded_whatever_the_logits(table):
    exponential = piece_model(table).exponential
    for logits in (np.zeros(8192, np.int64), np.arange(8192) * 100, np.eye(1, 8192, dtype=np.int64)[0] * 1_000_000):
        confidence = Confidence(exponential)
        for piece in (0, 5, 8191, 0):
            counts = confidence.counts(logits)
            assert counts.min() >= 1
            assert counts.sum() < 1 << 37
            confidence.learn(piece)


def test_a_file_of_surprises_softens_what_is_expected_and_one_without_sharpens_it():
    logits = np.zeros(8192, np.int64)
    logits[7] = 2000  # odds of e⁸

    def likelihood(came: int) -> float:
        confidence = Confidence(piece_model(TABLES[0]).exponential)
        for _ in range(20):
            counts = confidence.counts(logits)
            confidence.learn(came)
        return counts[7] / counts.sum()

    untaught = Confidence(piece_model(TABLES[0]).exponential).counts(logits)
    assert likelihood(9) < untaught[7] / untaught.sum() < likelihood(7)


def test_what_continued_a_word_is_expected_again():
    inside = np.zeros(1024, bool)
    inside[[600, 700]] = True
    repetition = Repetition(inside)
    for piece in (300, 600, 400):
        repetition.learn(piece)
    repetition.learn(300)
    counts = np.full(1024, 1000)
    repetition.favour(counts)
    assert counts[600] > counts.sum() / 3
    assert counts[700] == 1000
    repetition.learn(600)
    counts = np.full(1024, 1000)
    repetition.favour(counts)
    assert counts[400] > 20 * counts[401]  # the word that came next
    assert counts.sum() < 2 * 1000 * 1024


def test_names_repeat_what_occurred_more_eagerly():
    repetition = Repetition(np.zeros(1024, bool))
    repetition.learn(600)
    usual, eager = (np.full(1024, 1000) for _ in range(2))
    repetition.favour(usual)
    repetition.favour(eager, eager=True)
    assert eager[600] > 5 * usual[600]
    assert eager.sum() < 2.4 * 1000 * 1024


def test_what_came_in_a_like_state_is_expected_again():
    cache = Cache(piece_model(TABLES[1]).exponential)
    chance = np.random.default_rng(0)
    states = chance.integers(-255, 256, (3, 192))
    for state, piece in zip(states, (700, 800, 3), strict=True):
        cache.learn(state, piece)
    for state, expected in ((states[0] // 2, 700), (states[1], 800)):
        counts = np.full(1024, 1 << 27)
        cache.favour(counts, state)
        assert counts[expected] - (1 << 27) > 0.99 * (1 << 35)  # a quarter of all
        assert counts.sum() <= 1.25 * (1 << 37)
    counts = np.full(1024, 1 << 27)
    cache.favour(counts, -states[0])
    assert counts.sum() < 1.001 * (1 << 37)  # nothing is like it
    cache.favour(counts, np.zeros(192, np.int64))  # nor is there anything to be like
    counts = np.full(1024, 1 << 27)
    cache.favour(counts, states[2])
    assert counts[3] == 1 << 27  # no word


def test_a_cache_adds_up_exactly_for_the_largest_numbers():
    cache = Cache(piece_model(TABLES[1]).exponential)
    for flat in (np.full(192, 255), np.eye(1, 192, dtype=np.int64)[0] * 255):
        unit = _unit(flat)
        assert np.abs(unit).max() <= 1 << 10
        assert (unit * unit).sum() < 1 << 24
        cache.learn(flat, 700)


SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from sedic.bitstream.text.confidence import Confidence
from sedic.bitstream.text.network import piece_model
network, digest = piece_model(sys.argv[3]).network, hashlib.sha256()
state = network.start()
for piece in map(int, sys.argv[2].split(",")):
    state = network.read(state, piece)
    digest.update(network.expect(state).logits.tobytes())
print(digest.hexdigest())
"""


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kernels", ["", "Haswell", "SkylakeX", "Zen"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_every_matrix_kernel_and_thread_count_computes_the_same(table, kernels, threads):
    if missing := lacking({"OPENBLAS_CORETYPE": kernels}):
        pytest.skip(f"this processor has no {missing}")
    digest = hashlib.sha256()
    network = piece_model(table).network
    state = network.start()
    for number in PIECES:
        state = network.read(state, number)
        digest.update(network.expect(state).logits.tobytes())
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    environment |= {"OPENBLAS_NUM_THREADS": threads} | ({"OPENBLAS_CORETYPE": kernels} if kernels else {})
    command = [sys.executable, "-c", SCRIPT, os.getcwd(), ",".join(map(str, PIECES)), table]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest.hexdigest()


def test_pieces_join_what_occurs_together():
    # Numbers 0 to 4 are none, then "!", then letters, then letters inside a word.
    inside = 6 + 26
    t, h, e = (ord(letter) - ord("a") for letter in "the")
    merges = np.array([[6 + t, inside + h], [inside + 27, inside + e]])  # t ##h, then th ##e
    pieces = Pieces("!", merges)
    assert pieces.texts[-2:] == ["th", "the"]
    assert [pieces.texts[n] for n in pieces.cut("there")] == ["the", "##r", "##e"]
    assert [pieces.texts[n] for n in pieces.cut("path")] == ["p", "##a", "##t", "##h"]
    assert pieces.cut("!") == [5]
    assert pieces.cut("é") == [CODE_POINT]
    assert "".join(pieces.text(n) for n in pieces.cut("there's")) == "there's"
    assert not pieces.inside[END]
