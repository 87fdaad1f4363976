"""How large a picture may be, and the error for one that cannot be used."""

from __future__ import annotations

from ..errors import SedicError

MOST_SIDE = 1 << 14
MOST_PIXELS = 1 << 26


class PictureError(SedicError):
    """A picture or a mask cannot be read or written."""


def require_size(what: str, width: int, height: int) -> None:
    """Called before anything is decoded: a file of a few bytes may claim any size.

    Raises:
        PictureError: no file holds such a picture.
    """
    if width < 1 or height < 1:
        raise PictureError(f"{what} is {width}×{height}, which is no picture; save it again.")
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise PictureError(
            f"{what} is {width}×{height}; sides of at most {MOST_SIDE} and {MOST_PIXELS} pixels in all fit, make it "
            "smaller."
        )
