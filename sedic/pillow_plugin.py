"""Pillow opens ``.sedic`` files: ``Image.open("x.sedic")`` is the reference, with the words in ``info``.

Importing ``sedic`` registers it; Pillow has no entry points, so a program that is to open such files imports ``sedic``
once. The restoration by diffusion models is ``sedic decode``; here nothing but the reference's codec runs, and only
when pixels are asked for.
"""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image, ImageFile

from .bitstream import BitstreamError, SedicFile
from .bitstream.container import MOST_FILE
from .bitstream.header import MAGIC

FORMAT = "SEDIC"


class SedicImageFile(ImageFile.ImageFile):
    """A ``.sedic`` file as Pillow shows it, RGB.

    Attributes:
        info: ``semantics`` (the Semantics JSON as dicts and lists), ``missing`` (one sentence, where the file is cut or
            damaged).
        sedic: the file itself, for masks and the rest.
    """

    format = FORMAT
    format_description = "SEDIC semantic image"
    sedic: SedicFile

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read(MOST_FILE)
        try:
            self.sedic = SedicFile.from_bytes(data)
        except BitstreamError as error:
            raise SyntaxError(str(error)) from error  # what Pillow expects of a file that is none
        self._size = self.sedic.width, self.sedic.height
        self._mode = "RGB"
        self.info["semantics"] = json.loads(self.sedic.semantics.to_json())
        if self.sedic.missing:
            self.info["missing"] = self.sedic.missing
        self.tile = [("raw", (0, 0, *self._size), 0, self.mode)]  # type: ignore[list-item]

    def load(self) -> Any:
        """Decodes the reference, once.

        Raises:
            OSError: it has not arrived, is damaged, or needs weights that are not here.
        """
        if self.tile:
            from .codec import reference_of
            from .errors import SedicError

            try:
                pixels = reference_of(self.sedic).picture()
            except SedicError as error:
                raise OSError(str(error)) from error  # what Pillow's callers catch
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = io.BytesIO(pixels.tobytes())
        return super().load()


def register() -> None:
    """Tells Pillow; a second time changes nothing."""
    Image.register_open(FORMAT, SedicImageFile, lambda prefix: prefix.startswith(MAGIC))
    Image.register_extension(FORMAT, ".sedic")
    Image.register_mime(FORMAT, "image/x-sedic")
