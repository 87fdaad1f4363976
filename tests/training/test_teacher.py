"""The teacher of text coder 0: a language model given our pieces, what it expects, and who learns from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sedic.bitstream.text import DETAIL, NAME, OVERALL
from sedic.bitstream.text.network import FIRST_KIND, piece_model
from sedic.cli import main
from sedic.errors import SedicError
from sedic.training.device import Device
from sedic.training.text import expectations, glosses, network, teacher
from sedic.training.text.expectations import Expectations

from .apart import THERE
from .texts import write_texts

BETWEEN = 8192


@pytest.fixture(scope="module")
def language_model(tmp_path_factory) -> Path:
    """A language model of the smallest kind: bytes are its tokens, and a few words."""
    folder = tmp_path_factory.mktemp("model")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<begin>", *letters])}
    merges = [("Ġ", "b"), ("Ġb", "a"), ("Ġba", "r"), ("Ġbar", "n")]
    for a, b in merges:
        vocabulary[a + b] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<begin>").save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(vocabulary), tie_word_embeddings=True, **size)).save_pretrained(folder)
    return folder


@pytest.fixture
def descriptions(tmp_path) -> Path:
    """A folder with ``text/`` in it."""
    write_texts(tmp_path)
    return tmp_path


def test_pieces_begin_as_the_tokens_that_spell_them(language_model):
    pieces = piece_model("text2").pieces
    before = LlamaForCausalLM.from_pretrained(language_model).get_input_embeddings().weight
    tokens = json.loads((language_model / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    model = teacher.with_pieces(language_model, pieces)
    now = model.get_input_embeddings().weight
    assert now.shape == (BETWEEN + 1, 16)
    assert model.get_output_embeddings().weight is now
    (barn,), (comma,) = pieces.cut("barn"), pieces.cut(",")
    assert torch.equal(now[barn], before[tokens["Ġbarn"]])
    assert torch.equal(now[comma], before[tokens[","]])
    assert torch.equal(now[BETWEEN], before[tokens["<begin>"]])
    inside = pieces.texts.index("##ing")
    assert torch.allclose(now[inside], before[[tokens[letter] for letter in "ing"]].mean(0))


def test_a_lesson_costs_in_the_mean_what_the_whole_distribution_would(monkeypatch):
    torch.manual_seed(1)
    monkeypatch.setattr(expectations, "LIKELIEST", 4)
    logits = torch.randn(1, 1, 100) * 2
    student = torch.randn(100)
    whole = -(logits.softmax(-1)[0, 0] * student.log_softmax(-1)).sum().item()
    found = expectations.of_logits(logits.expand(1, 4000, 100), torch.zeros(1, 4000, dtype=torch.long))
    assert np.allclose(found.shares.sum(-1), 1, atol=1e-3)
    costs = -(found.shares * student.log_softmax(-1).numpy()[found.candidates]).sum(-1)
    assert abs(costs.mean() - whole) < 4 * costs.std() / np.sqrt(costs.size)


def test_texts_go_on_from_block_to_block_without_what_parts_them(tmp_path):
    pieces = np.arange(10, 30).reshape(10, 2).copy()
    pieces[3] = BETWEEN
    candidates = np.tile(np.array([7, BETWEEN]), (10, 2, 1))
    Expectations(pieces, candidates, np.full((10, 2, 2), 0.5)).write(tmp_path / "a.npz")
    blocks = expectations.stream(tmp_path, texts=2, length=4, known=BETWEEN)
    first, second = next(blocks), next(blocks)
    assert first.pieces.shape == (5, 2)
    assert np.array_equal(first.pieces[-1], second.pieces[0])
    for column in np.concatenate([first.pieces, second.pieces[1:]]).T:
        assert column.tolist() == [*range(column[0], column[0] + 6, 2), *range(column[0] + 8, column[0] + 20, 2)]
    assert (first.shares[first.candidates == 7] == 0.5).all()
    assert first.shares[first.candidates != 7].sum() == 0


def test_without_expectations_there_is_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="sedic train teacher"):
        next(expectations.stream(tmp_path, 1, 4, BETWEEN))


@pytest.mark.processor
@pytest.mark.parametrize("place", ["cpu", THERE])
def test_a_teacher_is_trained_and_a_network_learns_from_it(apart, descriptions, language_model, tmp_path, place):
    run = tmp_path / "teacher"
    config = teacher.Config(language_model, minutes=1e-6, texts=2, length=16, invented=1, side_by_side=2)
    teacher.train(descriptions, run, config, Device(place))
    paths = sorted((run / "expectations").glob("*.npz"))
    assert {path.name.partition("_")[0] for path in paths} == {"documents", "inventions"}
    invented = Expectations.read(paths[-1])
    assert invented.pieces.shape == (16, 2)
    assert invented.candidates.shape == (16, 2, 40)
    table = Path(network.__file__).parents[2] / "bitstream/tables/text2.npz"
    student = network.Config(
        minutes=1e-6, hidden=576, texts=6, length=8, start=table, taught=run / "expectations", dropout=0.0
    )
    network.train(descriptions, tmp_path / "student", student, Device(place))
    row = json.loads((tmp_path / "student" / "log.jsonl").read_text("utf-8").splitlines()[-1])
    assert row["held_out_bits"] < 8  # what coder 2 knew is not lost; an untaught network would need 13


def test_a_grown_network_says_what_it_said_before():
    with np.load(Path(network.__file__).parents[2] / "bitstream/tables/text2.npz", allow_pickle=False) as file:
        table = dict(file)
    model = network.Predictor(8192, 192, 576, 0.0).eval()
    network.grow(model, table)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name in ("lstm.weight_hh_l0", "proj.weight"):
                weights[:, 512:] = 0  # the new cells unheard altogether
        logits, _ = model(torch.tensor([[FIRST_KIND + OVERALL], [300], [900]]))
    state, theirs = piece_model("text2").network.start(), []
    for piece in (FIRST_KIND + OVERALL, 300, 900):
        state = piece_model("text2").network.read(state, piece)
        theirs.append(piece_model("text2").network.expect(state).logits / 256)
    assert np.abs(logits[:, 0].numpy() - np.stack(theirs)).max() < 0.2


def test_a_network_grows_only_from_a_smaller_one(tmp_path):
    with np.load(Path(network.__file__).parents[2] / "bitstream/tables/text2.npz", allow_pickle=False) as file:
        table = dict(file)
    for embedding, cells in ((64, 512), (192, 448)):
        with pytest.raises(SedicError, match="at least as many cells"):
            network.grow(network.Predictor(8192, embedding, cells, 0.0), table)


def test_a_teacher_without_a_model_is_a_sentence(descriptions, tmp_path, capsys):
    assert main(["train", "teacher", "--data", str(descriptions), "-o", str(tmp_path / "run")]) != 0
    assert "--model" in capsys.readouterr().err


SYNSETS = """  1 This software and database is being provided to you, the LICENSEE
00001740 17 n 02 crag 0 cliff(a) 0 001 @ 00001740 n 0000 | a steep rugged rock or cliff; "the crag stood dark"
00001741 04 n 01 breakthrough 1 000 | a penetration of a barrier such as an enemy's defense
00001742 06 n 02 butcher_knife 0 knife 0 000 | (cutlery) a large sharp knife for cutting or trimming meat
00001743 06 n 01 shop 0 000 | a mercantile establishment for the retail sale of goods
"""


def test_definitions_become_documents_of_names_and_details(tmp_path, monkeypatch):
    monkeypatch.setattr(glosses, "DROPPING", (0.0,))
    (tmp_path / "data.noun").write_text(SYNSETS, encoding="latin-1")
    (tmp_path / "data.adj").write_text("", encoding="latin-1")
    (document,) = glosses.documents(tmp_path, seed=1)
    assert [text.kind for text in document] == [OVERALL, *[NAME, DETAIL] * 3]
    words = [" ".join(text.words).rstrip(" .") for text in document]
    assert words[0] == "the crag stood dark"
    assert words[1] in ("crag", "cliff")
    assert words[2::2] == [
        "a steep rugged rock or cliff",
        "a large sharp knife for cutting or trimming meat",
        "a mercantile establishment for the retail sale of goods",
    ]


def test_an_option_of_another_training_is_a_sentence(descriptions, tmp_path, capsys):
    command = ["train", "text", "--data", str(descriptions), "-o", str(tmp_path / "run"), "--wordnet", str(tmp_path)]
    assert main(command) != 0
    assert "--wordnet is for teacher, not text; leave it out." in capsys.readouterr().err
