"""How well a decoded picture keeps the original, what it cost, and a contact sheet to see it on."""

from __future__ import annotations

from .fidelity import MetricError, bits_per_pixel, ms_ssim, psnr
from .sheet import contact_sheet

__all__ = ["MetricError", "bits_per_pixel", "contact_sheet", "ms_ssim", "psnr"]
