"""Pictures to ``.sedic`` files, with words and masks from wherever they come; models are loaded once."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import codec
from ..bitstream import SedicFile, mask, text
from ..picture import read_picture
from ..reference.registry import DEFAULT_CODEC, parse_reference
from ..semantics import Limits, Semantics
from ..understanding.masks.locate import BOX_THRESHOLD, SEVERAL, TEXT_THRESHOLD
from ..understanding.words.conversation import Provider, Turn, Watch
from ..understanding.words.endpoints import Endpoint
from .pace import Pace
from .work import Made, files_fingerprint

MEMORY = 1 << 30  # bytes of a worker with the shipped codec
EYES = 1 << 29  # more, where models look at the picture


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded, as the options of ``sedic encode`` say it; see :func:`sedic.codec.encode`.

    Attributes:
        limits: most objects and words.
        reference: ``NAME[:QUALITY]``.
        target_bpp: of the whole file; None takes the reference's quality as it is.
        typed: words, the same for every picture; None where none were typed.
        endpoint: whom to ask for words; None asks nobody.
        auto: whether the embedded eyes look.
        ask_again: whether also where an answer is kept.
        answers: most answers that are kept.
        detector: finds objects that have no mask; likewise the thresholds and ``several`` of :func:`.locate.locate`.
        segmenter: outlines them.
        masks: cells and smoothing.
        weights: folder of reference codecs' weights.
        pace: of questions to the endpoint, for all workers together.
    """

    limits: Limits = Limits()
    reference: str = DEFAULT_CODEC
    target_bpp: float | None = None
    typed: str | None = None
    endpoint: Endpoint | None = None
    auto: bool = False
    ask_again: bool = False
    answers: int | None = None
    detector: Path | None = None
    segmenter: Path | None = None
    box_threshold: float | None = None
    text_threshold: float | None = None
    several: str | None = None
    masks: mask.MaskChoice = mask.MaskChoice()
    weights: Path | None = None
    pace: Pace | None = None
    command: str = "encode"

    def begin(self, device: str = "cpu") -> Encoder:
        """See :class:`.work.Work`."""
        encoder = Encoder(self, device)
        encoder.load()
        return encoder

    def settings(self) -> Mapping[str, Any]:
        """See :class:`.work.Work`."""
        folder = self.endpoint.folder if self.endpoint else None
        reference, quality = parse_reference(self.reference, self.weights)
        names = ("target_bpp", "typed", "auto", "ask_again", "box_threshold", "text_threshold", "several")
        return {
            **{name: getattr(self, name) for name in names},
            "limits": vars(self.limits),
            "masks": vars(self.masks),
            "endpoint": self.endpoint.identity if self.endpoint else None,
            "reference": [reference.name, quality, reference.fingerprint(quality).hex()],
            "coders": [text.CODERS.default, mask.CODERS.default],
            "models": files_fingerprint(self.detector, self.segmenter, folder),
        }

    def memory(self) -> int:
        """See :class:`.work.Work`."""
        folder = self.endpoint.folder if self.endpoint else None
        looks = EYES if self.auto or self.detector or self.segmenter else 0
        return MEMORY + looks + 2 * sum(map(size_of, (self.detector, self.segmenter, folder)))

    def spread(self, workers: int) -> Encoding:
        """See :class:`.work.Work`: of the endpoint's pace each gets its part."""
        per_minute = self.endpoint.requests_per_minute if self.endpoint else 0
        return replace(self, pace=Pace(per_minute / workers) if per_minute else None)


class Encoder:
    """Encodes pictures as an :class:`Encoding` says; models are loaded when they are first needed, once."""

    def __init__(self, how: Encoding, device: str = "cpu") -> None:
        """``device``: of local models, as PyTorch names it."""
        self.how, self.device = how, device

    def load(self) -> None:
        """Loads what every picture needs.

        Raises:
            SedicError: it cannot be used.
        """
        codec.check_request(self.how.reference, self.how.target_bpp, self.how.weights)
        if self.how.endpoint:
            _ = self.provider
        if self.how.detector:
            _ = self.detector
        if self.how.segmenter and (self.how.detector or self.how.auto):
            _ = self.segmenter

    def make(self, source: io.BytesIO, semantics: Path | None) -> Made:
        """See :class:`.work.Maker`."""
        image = read_picture(source)
        file = self.packed(image, self.located(image, self.words(image, semantics)))
        return Made(data := file.to_bytes(), len(data), file.width, file.height)

    def words(self, image: np.ndarray, semantics: Path | None = None) -> Semantics:
        """What a picture, (H, W, 3) uint8, shows, from wherever the options say."""
        how = self.how
        if semantics:
            return Semantics.read(semantics, (image.shape[1], image.shape[0])).limited(how.limits)
        if how.typed is not None:
            from ..understanding.words.textualize import typed

            return typed(how.typed).limited(how.limits)
        if how.endpoint:
            from ..understanding.words.memory import MOST, AnswerCache
            from ..understanding.words.textualize import textualize

            memory = AnswerCache(ask_again=how.ask_again, most=max(MOST, how.answers or 0))
            return textualize(image, self.provider, how.limits, memory=memory)
        return self._seen(image) if how.auto else Semantics()

    def located(self, image: np.ndarray, semantics: Semantics) -> Semantics:
        """Masks for the objects that have none, where a detector was named; otherwise a note for each of them."""
        how = self.how
        if how.detector and any(o.mask is None for o in semantics.objects):
            from ..understanding.masks.locate import locate

            found = locate(
                image,
                semantics,
                self.detector,
                self.segmenter,
                box_threshold=BOX_THRESHOLD if how.box_threshold is None else how.box_threshold,
                text_threshold=TEXT_THRESHOLD if how.text_threshold is None else how.text_threshold,
                several=how.several or SEVERAL[0],
            )
            semantics = found.semantics
            for note in found.notes:
                warnings.warn(note, stacklevel=2)
        for o in semantics.objects:
            if o.mask is None:
                warnings.warn(
                    f"{o.name!r} has no mask, so its stage will be skipped; add one, or name a --detector.",
                    stacklevel=2,
                )
        return semantics

    def packed(self, image: np.ndarray, semantics: Semantics) -> SedicFile:
        """The file of a picture and its semantics."""
        how = self.how
        file = codec.encode(
            image, semantics, how.reference, how.limits, how.target_bpp, models=how.weights, masks=how.masks
        )
        if not file.semantics.overall and not file.semantics.objects:
            warnings.warn(
                "The file holds no words, so nothing but the reference says what the picture shows; give some with "
                "--words, --words-file, --semantics, --endpoint or --auto.",
                stacklevel=2,
            )
        return file

    def _seen(self, image: np.ndarray) -> Semantics:
        """What the embedded eyes are sure of; what they found and left out is noted."""
        from ..understanding.embedded.look import look

        seen = look(image, self.how.limits, self.segmenter)
        for note in seen.notes:
            warnings.warn(note, stacklevel=2)
        return seen.semantics

    @cached_property
    def provider(self) -> Provider:
        """Who is asked for words."""
        from ..understanding.words.textualize import provider_of

        assert self.how.endpoint is not None
        provider = provider_of(self.how.endpoint, self.device)
        return _Paced(provider, self.how.pace.wait) if self.how.pace else provider

    @cached_property
    def detector(self) -> Any:
        """Finds objects by their names."""
        from ..understanding.masks.grounding import load_detector

        assert self.how.detector is not None
        detector = load_detector(self.how.detector)
        detector.model.to(self.device)
        return detector

    @cached_property
    def segmenter(self) -> Any:
        """Outlines boxes; None where none was named, and GrabCut does."""
        if self.how.segmenter is None:
            return None
        from ..understanding.masks.segment import load_segmenter

        segmenter = load_segmenter(self.how.segmenter)
        segmenter.model.to(self.device)
        return segmenter


@dataclass(frozen=True)
class _Paced:
    """A provider that waits for its turn before every question."""

    provider: Provider
    wait: Callable[[], None]

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def identity(self) -> str:
        return self.provider.identity

    def answer(self, picture: Image.Image, turns: Sequence[Turn], seed: int, tokens: int, watch: Watch) -> str:
        self.wait()
        return self.provider.answer(picture, turns, seed, tokens, watch)


def size_of(path: Path | None) -> int:
    """Bytes of a file, or of all files in a folder; 0 of what is not there."""
    if path is None:
        return 0
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.exists())
