"""The tables can be made again: same data, same bytes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sedic.bitstream.mask.context import contexts, fixed_contexts
from sedic.bitstream.mask.network import Network
from sedic.bitstream.text import DETAIL, NAME, OVERALL
from sedic.bitstream.text.network import PieceModel
from sedic.bitstream.text.tokens import split_tokens
from sedic.bitstream.text.trigram import WordModel
from sedic.models import precision
from sedic.training.masks import network as masks
from sedic.training.masks import tree as mask_tree
from sedic.training.text import byte_pairs, huffman, trigram
from sedic.training.text import network as text
from sedic.training.text.descriptions import Documents, Line, leading_name, read_imagined


@pytest.fixture
def descriptions(tmp_path):
    """A folder with ``text/`` in it."""
    folder = tmp_path / "text"
    folder.mkdir()
    lines = ["A red barn stands beside a pond.", "The red barn is old, and the pond is frozen.", "Étude of a barn"] * 3
    for name in ("lmm_train", "captions_train", "lmm_heldout"):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / f"{name}.src").write_text("\n".join(["iiw-objects\t1", "x\t2", "x\t3"] * 3) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("coder", [trigram, huffman])
def test_tables_of_counts_are_the_same_each_time(descriptions, coder):
    coder.train(descriptions, descriptions / "a.npz")
    coder.train(descriptions, descriptions / "b.npz")
    assert (descriptions / "a.npz").read_bytes() == (descriptions / "b.npz").read_bytes()


def test_trigram_table_expects_what_followed(descriptions):
    trigram.train(descriptions, descriptions / "a.npz")
    with np.load(descriptions / "a.npz", allow_pickle=False) as table:
        model = WordModel(dict(table))
    after = model.counts(model.ids["a"], model.ids["red"], [])
    assert model.words[int(after.argmax())] == "barn"
    assert after.min() > 0


def test_names_are_learnt_from_the_phrase_that_opens_a_description():
    def name(line: str) -> list[str]:
        return [word for word, _, _ in leading_name(split_tokens(line))]

    assert name("A large brown dog sits on a mat.") == ["large", "brown", "dog"]
    assert name("Dogs sit.") == []
    assert name("The image of a very long unending chain of words") == ["image"]


@pytest.mark.filterwarnings("ignore:This PyTorch has no bfloat16")
@pytest.mark.processor
@pytest.mark.parametrize("says_it_has_bfloat16", [True, None])
def test_a_small_network_is_trained_resumed_and_expects_what_followed(descriptions, monkeypatch, says_it_has_bfloat16):
    """Whether a processor has it, and whether this PyTorch has a recurrent kernel for it, are two things."""
    if says_it_has_bfloat16:
        monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(text, "read_imagined", list)  # else it would learn those instead
    config = text.Config(minutes=0.05, pieces=128, embedding=64, hidden=64, texts=2, length=8, rate=2e-2)
    text.train(descriptions, descriptions / "run", config)
    first = (descriptions / "run" / "text.npz").read_bytes()
    text.train(descriptions, descriptions / "run", config)  # the budget is spent: nothing changes
    assert (descriptions / "run" / "text.npz").read_bytes() == first
    with np.load(descriptions / "run" / "text.npz", allow_pickle=False) as table:
        model = PieceModel(dict(table))
    state = model.network.start()
    for piece in [2 + OVERALL, *model.pieces.cut("a"), *model.pieces.cut("red")]:
        state = model.network.read(state, piece)
    assert int(model.network.expect(state).logits.argmax()) == model.pieces.cut("barn")[0]


def test_merges_join_the_commonest_pairs_first():
    merges = byte_pairs.learn_merges({"the": 9, "then": 3, "hen": 2}, 3)
    assert merges == [("##h", "##e"), ("t", "##he"), ("the", "##n")]


def test_documents_follow_the_order_of_a_file():
    lines = [
        Line(split_tokens("A red barn by a pond. A large door is open. The roof is new. The sky is grey."), "x", "1"),
        Line(split_tokens("A weathered wooden door with a latch."), "iiw-objects", "1"),
    ]
    kinds = set()
    for seed in range(40):
        for document in Documents(lines).shuffled(seed):
            order = [t.kind for t in document]
            kinds.update(order)
            assert OVERALL not in order[1:]
            assert all(after == DETAIL for before, after in pairwise(order) if before == NAME)
            assert order[-1] != NAME
    assert kinds == {OVERALL, DETAIL, NAME}


def test_imagined_descriptions_are_as_a_file_has_them_and_a_pass_takes_each_twice():
    imagined = read_imagined()
    assert len(imagined) > 700
    for document in imagined:
        kinds = [text.kind for text in document]
        assert kinds == [OVERALL, *[NAME, DETAIL] * (len(kinds) // 2)]
        assert len(kinds) <= 7
    assert len({tuple(document[0].words) for document in imagined}) == len(imagined)
    assert sorted(map(id, Documents([], imagined[:3]).shuffled(1))) == sorted(map(id, 2 * imagined[:3]))


def stripes(folder: Path) -> None:
    """Annotations of six pictures with a bar each."""
    folder.mkdir()
    rows = []
    for i in range(6):
        runs = [256 * (40 + i), 256 * 100, 256 * (116 - i)]  # columns 40 … 139 of 256
        objects = [{"name": "region", "mask_rle": {"size": [256, 256], "counts": runs}}]
        rows.append(json.dumps({"file": "x.webp", "captions": [], "objects": objects}))
    (folder / "annotations.jsonl").write_text("\n".join(rows), encoding="utf-8")


def test_tree_of_masks_is_the_same_each_time_and_prefers_the_neighbours_value(tmp_path):
    stripes(tmp_path / "train")
    mask_tree.train(tmp_path, tmp_path / "a.npz")
    mask_tree.train(tmp_path, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as table:
        questions, children, counts = table["questions"], table["children"], table["counts"]
    assert questions[0] >= 0
    shares = counts[:, 1] / counts.sum(1)
    assert shares[children[0]] < shares[0] < shares[children[0] + 1]
    assert counts.min() >= 1


@pytest.mark.processor
def test_networks_of_masks_are_the_same_each_time_and_learn_the_bars(tmp_path):
    stripes(tmp_path / "train")
    for name in "ab":
        masks.train(tmp_path, tmp_path / f"{name}.npz", first_steps=40, steps=80, draw=40)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as table:
        network, ones = Network(dict(table), "cell"), table["ones"]
    assert (np.diff(ones) > 0).all()
    assert 0 < ones[0] < ones[-1] < 1 << 24
    bar = np.zeros((24, 24), bool)
    bar[:, 8:16] = True
    outputs = network(contexts(bar, fixed_contexts(np.zeros_like(bar), 0)).reshape(24 * 24, -1)).reshape(24, 24)
    assert outputs[12, 12] > 0 > outputs[12, 2]
