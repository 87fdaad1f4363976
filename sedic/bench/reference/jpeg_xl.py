"""JPEG XL's codestream, without a container, from libjxl at its highest effort."""

from __future__ import annotations

import io
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

from ...errors import SedicError
from .rivals import Coded


class JpegXl:
    """libjxl through Pillow's plugin; a step of the quantiser is a step of its quality."""

    name = "jxl"
    quantisers = tuple(range(72, -1, -3))  # 0 is distance 25, the largest there is
    least_side = 16

    def __init__(self, efforts: tuple[int, ...] = (7, 10)) -> None:
        """``efforts``: libjxl's, of which the best is taken.

        Raises:
            SedicError: the plugin is not installed.
        """
        try:
            self._plugin: Any = import_module("pillow_jxl")
        except ImportError as error:
            raise SedicError(f'JPEG XL is coded by pillow-jxl-plugin ({error}): pip install "sedic[bench]".') from error
        self.variants = tuple(map(str, efforts))

    @property
    def version(self) -> str:
        """Of what decides the bytes."""
        return f"pillow-jxl-plugin {version('pillow-jxl-plugin')} {self.variants}"

    def code(self, picture: Image.Image, quantiser: float, variant: str) -> Coded:
        """An RGB picture at a quality and an effort: bytes of its codestream, and the picture that comes back."""
        encode = self._plugin.Encoder(
            mode="RGB", lossless=False, quality=quantiser, decoding_speed=0, effort=int(variant),
            use_container=False, use_original_profile=False, num_threads=0,
        )  # fmt: skip
        stream = encode(picture.tobytes(), *picture.size, jpeg_encode=False)
        with Image.open(io.BytesIO(stream)) as decoded:
            return Coded(len(stream), Image.fromarray(np.asarray(decoded.convert("RGB"))))
