"""SEDIC: pictures as files of about a thousand bytes, restored object by object with diffusion models.

>>> import sedic
>>> sedic.Limits()
Limits(objects=3, name_words=6, detail_words=30, overall_words=50)
"""

import os

from . import pillow_plugin
from .bitstream import BitstreamError, Hints, SedicFile, StreamReader
from .codec import decode, encode, load_models, to_pixels
from .errors import SedicError
from .restoration.settings import Settings
from .semantics import Limits, SceneObject, Semantics

__version__ = "0.1.0"

pillow_plugin.register()


def open(path: str | os.PathLike[str]) -> SedicFile:
    """Reads a ``.sedic`` file, whole or cut.

    >>> import sedic, tempfile
    >>> path = tempfile.mkdtemp() + "/pond.sedic"
    >>> SedicFile(64, 64, codec_id=1, quality=18, reference=b"any", semantics=Semantics("A pond.")).write(path)
    >>> sedic.open(path).semantics.overall
    'A pond.'

    Raises:
        BitstreamError: it cannot be read, or is none; what is cut or damaged is told in ``missing``.
    """
    return SedicFile.read(path)


__all__ = [
    "BitstreamError",
    "Hints",
    "Limits",
    "SceneObject",
    "SedicError",
    "SedicFile",
    "Semantics",
    "Settings",
    "StreamReader",
    "decode",
    "encode",
    "load_models",
    "open",
    "to_pixels",
]
