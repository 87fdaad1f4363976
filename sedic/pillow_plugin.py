"""Pillow opens ``.sedic`` files: ``Image.open("x.sedic")`` is the reference, with the words in ``info``.

It writes them, too: ``image.save("x.sedic", words="red barn: weathered boards")`` is :func:`sedic.encode`.

Importing ``sedic`` registers it; Pillow has no entry points, so a program that is to open such files imports ``sedic``
once. The restoration by diffusion models is ``sedic decode``; here nothing but the reference's codec runs, and only
when pixels are asked for.
"""

from __future__ import annotations

import io
import json
import warnings
from typing import IO, Any

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


def _save(image: Image.Image, stream: IO[bytes], name: str | bytes) -> None:
    """What ``image.save`` calls; ``words``, ``reference`` and ``target_bpp`` go to :func:`sedic.encode`.

    A picture that was opened from a ``.sedic`` file keeps its words where none are given; its masks are gone.

    Raises:
        OSError: picture, words or budget cannot be used.
    """
    from .codec import encode
    from .errors import SedicError

    options = dict(image.encoderinfo)
    words = options.pop("words", None)
    if words is None and image.info.get("semantics"):
        words = image.info["semantics"]
        if isinstance(image, SedicImageFile) and any(o.mask is not None for o in image.sedic.semantics.objects):
            warnings.warn(
                "A .sedic file's words are kept and its masks are not; copy the file, or use sedic.encode.",
                stacklevel=4,
            )
    unknown = ", ".join(sorted(set(options) - {"reference", "target_bpp"}))
    if unknown:
        raise OSError(f"A .sedic file is saved with words, reference and target_bpp, not with {unknown}; leave it out.")
    try:
        stream.write(encode(image, words, **options).to_bytes())
    except SedicError as error:
        raise OSError(str(error)) from error  # what Pillow's callers catch


def register() -> None:
    """Tells Pillow; a second time changes nothing."""
    Image.register_open(FORMAT, SedicImageFile, lambda prefix: prefix.startswith(MAGIC))
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, ".sedic")
    Image.register_mime(FORMAT, "image/x-sedic")
