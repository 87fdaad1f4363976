"""The tables can be made again: same data, same bytes."""

from __future__ import annotations

import json

import numpy as np

from sedic.bitstream.text.trigram import WordModel
from sedic.training import masks, text


def test_text_table_is_the_same_each_time_and_loads(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    lines = ["A red barn stands beside a pond.", "The red barn is old, and the pond is frozen.", "Étude of a barn"] * 3
    for name in ("lmm_train", "captions_train"):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / f"{name}.src").write_text("\n".join(["iiw-objects\t1", "x\t2", "x\t3"] * 3) + "\n", encoding="utf-8")
    text.train(tmp_path, tmp_path / "a.npz")
    text.train(tmp_path, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as table:
        model = WordModel(dict(table))
    after = model.counts(model.ids["a"], model.ids["red"], [])
    assert model.words[int(after.argmax())] == "barn"
    assert after.min() > 0


def test_names_are_learnt_from_the_phrase_that_opens_a_description():
    def name(line: str) -> list[str]:
        return text.leading_name(text.split_tokens(line))

    assert name("A large brown dog sits on a mat.") == ["large", "brown", "dog"]
    assert name("Dogs sit.") == []
    assert name("The image of a very long unending chain of words") == ["image"]


def test_mask_table_is_the_same_each_time_and_prefers_the_neighbours_value(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    rows = []
    for i in range(6):
        runs = [256 * (40 + i), 256 * 100, 256 * (116 - i)]  # columns 40 … 139 of 256
        objects = [{"name": "region", "mask_rle": {"size": [256, 256], "counts": runs}}]
        rows.append(json.dumps({"file": "x.webp", "captions": [], "objects": objects}))
    (folder / "annotations.jsonl").write_text("\n".join(rows), encoding="utf-8")
    masks.train(tmp_path, tmp_path / "a.npz")
    masks.train(tmp_path, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as table:
        questions, children, counts = table["questions"], table["children"], table["counts"]
    assert questions[0] >= 0
    shares = counts[:, 1] / counts.sum(1)
    assert shares[children[0]] < shares[0] < shares[children[0] + 1]
    assert counts.min() >= 1
