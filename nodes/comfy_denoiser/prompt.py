"""Finding words in what a stage is conditioned on: which conditioning holds them, and where among its tokens."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...sedic.errors import SedicError
from ...sedic.restoration.energy import find_tokens
from ...sedic.restoration.guidance import Guidance
from .families import Run, family_of_clip

Rows = list[list[Hashable]]

EQUAL = 0.05  # share of its norm by which a text encoded twice may differ: another precision, another kernel
AKIN = 0.7  # of the distance from no text at all: below it a conditioning was made from the prompt


@dataclass(frozen=True)
class EncodedPrompt:
    """An object's prompt as the text encoder sees it.

    Attributes:
        tokens: positions of the guided words among its tokens.
        texts: what it encodes to, (T, C); several where the encoder changes over the steps.
        empty: what no text encodes to, (T, C), as long as the prompt.
    """

    tokens: tuple[int, ...]
    texts: tuple[Tensor, ...]
    empty: Tensor


@dataclass(frozen=True)
class PromptGuidance(Guidance):
    """One object's guidance whose ``prompt`` is looked for in the conditioning; None takes ``tokens`` as they are."""

    prompt: EncodedPrompt | None = None


@dataclass(frozen=True)
class Place:
    """Where a conditioning holds a prompt.

    Attributes:
        offset: tokens before the prompt's.
        length: the prompt's tokens.
        distance: 0, the prompt itself, to 1, nothing of it.
    """

    offset: int
    length: int
    distance: float


def encode_prompt(clip: Any, prompt: str, tokens: Sequence[int]) -> EncodedPrompt:
    """Encodes ``prompt`` and no text with ComfyUI's CLIP."""
    texts = tuple(text[0] for text, _ in clip.encode_from_tokens_scheduled(clip.tokenize(prompt)))
    (nothing, _), *_ = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    rows = torch.arange(texts[0].shape[0]) % nothing.shape[1]
    return EncodedPrompt(tuple(tokens), texts, nothing[0, rows])


@torch.no_grad()
def place_of(prompt: EncodedPrompt, conditioning: Tensor) -> Place | None:
    """Where ``conditioning``, (1, T, C), holds the prompt, or something made from it; None if it does not."""
    held, empty, words = conditioning[0].float().cpu(), prompt.empty.float().cpu(), list(prompt.tokens)
    best = None
    for text in (one.float().cpu() for one in prompt.texts):
        if held.shape[0] < text.shape[0] or held.shape[1] != text.shape[1]:
            continue
        offset = _best_offset(held, text)
        part = held[offset : offset + text.shape[0]]
        distance = 0.0
        if (part - text).norm() > EQUAL * text.norm():
            away = (part - text)[words].norm() / (empty - text)[words].norm().clamp_min(1e-12)
            distance = max(EQUAL, away.item())
        if distance < AKIN and (best is None or distance < best.distance):
            best = Place(offset, text.shape[0], distance)
    return best


def _best_offset(held: Tensor, text: Tensor) -> int:
    """Where along ``held``, (T, C), the shorter ``text`` differs least: |held|² − 2 held·text, summed over a window."""
    length, places = text.shape[0], held.shape[0] - text.shape[0] + 1
    norms = held.square().sum(1).unfold(0, length, 1).sum(1)
    products = held @ text.T
    likeness = torch.stack([products[place : place + length].trace() for place in range(places)])
    return int((norms - 2 * likeness).argmin())


def token_positions(clip: Any, text: str, phrase: str) -> tuple[int, ...]:
    """Where the tokens of ``phrase`` stand in the encoded ``text``, by the model's own tokenizers.

    Models with several have the phrase at several places. An embedding is as many tokens as it has vectors. What
    begins, ends and fills a row of tokens (77 in CLIP) is looked over, so that a phrase may lie across two rows; so is
    the sentence that a language model's tokenizer puts around the text.
    """
    rows, empty = _rows(clip, text), _rows(clip, "")
    found: set[int] = set()
    for run in family_of_clip(frozenset(rows)).runs(clip, rows):
        inner = partial(_inside, run, empty[run.tokenizer])
        standing = inner(rows[run.tokenizer])
        for said in (phrase, f" {phrase}") if run.wrapped else (phrase,):
            wanted = [token for _, token in inner(_rows(clip, said)[run.tokenizer])]
            names: dict[Hashable, int] = {}
            numbers = [names.setdefault(token, len(names)) for token in (*(one for _, one in standing), *wanted)]
            places = find_tokens(numbers[: len(standing)], numbers[len(standing) :])
            found |= {standing[i][0] + run.start for i in places}
    return tuple(sorted(found))


def _inside(run: Run, empty: Rows, rows: Rows) -> list[tuple[int, Hashable]]:
    """The text's own tokens of a tokenizer's rows, with their places along all of them; ``empty`` are no text's."""
    if run.wrapped:
        around, row = empty[0], rows[0]
        shortest = min(len(around), len(row))
        before = next((i for i in range(shortest) if around[i] != row[i]), shortest)
        behind = next((i for i in range(shortest - before) if around[-1 - i] != row[-1 - i]), shortest - before)
        return [(place, row[place]) for place in range(before, len(row) - behind)]
    special = {token for row in empty for token in row}
    found, start = [], 0
    for row in rows:
        inner = [place for place, token in enumerate(row) if token not in special]
        if inner:
            found += [(start + place, row[place]) for place in range(inner[0], inner[-1] + 1)]
        start += len(row)
    return found


def _rows(clip: Any, text: str) -> dict[str, Rows]:
    """Every tokenizer's rows of tokens as its encoder places them: embeddings of another width are left out there."""
    return {
        name: [_placed([weighted[0] for weighted in row], _width(clip, name)) for row in rows]
        for name, rows in clip.tokenize(text).items()
    }


def _placed(row: Sequence[Any], width: int | None) -> list[Hashable]:
    placed: list[Hashable] = []
    dropped = 0
    for token in row:
        value = token.get("data") if isinstance(token, dict) else token
        if not isinstance(value, Tensor):
            placed.append(value)
            continue
        vectors = value.detach().cpu().float().reshape(-1, value.shape[-1])
        if width is not None and value.shape[-1] != width:
            dropped += len(vectors)
        else:
            placed += [vector.numpy().tobytes() for vector in vectors]
    return placed + placed[-1:] * dropped  # the encoder fills the row up at its end


def _width(clip: Any, name: str) -> int | None:
    """Features of a token in the encoder that reads the rows called ``name``; None where it does not show them."""
    model = clip.cond_stage_model
    encoder = getattr(model, f"clip_{name}", None) or getattr(model, name, None)
    transformer = getattr(encoder, "transformer", None)
    if not hasattr(transformer, "get_input_embeddings"):
        return None
    return transformer.get_input_embeddings().weight.shape[-1]


class Words:
    """The conditionings of a sampling run in which an object's prompt is looked for, each once.

    Args:
        prompt: None takes positions as they are, in the first conditioning that acts.
        note: told where the prompt is not found as it is, but something made from it.
    """

    def __init__(self, prompt: EncodedPrompt | None, note: Callable[[str], None]):
        self.prompt, self.note = prompt, note
        self._places: dict[int, tuple[Tensor, Place | None]] = {}

    def place(self, text: Tensor | None) -> Place | None:
        """Where a conditioning's tensor, (B, T, C), holds the prompt; None if it does not, or is zeros."""
        if text is None:
            return None
        if id(text) not in self._places:
            self._places[id(text)] = text, self._look(text)  # kept, so that no other tensor gets its id
        return self._places[id(text)][1]

    def _look(self, text: Tensor) -> Place | None:
        if self.prompt is None:
            return Place(0, text.shape[1], 0.0)
        return place_of(self.prompt, text) if bool(text.any()) else None

    def choose(
        self, conditions: Sequence[dict[str, Any]], acting: Sequence[dict[str, Any]], level: Tensor
    ) -> dict[str, Any]:
        """Of the positive conditionings the one to read: of those that act and hold the prompt best, the first.

        Raises:
            SedicError: none acts, none holds it, or all are zeros.
        """
        if not acting:
            raise SedicError(f"No positive conditioning acts at sigma {level.item():.3g}; widen its timestep range.")
        held = [(place.distance, i) for i, c in enumerate(acting) if (place := self.place(c.get("cross_attn")))]
        if held:
            distance, chosen = min(held)
            if distance > 0:
                self.note(
                    "The positive conditioning is not what the prompt at Attention Guidance encodes to; its words are "
                    "taken to stand in the same places."
                )
                self.note = _silent
            return acting[chosen]
        if not any(bool(c["cross_attn"].any()) for c in conditions if "cross_attn" in c):
            raise SedicError(
                "The positive conditioning is zeros, in which no word has attention of its own; wire the encoded "
                "prompt, or unplug guidance."
            )
        if any(self.place(c.get("cross_attn")) for c in conditions):
            raise SedicError(
                f"The object's prompt does not act at sigma {level.item():.3g}, where guidance reads it; widen the "
                "timestep range of its conditioning, or raise t_prime."
            )
        raise SedicError(
            "The positive conditioning does not hold the prompt that Attention Guidance was given; encode the same "
            "text with the same CLIP for both."
        )


def _silent(_: str) -> None:
    pass
