"""The measure of it all: what came back beside what was sent."""

from __future__ import annotations

import json
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..sedic.bitstream import SedicFile
from ..sedic.errors import SedicError
from ..sedic.metrics.bits import spent
from ..sedic.metrics.fidelity import fidelity
from .images import kept_for_window, to_pixels
from .lists import each_picture
from .said import says
from .schema import schema
from .sockets import BitstreamSocket

CELL = 32  # pixels: more than a cell of any VAE


class QualityReport(io.ComfyNode):
    """Figures of a decoded picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_QualityReport",
            search_aliases=("psnr", "ssim", "bpp", "compare", "before after", "metrics"),
            says=True,
            display_name="Quality Report (SEDIC)",
            category="SEDIC/measure",
            description="Measures PSNR and MS-SSIM against the original and counts the file's bits; drag over the "
            "picture to compare.",
            is_output_node=True,
            is_input_list=True,
            inputs=[
                io.Image.Input("original", tooltip="The picture before encoding."),
                io.Image.Input("decoded", tooltip="What came back; it must have the original's size."),
                BitstreamSocket.Input(
                    "bitstream", optional=True, tooltip="The file; adds its bytes and bits per pixel to the report."
                ),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="The reference's picture: a second one to compare the decoded picture with.",
                ),
            ],
            outputs=[io.String.Output(display_name="report", tooltip="The figures as JSON.", is_output_list=True)],
        )

    @classmethod
    @each_picture("original", "decoded", "reference")
    def execute(
        cls, original: Tensor, decoded: Tensor, bitstream: SedicFile | None = None, reference: Tensor | None = None
    ) -> io.NodeOutput:
        check_sizes(original, decoded)
        figures: dict[str, Any] = rounded(fidelity(to_pixels(original), to_pixels(decoded)))
        if bitstream is not None:
            figures["bytes"] = bitstream.size
            figures["bpp"] = round(bitstream.bits_per_pixel, 5)
        pictures = {"original": original, "reference": reference, "decoded": decoded}
        kept = [kept_for_window(picture, name) for name, picture in pictures.items() if picture is not None]
        report = json.dumps(figures)
        parts = None if bitstream is None else spent(bitstream)
        return io.NodeOutput(report, ui=says(report, told=in_words(figures), parts=parts, compare=kept))


def check_sizes(original: Tensor, decoded: Tensor) -> None:
    """Refuses pictures of two sizes.

    Raises:
        SedicError: what is wrong, and what helps.
    """
    (high, wide), (height, width) = original.shape[1:3], decoded.shape[1:3]
    if (high, wide) != (height, width):
        cells = 0 <= height - high < CELL and 0 <= width - wide < CELL
        help = "a VAE decodes whole cells: cut it to the original's size with Image Crop, x and y 0" if cells else (
            "they must have the same size"
        )  # fmt: skip
        raise SedicError(f"The decoded picture is {width}×{height}, the original {wide}×{high}; {help}.")


def rounded(figures: dict[str, float | None]) -> dict[str, float | None]:
    """Figures with as many digits as mean something: a hundredth of a decibel, a ten-thousandth of a similarity."""
    digits = {"psnr": 2, "ms_ssim": 4}
    return {name: value if value is None else round(value, digits[name]) for name, value in figures.items()}


def in_words(figures: dict[str, Any]) -> str:
    """The figures as a person reads them, a line each."""
    psnr = "the pictures are equal" if figures["psnr"] is None else f"PSNR {figures['psnr']:.2f} dB"
    similar = "MS-SSIM: the picture is too small for it"
    if figures["ms_ssim"] is not None:
        similar = f"MS-SSIM {figures['ms_ssim']:.4f}"
    size = [f"{figures['bytes']} bytes, {figures['bpp']:.4f} bpp"] if "bytes" in figures else []
    return "\n".join([psnr, similar, *size])


NODES = [QualityReport]
