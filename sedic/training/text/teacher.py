"""Teaches a pretrained language model our pieces, and asks it what it expects: the teacher of text coder 0.

``sedic train teacher --model FOLDER --data DATA -o RUN`` with FOLDER a causal language model as ``transformers`` reads
it, DATA the folder that holds ``text/``; resumes a run found in RUN. It writes RUN/teacher.safetensors, then what the
teacher expects of the training texts, of WordNet's definitions (``--wordnet``) and of texts that it invents,
RUN/expectations/*.npz; ``sedic train text --taught RUN/expectations`` learns from them (knowledge distillation,
Hinton, Vinyals and Dean 2015).

The model's own vocabulary is replaced by our pieces, each beginning as the mean of the tokens that spell it (fast
vocabulary transfer, Gee et al. 2022), so that its probabilities are of what the coder codes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...bitstream.text import DETAIL, NAME, OVERALL
from ...bitstream.text.network import FIRST_KIND, piece_model
from ...bitstream.text.pieces import END, FIRST_CHARACTER, Pieces
from ...errors import SedicError
from ...models.precision import autocast, computes_in_bfloat16
from ..device import CPU, Device
from ..loop import Run
from . import glosses
from .descriptions import Documents, Text, read_imagined, read_lines
from .expectations import Expectations, of_logits
from .network import held_out, nats, numbered

OPERATIONS = "matmul", "attention"
EMBEDDING_SHARE = 3.0  # of the learning rate: our pieces are new to the model, what it does with words is not
KIND_WORDS = {OVERALL: " overall:", NAME: " name:", DETAIL: " detail:"}


@dataclass
class Config:
    """The shipped table's teacher: SmolLM2-135M-Instruct, and these values but for what its card says."""

    model: Path | None = None  # folder with config.json, tokenizer.json and model.safetensors
    wordnet: Path | None = None  # WordNet's dict, whose definitions are read to it, too
    minutes: float = 24
    texts: int = 16  # in a batch
    length: int = 256  # pieces that the teacher looks back on
    rate: float = 2e-4
    passes: int = 1  # over the training texts, for its expectations
    invented: int = 50  # files of texts that it makes up
    side_by_side: int = 64  # texts of a file
    seed: int = 0


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> None:
    """Trains, or resumes, in ``out``, and writes what there is to learn from.

    Args:
        data: the folder with ``text/``.
        out: the run's folder.
        config: the model, time, learning rate.
        device: where.

    Raises:
        SedicError: no model was named.
    """
    from safetensors.torch import save_model

    if config.model is None:
        raise SedicError("A teacher begins with a language model; name its folder with --model.")
    torch.manual_seed(config.seed)
    pieces = piece_model("text2").pieces
    documents = Documents(read_lines(data), read_imagined())
    model = with_pieces(config.model, pieces)
    between = len(pieces.texts)  # the number of what parts documents
    embeddings = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if id(p) not in embeddings]},
        {"params": [p for p in model.parameters() if id(p) in embeddings], "share": EMBEDDING_SHARE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    run = Run(out, model, config.minutes, config.rate, warm_up=10, optimizer=optimizer, device=device)
    batches = windows(documents, pieces, config, first_pass=run.step)

    def losses() -> dict[str, Tensor]:
        block = device.batch(next(batches))
        with autocast(*OPERATIONS, device=block.device):
            logits = model(block[:, :-1]).logits
        return {"nats": nats(logits, block[:, 1:], between)}

    texts = held_out(data, pieces)

    @torch.no_grad()
    def validate(average: Any) -> dict[str, float]:
        total = torch.zeros(2)
        for text in texts:
            block = device.batch(torch.tensor([between, *text]))[None]
            with autocast(*OPERATIONS, device=block.device):
                logits = average(block[:, :-1]).logits
            total += torch.tensor([nats(logits, block[:, 1:], between).item() * (len(text) - 1), len(text) - 1])
        return {"held_out_bits": (total[0] / total[1] / math.log(2)).item()}

    run.train(losses, validate)
    save_model(device.home(run.average), str(out / "teacher.safetensors"))
    folder = out / "expectations"
    folder.mkdir(exist_ok=True)
    if computes_in_bfloat16(*OPERATIONS, device=device.name):
        run.average.to(torch.bfloat16)
    for number in range(config.passes):
        cut = _cut(documents.shuffled(config.seed + number), pieces, config.length, config.seed + number)
        of_texts(run.average, cut, f"documents_{number}", config, folder, device)
    if config.wordnet is not None:
        cut = _cut(glosses.documents(config.wordnet, config.seed), pieces, config.length, config.seed)
        of_texts(run.average, cut, "glosses", config, folder, device)
    of_inventions(run.average, between, config, folder, device)


def with_pieces(folder: Path, pieces: Pieces) -> Any:
    """The causal language model of a folder with our pieces, and one more that parts documents, as its vocabulary."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    spelled = [_tokens(tokenizer, text) for text in spellings(pieces)]
    ends = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    spelled.append([ends])
    old = [model.get_input_embeddings().weight.data, model.get_output_embeddings().weight.data]
    new = [torch.stack([matrix[tokens].mean(0) for tokens in spelled]) for matrix in old]
    model.resize_token_embeddings(len(spelled), mean_resizing=False)
    for layer, matrix in zip((model.get_input_embeddings(), model.get_output_embeddings()), new, strict=True):
        layer.weight.data.copy_(matrix)
    return model


def spellings(pieces: Pieces) -> list[str]:
    """How each piece would stand in a text: words behind a space, what continues them, or other characters, without."""
    texts = ["\n" if number == END else "\N{REPLACEMENT CHARACTER}" for number in range(FIRST_CHARACTER)]
    for kind, words in KIND_WORDS.items():
        texts[FIRST_KIND + kind] = words
    for number in range(FIRST_CHARACTER, len(pieces.texts)):
        text = pieces.text(number)
        begins = not pieces.inside[number] and text[0].isascii() and text[0].isalpha()
        texts.append(" " + text if begins else text)
    return texts


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def windows(documents: Documents, pieces: Pieces, config: Config, first_pass: int = 0) -> Iterator[Tensor]:
    """Batches for ever, (texts, length + 1): documents one behind the other, what parts them before each."""
    seed = config.seed + first_pass
    while True:
        cut = _cut(documents.shuffled(seed), pieces, config.length, seed)
        for top in range(0, len(cut) - config.texts + 1, config.texts):
            yield cut[top : top + config.texts]
        seed += 1


def _cut(documents: list[list[Text]], pieces: Pieces, length: int, seed: int) -> Tensor:
    """Pieces of the documents, one behind the other, as (n, length + 1), in a random order."""
    between = len(pieces.texts)
    numbers = [n for document in documents for n in (between, *numbered(document, pieces))]
    cut = torch.tensor(numbers[: len(numbers) // (length + 1) * (length + 1)]).view(-1, length + 1)
    return cut[torch.randperm(len(cut), generator=torch.Generator().manual_seed(seed))]


@torch.inference_mode()
def of_texts(model: Any, cut: Tensor, name: str, config: Config, folder: Path, device: Device) -> None:
    """Writes ``NAME_*.npz``: what the teacher expects of texts, (n, length + 1); files that are there stay."""
    for top in range(0, len(cut) - config.side_by_side + 1, config.side_by_side):
        path = folder / f"{name}_{top:06}.npz"
        if not path.exists():
            parts = [
                of_logits(model(part[:, :-1]).logits.transpose(0, 1), part[:, 1:].T)
                for part in device.batch(cut[top : top + config.side_by_side]).split(config.texts)
            ]
            Expectations.joined(parts, 1).write(path)


@torch.inference_mode()
def of_inventions(model: Any, between: int, config: Config, folder: Path, device: Device) -> None:
    """Writes ``inventions_*.npz``: texts that the teacher draws piece by piece, and what it expected each time."""
    from transformers import GenerationConfig, LogitsProcessorList

    # Nothing of the model's own settings: they would stop at a token, or keep to likely ones.
    drawn = GenerationConfig(
        do_sample=True, top_k=0, top_p=1.0, temperature=1.0, max_new_tokens=config.length, pad_token_id=between
    )
    for number in range(config.invented):
        path = folder / f"inventions_{number:06}.npz"
        if path.exists():
            continue
        torch.manual_seed(config.seed + number)
        rows = list[Expectations]()

        def note(before: Tensor, scores: Tensor, rows: list[Expectations] = rows) -> Tensor:
            rows.append(of_logits(scores[None], before[None, :, -1]))
            return scores

        begun = device.batch(torch.full((config.side_by_side, 1), between))
        came = model.generate(begun, generation_config=drawn, logits_processor=LogitsProcessorList([note]))
        replace(Expectations.joined(rows, 0), pieces=came[:, 1:].T.cpu().numpy()).write(path)
