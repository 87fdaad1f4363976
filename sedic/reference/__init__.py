"""The image codecs behind the reference: one file each, one registry.

``registry.py`` says what a codec promises and finds it by name or number; ``av1`` (with ``obu.py``, the bytes
around an AV1 frame) needs no weights and is the default; ``cheng2020.py`` is the paper's, with weights of the user's.

>>> import numpy as np
>>> codec, quality = parse_reference("av1:100")
>>> picture = np.zeros((96, 128, 3), np.uint8) + np.arange(128, dtype=np.uint8)[:, None]
>>> data = codec.encode(picture, quality)
>>> len(data) * 8 <= 0.100 * 96 * 128
True
>>> codec.decode(data, (128, 96), quality).shape
(96, 128, 3)
"""

from __future__ import annotations

from .registry import (
    DEFAULT_CODEC,
    CodecError,
    ReferenceCodec,
    check_quality,
    codec_by_id,
    codec_by_name,
    codec_names,
    parse_reference,
)

__all__ = [
    "DEFAULT_CODEC",
    "CodecError",
    "ReferenceCodec",
    "check_quality",
    "codec_by_id",
    "codec_by_name",
    "codec_names",
    "parse_reference",
]
