"""How the papers prepare their pictures: figures compare only where this is the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ..errors import SedicError
from ..semantics import Semantics


@dataclass(frozen=True)
class Protocol:
    """A set of pictures and what is done to them first.

    Attributes:
        name: what ``--protocol`` calls it.
        title: of the set.
        pictures: how many the set has; 0 where it is the person's own.
        square: pixels that the shorter side is resized to, Lanczos, before as large a square is cut from the middle; 0
            leaves pictures as they are.
    """

    name: str
    title: str
    pictures: int = 0
    square: int = 0

    def told(self, count: int) -> str:
        """The protocol of so many pictures, for people."""
        parts = [self.title]
        parts.append(f"{count} of the set's {self.pictures} pictures" if self.pictures else f"{count} pictures")
        parts.append(
            f"shorter side {self.square}, middle {self.square}×{self.square}" if self.square else "as they are"
        )
        return ", ".join(parts)

    def prepared(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """A picture, (H, W, 3) uint8, as the protocol has it.

        Raises:
            SedicError: it is too small.
        """
        box, size = self._box(pixels.shape[1], pixels.shape[0], name)
        if box is None:
            return pixels
        picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
        return np.asarray(picture.crop(box))

    def prepared_words(self, semantics: Semantics, size: tuple[int, int], name: str) -> Semantics:
        """Words whose masks, of ``size`` (width, height), follow the picture."""
        box, to = self._box(*size, name)
        if box is None:
            return semantics
        objects = []
        for o in semantics.objects:
            if o.mask is not None:
                mask = Image.fromarray(o.mask).resize(to, Image.Resampling.NEAREST).crop(box)
                o = replace(o, mask=np.asarray(mask) if np.asarray(mask).any() else None)
            objects.append(o)
        return replace(semantics, objects=tuple(objects))

    def _box(self, width: int, height: int, name: str) -> tuple[tuple[int, int, int, int] | None, tuple[int, int]]:
        """What is cut out of the resized picture, and its size; None where nothing is done."""
        if not self.square or (width, height) == (self.square, self.square):
            return None, (width, height)
        if min(width, height) < self.square:
            raise SedicError(
                f"{name} is {width}×{height} and protocol {self.name} needs a shorter side of {self.square} pixels; "
                "give the original photographs, or take --protocol folder."
            )
        scale = self.square / min(width, height)
        to = max(self.square, round(width * scale)), max(self.square, round(height * scale))
        left, top = (to[0] - self.square) // 2, (to[1] - self.square) // 2
        return (left, top, left + self.square, top + self.square), to


FOLDER = "folder"
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(FOLDER, "Own pictures"),
        Protocol("kodak", "Kodak", 24),
        Protocol("clic768", "CLIC2020 test at 768", 428, 768),
        Protocol("clic-full", "CLIC2020 test at full size", 428),
        Protocol("div2k768", "DIV2K validation at 768", 100, 768),
        Protocol("voc100", "PASCAL VOC, 100 pictures", 100),
        Protocol("animals100", "Animals-10, 100 pictures", 100),
    )
}
"""By name; the first is the default."""
