"""Trains text coders 2 and 0: pieces of words, and the recurrent network that predicts them.

``sedic train text --data DATA -o RUN`` with DATA the folder that holds ``text/``; resumes a run found in RUN, and
writes RUN/text.npz. The network may begin as that of a table (``Config.start``), and learn what a far larger one
expects of the same texts and of others (``Config.taught``, see :mod:`.teacher`): so coder 0 came out of coder 2.
Embeddings may start from those of a pretrained sentence encoder (``Config.embeddings``), which know rare words from far
more text than there is here: so coder 2 began.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...bitstream.text import DETAIL, OVERALL
from ...bitstream.text.network import FIRST_KIND
from ...bitstream.text.pieces import END, FIRST_CHARACTER, INSIDE, Pieces
from ...bitstream.text.tokens import is_word
from ...errors import SedicError
from ...models.precision import autocast
from ..device import CPU, Device
from ..loop import Run
from . import expectations
from .byte_pairs import learn_merges
from .descriptions import OBJECTS, Documents, Line, Text, read_held_out, read_imagined, read_lines, words_of
from .expectations import Expectations
from .quantise import dequantised, quantised
from .surface import surface
from .trigram import WEIGHTS

RARE = 8  # other characters that count no more often are written as code points
VALIDATED = 500  # held-out lines
UNHEARD = 0.3  # what new cells are heard with, as a share of usual weights
TRUST = 0.7  # in the teacher, the rest in what came


@dataclass
class Config:
    """The shipped table of coder 0 was made with these values, ``start`` and ``taught``, but for what its card says."""

    minutes: float = 66
    pieces: int = 8192
    embedding: int = 192
    hidden: int = 768
    texts: int = 48  # side by side in a batch
    length: int = 64  # pieces between updates; the network's state lives on
    rate: float = 2e-3
    dropout: float = 0.12
    start: Path | None = None  # a table, with as long embeddings, whose pieces and network this one begins with
    taught: Path | None = None  # folder of a teacher's expectations, which five sixths of the texts are then taken from
    embeddings: Path | None = None  # folder with a BERT's vocab.txt and model.safetensors
    seed: int = 0


class Predictor(nn.Module):
    """:class:`sedic.bitstream.text.lstm.Network` in floating point; one embedding serves its input and its output."""

    def __init__(self, pieces: int, embedding: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.emb = nn.Embedding(pieces, embedding)
        self.lstm = nn.LSTM(embedding, hidden)
        self.proj = nn.Linear(hidden, embedding)
        self.bias = nn.Parameter(torch.zeros(pieces))
        self.dropout = dropout
        nn.init.normal_(self.emb.weight, std=0.1)

    def forward(self, pieces: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(T, B) pieces to logits of the ones that follow, (T, B, V), and the state behind them."""
        embedded = F.dropout(self.emb(pieces), 0.7 * self.dropout, self.training)
        hidden, state = self.lstm(embedded, state)
        projected = self.proj(F.dropout(hidden, self.dropout, self.training))
        return F.linear(F.dropout(projected, 0.5 * self.dropout, self.training), self.emb.weight, self.bias), state


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> None:
    """Trains, or resumes, in ``out``, and writes ``text.npz`` there.

    Args:
        data: the folder with ``text/``.
        out: the run's folder.
        config: sizes, time, learning rate.
        device: where.
    """
    torch.manual_seed(config.seed)
    lines = read_lines(data)
    begun = None if config.start is None else dict(np.load(config.start, allow_pickle=False))
    vocabulary = begun or learn_vocabulary(lines, config.pieces)
    vocabulary = {name: vocabulary[name] for name in ("characters", "merges")}
    pieces = Pieces(vocabulary["characters"].tobytes().decode(), vocabulary["merges"])
    model = Predictor(len(pieces.texts), config.embedding, config.hidden, config.dropout)
    documents = Documents(lines, read_imagined())
    if begun is None:
        start(model, pieces, documents, config.embeddings)
    else:
        grow(model, begun)
    run = Run(out, model, config.minutes, config.rate, weight_decay=0.01, clip=0.5, device=device)
    taught = 0 if config.taught is None else config.texts * 5 // 6
    batches = stream(documents, pieces, config.texts - taught, config, first_pass=run.step)
    expected = config.taught and expectations.stream(
        config.taught, taught, config.length, len(pieces.texts), config.seed + run.step
    )
    state: Any = None

    def losses() -> dict[str, Tensor]:
        nonlocal state
        block, lessons = next(batches), next(expected) if expected else None
        if lessons is not None:
            block = torch.cat([block, torch.from_numpy(lessons.pieces)], 1)
        block = device.batch(block)
        with autocast("lstm", "matmul", device=block.device):
            logits, state = model(block[:-1], state)
        state = tuple(part.detach() for part in state)
        told = nats(logits[:, : config.texts - taught], block[1:, : config.texts - taught])
        if lessons is None:
            return {"nats": told}
        lesson = _taught(logits[:, -taught:], block[1:, -taught:], lessons.rows(slice(1, None)), device)
        return {"nats": told / 6, "taught": lesson * 5 / 6}

    texts = held_out(data, pieces)

    @torch.no_grad()
    def validate(average: Any) -> dict[str, float]:
        total = torch.zeros(2)
        for text in map(device.batch, map(torch.tensor, texts)):
            with autocast("lstm", "matmul", device=text.device):
                logits, _ = average(text[:-1, None])
            total += torch.tensor([nats(logits, text[1:, None]).item() * (len(text) - 1), len(text) - 1])
        return {"held_out_bits": (total[0] / total[1] / np.log(2)).item()}

    run.train(losses, validate)
    looks = surface(
        [(line.tokens, WEIGHTS.get(line.source, 1)) for line in lines],
        lambda word: pieces.cut(word)[0],
        len(pieces.texts),
    )
    table: dict[str, Any] = vocabulary | looks | quantised(device.home(run.average).state_dict())
    np.savez(out / "text.npz", **table)  # of its weights little would be saved, and to unpack them takes 40 ms


def learn_vocabulary(lines: list[Line], size: int) -> dict[str, np.ndarray]:
    """The table's ``characters`` and ``merges`` for a vocabulary of ``size`` pieces."""
    frequency: Counter[str] = Counter()
    for line in lines:
        for word, _, _ in line.tokens:
            frequency[word] += WEIGHTS.get(line.source, 1)
    usual = string.punctuation + string.digits
    others = [w for w, n in frequency.items() if not is_word(w) and n > RARE and w not in usual]
    characters = usual + "".join(others)
    letters = Pieces(characters, np.zeros((0, 2)))
    words = {word: n for word, n in frequency.items() if is_word(word)}
    merges = learn_merges(words, size - len(letters.texts))
    numbers = {text: i for i, text in enumerate(letters.texts)}
    for number, (a, b) in enumerate(merges, len(letters.texts)):
        numbers[a + b[len(INSIDE) :]] = number
    pairs = [(numbers[a], numbers[b]) for a, b in merges]
    return {
        "characters": np.frombuffer(characters.encode(), np.uint8),
        "merges": np.array(pairs, np.uint16).reshape(-1, 2),
    }


def numbered(document: Sequence[Text], pieces: Pieces) -> list[int]:
    """A document as the coder sees it: for each text its kind, its pieces, the end."""
    result = []
    for text in document:
        result += [FIRST_KIND + text.kind, *(piece for word in text.words for piece in pieces.cut(word)), END]
    return result


def held_out(data: Path, pieces: Pieces) -> list[list[int]]:
    """Held-out lines as the coder sees them."""
    texts = ((words_of(text), source) for text, source in read_held_out(data)[:VALIDATED])
    return [numbered([Text(DETAIL if source == OBJECTS else OVERALL, words)], pieces) for words, source in texts]


def stream(documents: Documents, pieces: Pieces, texts: int, config: Config, first_pass: int = 0) -> Iterator[Tensor]:
    """Blocks of (length + 1, texts) pieces for ever, each beginning with the last row of the one before."""
    seed = config.seed + first_pass
    while True:
        numbers = torch.tensor([n for document in documents.shuffled(seed) for n in numbered(document, pieces)])
        columns = numbers[: len(numbers) // texts * texts].view(texts, -1).T
        for top in range(0, len(columns) - config.length, config.length):
            yield columns[top : top + config.length + 1]
        seed += 1


def start(model: Predictor, pieces: Pieces, documents: Documents, embeddings: Path | None) -> None:
    """Begins with the pieces' frequencies, and with pretrained embeddings where there are any."""
    counts = torch.ones(len(pieces.texts))
    for document in documents.shuffled(0):
        for number in numbered(document, pieces):
            counts[number] += 1
    with torch.no_grad():
        model.bias.copy_((counts / counts.sum()).log() / 2)
        if embeddings is not None:
            own = model.emb.weight
            own.copy_(pretrained(embeddings, pieces.texts, own.shape[1]) + 0.01 * torch.randn_like(own))


@torch.no_grad()
def grow(model: Predictor, table: dict[str, np.ndarray]) -> None:
    """Begins with a table's network, (V, E) embeddings and H cells; further cells begin at random and hardly heard.

    Raises:
        SedicError: the table's network has other embeddings, or more cells.
    """
    old, new = dequantised(table), dict(model.named_parameters())
    known, cells = old["lstm.weight_hh_l0"].shape[1], new["lstm.weight_hh_l0"].shape[1]
    if old["emb.weight"].shape != new["emb.weight"].shape or known > cells:
        raise SedicError(
            f"The table to start from has embeddings {tuple(old['emb.weight'].shape)} and {known} cells; "
            "give Config the same embeddings and at least as many cells."
        )
    gates = torch.cat([torch.arange(known) + gate * cells for gate in range(4)])
    for name in ("emb.weight", "bias", "proj.bias"):
        new[name].copy_(old[name])
    for name, rows in (("proj.weight", slice(None)), ("lstm.weight_hh_l0", gates)):
        new[name][:, known:] *= UNHEARD
        new[name][rows, :known] = old[name]
    new["lstm.weight_ih_l0"][gates] = old["lstm.weight_ih_l0"]
    new["lstm.bias_hh_l0"].zero_()
    new["lstm.bias_ih_l0"].zero_()
    new["lstm.bias_ih_l0"][cells : 2 * cells] = 1  # a new cell keeps what it has
    new["lstm.bias_ih_l0"][gates] = old["lstm.bias_ih_l0"]


def pretrained(folder: Path, texts: Sequence[str], size: int) -> Tensor:
    """Embeddings of pieces from those of a BERT's word pieces: (V, size), the principal components, deviation 0.1."""
    from safetensors.torch import load_file

    (table,) = (t for name, t in load_file(folder / "model.safetensors").items() if "word_embeddings" in name)
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    numbers = {line: i for i, line in enumerate(lines[: len(table)])}
    result = torch.zeros(len(texts), table.shape[1])
    for i, text in enumerate(texts[FIRST_CHARACTER:], FIRST_CHARACTER):
        found = _longest_pieces(text, numbers)
        if found:
            result[i] = table[found].float().mean(0)
    result -= result.mean(0)
    components = torch.linalg.svd(result, full_matrices=False)[2][:size]
    projected = result @ components.T
    return projected / projected.std() * 0.1


def _longest_pieces(text: str, numbers: dict[str, int]) -> list[int]:
    """WordPiece: the longest known beginning, then on from there; characters that are unknown are skipped."""
    inside = len(text) > len(INSIDE) and text.startswith(INSIDE)
    word, at, found = text[len(INSIDE) :] if inside else text, 0, []
    while at < len(word):
        mark = INSIDE if inside or at else ""
        end = next((e for e in range(len(word), at, -1) if mark + word[at:e] in numbers), None)
        if end is not None:
            found.append(numbers[mark + word[at:end]])
        at = at + 1 if end is None else end
    return found


def nats(logits: Tensor, wanted: Tensor, known: int | None = None) -> Tensor:
    """Mean cross entropy of the pieces that are coded: what announces a text's kind is known, as are pieces from
    ``known`` on.
    """
    coded = _coded(wanted, known).flatten()
    nats = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none")
    return (nats * coded).sum() / coded.sum()


def _coded(wanted: Tensor, known: int | None = None) -> Tensor:
    coded = (wanted < FIRST_KIND) | (wanted >= FIRST_CHARACTER)
    return coded if known is None else coded & (wanted < known)


def _taught(logits: Tensor, wanted: Tensor, lessons: Expectations, device: Device) -> Tensor:
    """Mean cross entropy with what a teacher expected, and with what came."""
    candidates, shares = (device.batch(torch.from_numpy(v)) for v in (lessons.candidates, lessons.shares))
    logits = logits.float()
    total, coded = logits.logsumexp(-1), _coded(wanted)
    came = total - logits.gather(2, wanted[..., None])[..., 0]
    expected = shares.sum(-1) * total - (shares * logits.gather(2, candidates)).sum(-1)
    return ((TRUST * expected + (1 - TRUST) * came) * coded).sum() / coded.sum()
