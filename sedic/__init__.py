"""SEDIC: pictures as files of about a thousand bytes, restored object by object with diffusion models.

>>> import sedic
>>> sedic.Limits()
Limits(objects=3, name_words=6, detail_words=30, overall_words=50)
"""

from .bitstream import BitstreamError, Hints, SedicFile
from .codec import decode, encode, load_models
from .errors import SedicError
from .semantics import Limits, SceneObject, Semantics

__version__ = "0.1.0"

__all__ = [
    "BitstreamError",
    "Hints",
    "Limits",
    "SceneObject",
    "SedicError",
    "SedicFile",
    "Semantics",
    "decode",
    "encode",
    "load_models",
]
