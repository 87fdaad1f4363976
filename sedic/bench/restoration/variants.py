"""What is compared: a picture restored as by default, and with one thing changed.

Stages that two variants share are computed once: an object's stage does not depend on the objects behind it, nor the
last stage on anything but the reference, the picture so far and the overall text.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ...bitstream import SedicFile
from ...codec import Reference, decode, encode, pack, reference_of, reference_within, to_image, to_pixels
from ...reference.av1 import Av1
from ...restoration import stages
from ...restoration.settings import Settings
from ...semantics import Limits, Semantics
from .scenes import Scene

FEW_DETAIL_WORDS, FEW_OVERALL_WORDS = 10, 30  # rows 8 and 9 of the paper's Table V
GREY = 128


@dataclass(frozen=True)
class Result:
    """A variant's picture, (H, W, 3) uint8, and the bytes of the file that it came from."""

    pixels: np.ndarray
    bytes: int


@dataclass
class Case:
    """One picture's variants.

    Attributes:
        scene: the picture.
        donor: whose words it gets where words are swapped.
        models: that restore it.
        settings: of the decoder.
    """

    scene: Scene
    donor: Scene
    models: Any
    settings: Settings
    _finals: dict[tuple[int, str], np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _coded: dict[str, Reference] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def file(self) -> SedicFile:
        """The default file, read from its bytes."""
        return SedicFile.from_bytes(encode(self.scene.pixels, self.scene.semantics).to_bytes())

    @cached_property
    def reference(self) -> np.ndarray:
        """Its reference's picture."""
        return reference_of(self.file).picture()

    @cached_property
    def after(self) -> list[torch.Tensor]:
        """The reference, then the picture after each object, (1, 3, H, W) in [0, 1]."""
        start = to_image(self.reference)
        found = stages.decode(self.models, start, self.file.semantics, self.settings, "object")
        return [start, *(stage.image for stage in found)]

    def final(self, objects: int, overall: str) -> np.ndarray:
        """The last stage behind so many objects' stages."""
        key = min(objects, len(self.after) - 1), overall
        if key not in self._finals:
            start, so_far = self.after[0], self.after[key[0]]
            *_, last = stages.decode(self.models, start, Semantics(overall), self.settings, so_far=so_far)
            self._finals[key] = to_pixels(last.image)
        return self._finals[key]

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
        *_, last = decode(file, self.models, replace(self.settings, **changed))
        return to_pixels(last.image)


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
        file = encode(case.scene.pixels, Semantics(case.scene.semantics.overall), target_bpp=case.file.bits_per_pixel)
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
