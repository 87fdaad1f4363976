"""What is compared: a picture restored as by default, and with one thing changed.

Stages that two variants share are computed once: an object's stage does not depend on the objects behind it, nor the
last stage on anything but the reference, the picture so far and the overall text.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..bitstream import SedicFile
from ..codec import Reference, decode, encode, pack, reference_of, reference_within, to_image, to_pixels
from ..errors import SedicError
from ..reference import DEFAULT_CODEC
from ..reference.av1 import Av1
from ..restoration import stages
from ..restoration.settings import Settings
from ..semantics import Limits, Semantics
from .scenes import Scene

FEW_DETAIL_WORDS, FEW_OVERALL_WORDS = 10, 30  # rows 8 and 9 of the paper's Table V
GREY = 128


@dataclass(frozen=True)
class Result:
    """A variant's picture, (H, W, 3) uint8, and the bytes of the file that it came from."""

    pixels: np.ndarray
    bytes: int


@dataclass(frozen=True)
class Coding:
    """How a picture becomes a file; see :func:`sedic.codec.encode`."""

    reference: str = DEFAULT_CODEC
    target_bpp: float | None = None
    weights: Path | None = None


@dataclass
class Case:
    """One picture's variants.

    Attributes:
        scene: the picture.
        donor: whose words it gets where words are swapped.
        models: that restore it.
        settings: of the decoder.
        coding: how it becomes a file.
        given: its file, where there is one already.
        seconds: what each thing took so far: ``encode``, ``reference``, each object, ``final``.
    """

    scene: Scene
    donor: Scene | None
    models: Any
    settings: Settings
    coding: Coding = Coding()
    given: SedicFile | None = None
    seconds: dict[str, float] = field(default_factory=dict, init=False)
    _finals: dict[tuple[int, str], np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _coded: dict[str, Reference] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def file(self) -> SedicFile:
        """The file, read from its bytes."""
        if self.given is not None:
            return self.given
        with self._timed("encode"):
            coding = self.coding
            file = encode(self.scene.pixels, self.scene.semantics, coding.reference, target_bpp=coding.target_bpp,
                          models=coding.weights)  # fmt: skip
            data = file.to_bytes()
        return SedicFile.from_bytes(data)

    @cached_property
    def reference(self) -> np.ndarray:
        """Its reference's picture."""
        file = self.file
        with self._timed("reference"):
            return reference_of(file).picture(self.coding.weights)

    @cached_property
    def after(self) -> list[torch.Tensor]:
        """The reference, then the picture after each object, (1, 3, H, W) in [0, 1]."""
        found = [to_image(self.reference)]
        stages_of = stages.decode(self.models, found[0], self.file.semantics, self.settings, "object")
        started = time.monotonic()
        for stage in stages_of:
            found.append(stage.image.cpu())  # waits for the device
            self.seconds[stage.name], started = time.monotonic() - started, time.monotonic()
        return found

    def final(self, objects: int, overall: str) -> np.ndarray:
        """The last stage behind so many objects' stages."""
        key = min(objects, len(self.after) - 1), overall
        if key not in self._finals:
            start, so_far = self.after[0], self.after[key[0]]
            started = time.monotonic()
            *_, last = stages.decode(self.models, start, Semantics(overall), self.settings, so_far=so_far)
            self._finals[key] = to_pixels(last.image)
            self.seconds["final"] = time.monotonic() - started
        return self._finals[key]

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - started

    def coded(self, codec: str) -> Reference:
        """The best reference by a codec of at most the bytes that ``av1`` may use by default."""
        if codec not in self._coded:
            av1, (height, width) = Av1(), self.scene.pixels.shape[:2]
            budget = av1.most_bytes(av1.default_quality, (width, height))
            self._coded[codec] = reference_within(self.scene.pixels, codec, budget)
        return self._coded[codec]

    def saying(self, semantics: Semantics) -> SedicFile:
        """The default file with these words and masks instead, read from its bytes."""
        return SedicFile.from_bytes(replace(self.file, semantics=semantics).to_bytes())

    def decoded(self, file: SedicFile, **changed: Any) -> np.ndarray:
        """The final picture of a file, with some settings changed."""
        settings = replace(self.settings, **changed)
        started = time.monotonic()
        *_, last = decode(file, self.models, settings, weights=self.coding.weights)
        pixels = to_pixels(last.image)
        self.seconds["decode"] = time.monotonic() - started
        return pixels


def _reference(case: Case) -> Result:
    return Result(case.reference, bytes_of(case.saying(Semantics())))


def _full(case: Case) -> Result:
    semantics = case.file.semantics
    return Result(case.final(len(semantics.objects), semantics.overall), bytes_of(case.file))


def _part(objects: int, overall: bool) -> Callable[[Case], Result]:
    def make(case: Case) -> Result:
        whole = case.scene.semantics
        said = Semantics(whole.overall if overall else "", tuple(whole.objects[:objects]))
        return Result(case.final(objects, said.overall), bytes_of(case.saying(said)))

    return make


def _unguided(case: Case) -> Result:
    return Result(case.decoded(case.file, guide=False), bytes_of(case.file))


def _equal_bytes(case: Case) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of words that the budget leaves out
        words, codec = Semantics(case.scene.semantics.overall), case.coding.reference.partition(":")[0]
        file = encode(case.scene.pixels, words, codec, target_bpp=case.file.bits_per_pixel, models=case.coding.weights)
    return Result(case.decoded(SedicFile.from_bytes(file.to_bytes())), bytes_of(file))


def _by(codec: str, decoded: bool) -> Callable[[Case], Result]:
    """The default file with its reference by ``codec``, see :meth:`Case.coded`: its picture, or the restored one."""

    def make(case: Case) -> Result:
        reference = case.coded(codec)
        file = SedicFile.from_bytes(pack(reference, case.file.semantics).to_bytes())
        pixels = case.decoded(file) if decoded else reference.picture()
        return Result(pixels, bytes_of(file))

    return make


def swapped_words(scene: Scene, donor: Scene) -> Semantics:
    """The scene's masks with the donor's words; a donor with fewer objects lends each of its several times."""
    lent = donor.semantics.objects
    objects = tuple(
        replace(o, name=lent[j % len(lent)].name, detail=lent[j % len(lent)].detail) if lent else o
        for j, o in enumerate(scene.semantics.objects)
    )
    return Semantics(donor.semantics.overall, objects)


def _swapped(case: Case) -> Result:
    assert case.donor is not None
    file = case.saying(swapped_words(case.scene, case.donor))
    return Result(case.decoded(file), bytes_of(file))


def _no_reference(case: Case) -> Result:
    grey = torch.full((1, 3, *case.scene.pixels.shape[:2]), GREY / 255)
    colourless = replace(case.settings, color_fix=False)
    *_, last = stages.decode(case.models, grey, case.file.semantics, colourless)
    return Result(to_pixels(last.image), bytes_of(case.file) - len(case.file.reference or b""))


def _limited(**limits: int) -> Callable[[Case], Result]:
    def make(case: Case) -> Result:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of words that are cut, here on purpose
            said = case.scene.semantics.limited(Limits(**limits))
        file = case.saying(said)
        if [o.detail for o in said.objects] == [o.detail for o in case.scene.semantics.objects]:
            return Result(case.final(len(said.objects), said.overall), bytes_of(file))
        return Result(case.decoded(file), bytes_of(file))

    return make


def bytes_of(file: SedicFile) -> int:
    """Bytes of the whole file."""
    return len(file.to_bytes())


SWAPPED = "swapped words"
CODECS = ("av1", "compact")  # that can stand behind the reference without anybody's weights
VARIANTS: dict[str, Callable[[Case], Result]] = {
    "reference": _reference,
    "final": _full,
    "unguided": _unguided,
    SWAPPED: _swapped,
    "equal bytes, no objects": _equal_bytes,
    "row 1": _part(0, True),
    "row 2": _part(1, True),
    "row 3": _part(1, False),
    "row 4": _part(2, False),
    "row 5": _part(3, False),
    "row 7": _no_reference,
    "row 8": _limited(detail_words=FEW_DETAIL_WORDS),
    "row 9": _limited(overall_words=FEW_OVERALL_WORDS),
    **{f"{codec} {what}": _by(codec, what == "final") for codec in CODECS for what in ("reference", "final")},
}
"""By name; the rows are the paper's Table V, whose row 6 is the default."""

GROUPS: dict[str, tuple[str, ...]] = {
    "main": ("reference", "final"),
    "words": ("reference", "final", SWAPPED),
    "guidance": ("reference", "final", "unguided"),
    "objects": ("reference", "final", "equal bytes, no objects"),
    "contents": ("reference", "final", *(f"row {n}" for n in (1, 2, 3, 4, 5, 7, 8, 9))),
    "references": tuple(f"{codec} {what}" for codec in CODECS for what in ("reference", "final")),
}


STEPS = "steps "


def made(name: str, case: Case) -> Result:
    """A variant by its name: one of :data:`VARIANTS`, or ``steps OBJECT,OVERALL``.

    Raises:
        SedicError: it cannot be made of this picture.
    """
    if not name.startswith(STEPS):
        return VARIANTS[name](case)
    objects, overall = steps_of(name.removeprefix(STEPS))
    return Result(case.decoded(case.file, object_steps=objects, overall_steps=overall), bytes_of(case.file))


def steps_of(text: str) -> tuple[int, int]:
    """The two numbers of ``OBJECT,OVERALL``.

    Raises:
        SedicError: they are not two, or not above 0.
    """
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise SedicError(f"{text!r} names no steps; write steps an object and for the whole, say 10,20.")
    return int(parts[0]), int(parts[1])


def chosen(groups: Sequence[str]) -> list[str]:
    """The variants of these groups, each once, in the order of :data:`VARIANTS`."""
    wanted = {name for group in groups for name in GROUPS[group]}
    return [name for name in VARIANTS if name in wanted]


def donors(scenes: Sequence[Scene]) -> Iterator[Scene]:
    """For each scene the next one whose words differ and which has as many objects, or the next one at all."""
    for place, scene in enumerate(scenes):
        others = [*scenes[place + 1 :], *scenes[:place]]
        enough = [o for o in others if len(o.semantics.objects) >= len(scene.semantics.objects)]
        yield (enough or others or [scene])[0]
