"""Colours to sRGB, as a profile or the file's own numbers say; what cannot be obeyed is told or refused.

ICC profiles go through LittleCMS, Pillow's own; code points (PNG's cICP, AVIF's nclx), PNG's gAMA and cHRM, and
cameras' Adobe RGB without a profile are three primaries and a curve, and are computed here.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageCms, features

from .bounds import PictureError
from .containers import CodePoints, told_by_profile

STRIP = 1 << 20  # pixels that are computed at once
MOVED = 2  # levels: a profile that moves no colour by more is sRGB
LUMA = (0.299, 0.587, 0.114)  # shares of red, green and blue levels in it (ITU-R BT.601)
PAPER = 200  # level that white has at least under a profile which makes sense
D65, DCI, C = (0.3127, 0.3290), (0.314, 0.351), (0.310, 0.316)
SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # of profiles, and Pillow's mode for each


class Primaries(NamedTuple):
    """CIE 1931 x, y of white and of the three lights."""

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]


SRGB = Primaries(D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = Primaries(D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
# ITU-T H.273, table 2.
PRIMARIES = {
    1: SRGB,
    4: Primaries(C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: Primaries(D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: Primaries(D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Primaries(D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: Primaries(C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: Primaries(D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Primaries(DCI, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: Primaries(D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: Primaries(D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
# Table 3: the exponents; 0 is sRGB's own curve, which screens also use for what video cameras write (1, 6, 7, 14, 15).
GAMMAS = {1: 0.0, 4: 2.2, 5: 2.8, 6: 0.0, 7: 0.0, 8: 1.0, 13: 0.0, 14: 0.0, 15: 0.0, 17: 2.6}
UNSPECIFIED = 2


def to_srgb(base: Image.Image, info: dict[Any, Any], what: str) -> Image.Image:
    """A picture's colours as sRGB, mode RGB.

    Args:
        base: RGB, L, CMYK or LAB; or F, grey in 0 … 255.
        info: of the file: ``cicp``, ``icc_profile``, ``srgb``, ``gamma``, ``chromaticity``, ``adobe_rgb``. The first
            that there is counts, as PNG's standard has it.
        what: the picture's name, at the beginning of sentences.

    Raises:
        PictureError: the picture is HDR.
    """
    points = info.get("cicp")
    if points is not None and base.mode in ("RGB", "L", "F"):
        converted = _by_code_points(base, points, what)
        if converted is not None:
            return converted
    if "icc_profile" in info:
        converted = _by_profile(base, info["icc_profile"], what)
        if converted is not None:
            return converted
    elif base.mode in ("RGB", "L", "F") and "srgb" not in info:
        if "gamma" in info:
            return _by_png_gamma(base, info["gamma"], info.get("chromaticity"), what)
        if info.get("adobe_rgb"):
            return by_primaries(base, ADOBE_RGB, 563 / 256)
    if base.mode == "CMYK":
        _tell(f"{what} is CMYK without a profile that can be used: its colours are near the meant ones at best.")
    return _plain(base)


def by_primaries(base: Image.Image, primaries: Primaries, gamma: float) -> Image.Image:
    """Colours of other lights and another curve as sRGB; what sRGB has not is cut off. ``gamma`` 0 is sRGB's curve."""
    levels = np.arange(256) / 255
    power = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    light = levels**gamma if gamma else power
    if base.mode in ("L", "F"):
        grey = np.rint(255 * _srgb_curve(light))
        return _by_ramp(base, np.repeat(grey[:, None], 3, 1))
    matrix = (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)).astype(np.float32)
    table = light.astype(np.float32)
    return _in_strips(np.asarray(base), lambda rows: 255 * _srgb_curve(table[rows] @ matrix.T))


def to_xyz(primaries: Primaries) -> np.ndarray:
    """(3, 3): linear light of these primaries to CIE XYZ under D65, by Bradford's adaptation of white."""
    lights = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white, matrix = lights[:, 0], lights[:, 1:]
    matrix = matrix * np.linalg.solve(matrix, white)
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    there = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
    return np.linalg.inv(cones) @ np.diag((cones @ there) / (cones @ white)) @ cones @ matrix


def _require_sdr(points: CodePoints | None, what: str) -> None:
    if points is not None and points.hdr:
        raise PictureError(f"{what} is HDR ({points.hdr}); save an SDR copy of it, as sRGB.")


def _by_code_points(base: Image.Image, points: CodePoints, what: str) -> Image.Image | None:
    _require_sdr(points, what)
    if UNSPECIFIED in points[:2]:
        return None
    if points.primaries not in PRIMARIES or points.transfer not in GAMMAS or not points.full_range:
        kind = f"{points.primaries}, {points.transfer}{'' if points.full_range else ', narrow range'}"
        _tell(f"{what} has colours of a kind that is not known here (code points {kind}); read as sRGB.")
        return None
    primaries, gamma = PRIMARIES[points.primaries], GAMMAS[points.transfer]
    return _plain(base) if primaries == SRGB and gamma == 0 else by_primaries(base, primaries, gamma)


def _by_png_gamma(base: Image.Image, gamma: float, chromaticity: tuple[float, ...] | None, what: str) -> Image.Image:
    """PNG's gAMA, the exponent that the pixels were written with, and cHRM."""
    primaries = Primaries(*zip(chromaticity[::2], chromaticity[1::2], strict=True)) if chromaticity else SRGB
    flat = np.array(primaries)
    try:
        if not 0.05 < gamma < 20 or flat.min() < 0 or flat[:, 1].min() <= 0:
            raise np.linalg.LinAlgError
        to_xyz(primaries)
    except np.linalg.LinAlgError:
        _tell(f"{what} tells an impossible gamma or primaries ({gamma:g}); read as sRGB.")
        return _plain(base)
    near = np.abs(flat - np.array(SRGB)).max() < 0.005
    curve = 0.0 if abs(gamma * 2.2 - 1) < 0.05 else 1 / gamma  # 1/2.2 is how sRGB is told where there is no sRGB chunk
    return _plain(base) if near and curve == 0 else by_primaries(base, SRGB if near else primaries, curve)


def _by_profile(base: Image.Image, icc: bytes | None, what: str) -> Image.Image | None:
    """Through LittleCMS; None, and told, where the profile cannot be used."""
    _require_sdr(told_by_profile(icc or b""), what)  # LittleCMS would make a dark picture of it
    if not features.check("littlecms2"):
        _tell(f"{what} has a colour profile, which this Pillow cannot obey (it lacks LittleCMS); read as sRGB.")
        return None
    try:
        if not icc:
            raise ImageCms.PyCMSError("it cannot be unpacked")
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        mode = SPACES.get(space, space)
        if mode == "LAB" and base.mode == "LAB":
            return _plain(base)  # Lab says what colours are by itself
        if mode == "RGB" and base.mode in ("L", "F"):
            return _by_ramp(base, _through(profile, _ramp().convert("RGB")))
        if mode != {"F": "L"}.get(base.mode, base.mode):
            raise ImageCms.PyCMSError(f"it is for {space}, the picture {base.mode}")
        if mode == "L":
            return _by_ramp(base, _through(profile, _ramp()))
        _through(profile, Image.new(mode, (1, 1), (0, 0, 0, 0) if mode == "CMYK" else (255, 255, 255)))
        if mode == "RGB":
            probe = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), -1).reshape(18, -1, 3).astype(np.uint8)
            if (
                np.abs(_through(profile, Image.fromarray(probe)).reshape(probe.shape).astype(int) - probe).max()
                <= MOVED
            ):
                return base
        return ImageCms.applyTransform(base, _transform(profile, mode))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError) as error:
        _tell(f"{what} has a colour profile that cannot be used ({error}); read as if it had none.")
        return None


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")


def _through(profile: ImageCms.ImageCmsProfile, probe: Image.Image) -> np.ndarray:
    """A few colours, the brightest last, as sRGB, (N, 3).

    Raises:
        PyCMSError: white becomes dark: nobody meant that.
    """
    moved = ImageCms.applyTransform(probe, _transform(profile, probe.mode))
    assert moved is not None
    rows = np.asarray(moved).reshape(-1, 3)
    if rows[-1].min() < PAPER:
        raise ImageCms.PyCMSError("it makes white dark")
    return rows


def _ramp() -> Image.Image:
    return Image.fromarray(np.arange(256, dtype=np.uint8)[None])


def _by_ramp(base: Image.Image, ramp: np.ndarray) -> Image.Image:
    """Grey through a table, (256, 3): grey of more than eight bits between its rows."""
    levels = np.asarray(base)
    if base.mode == "L":
        return Image.fromarray(np.rint(ramp).astype(np.uint8)[levels])
    at = np.arange(256)
    planes = lambda rows: np.stack([np.interp(rows, at, ramp[:, c]) for c in range(3)], -1)  # noqa: E731
    return _in_strips(levels, planes)


def _in_strips(values: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    """Rows in bounded memory; ``compute`` gives levels in 0 … 255, with three channels."""
    result = np.empty((*values.shape[:2], 3), np.uint8)
    step = max(1, STRIP // values.shape[1])
    for top in range(0, len(values), step):
        levels = compute(values[top : top + step])
        result[top : top + step] = np.clip(levels + 0.5, 0, 255)
    return Image.fromarray(result)


def _srgb_curve(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _tell(note: str) -> None:
    warnings.warn(note, stacklevel=3)


def _plain(base: Image.Image) -> Image.Image:
    if base.mode == "F":
        return Image.fromarray(np.clip(np.asarray(base) + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
    return base.convert("RGB")
