"""The long search writes the same stream as the quick one, of fewer bytes for as good a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d

from sedic.demo import PHOTOGRAPH
from sedic.metrics import psnr
from sedic.metrics.structure import WORTH, Structure
from sedic.progress import watched_by
from sedic.reference import codec_by_name
from sedic.reference.compact import anneal, search
from sedic.reference.compact.error import error_to
from sedic.reference.compact.transforms import PIXEL

QUALITY = 36
SIZE = (192, 128)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """The demo's photograph, (128, 192, 3) uint8."""
    with Image.open(PHOTOGRAPH) as image:
        return np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def written(photograph) -> bytes:
    return codec_by_name("compact-slow").encode(photograph, QUALITY)


@pytest.mark.processor
def test_it_takes_fewer_bytes_for_as_good_a_picture(photograph, written):
    quick = codec_by_name("compact")
    found = []
    for quality in range(QUALITY - 10, QUALITY + 11, 2):
        data = quick.encode(photograph, quality)
        found.append((len(data), psnr(photograph, quick.decode(data, SIZE, quality))))
    lengths, values = np.array(found).T
    # At one quality a choice falls some bytes and 0.1 dB either way: a line through all of them does not.
    slope, start = np.polyfit(values, np.log(lengths), 1)
    as_good = np.exp(start + slope * psnr(photograph, quick.decode(written, SIZE, QUALITY)))
    assert len(written) < 0.96 * as_good


def test_the_error_is_squares_and_where_there_is_room_what_of_ms_ssim_is_missing():
    random = np.random.default_rng(0)
    grey = np.kron(random.integers(0, 256, (12, 14)), np.ones((16, 16))) / PIXEL
    pixels = torch.from_numpy(grey).float().expand(1, 3, -1, -1)
    picture = pixels + 0.5 * torch.randn(1, 1, 192, 224, generator=torch.Generator().manual_seed(0))
    squares = (picture - pixels).square().sum((1, 2, 3))
    halved = [avg_pool2d(p, 2) * PIXEL + 127.5 for p in (pixels, picture)]
    missing = 1 - Structure(halved[0], finest=1)(halved[1])  # of equal colours the luma is one
    expected = 0.75 * squares + 0.25 * missing * WORTH / PIXEL**2 * pixels.numel()
    assert torch.allclose(error_to(pixels, 0.25)(picture), expected)
    narrow, shown = pixels[..., :160], picture[..., :160]
    assert torch.allclose(error_to(narrow, 0.25)(shown), (shown - narrow).square().sum((1, 2, 3)))
    both = torch.cat([pixels, picture])
    assert torch.allclose(error_to(both, 0.25)(both.flip(0))[1], expected, rtol=1e-4)


@pytest.fixture
def short(monkeypatch) -> None:
    monkeypatch.setattr(anneal, "STEPS", 4)


@pytest.mark.usefixtures("short")
def test_the_same_picture_gives_the_same_bytes_in_inference_mode_too(photograph):
    slow = codec_by_name("compact-slow")
    outside = slow.encode(photograph, QUALITY)
    with torch.inference_mode():
        assert slow.encode(photograph, QUALITY) == outside


@pytest.mark.usefixtures("short")
def test_large_pictures_are_searched_in_tiles(photograph, monkeypatch):
    whole, seen, inner = codec_by_name("compact-slow").encode(photograph, QUALITY), [], search.annealed

    def annealed(transforms, pixels, *others):
        seen.append(tuple(pixels.shape[2:]))
        return inner(transforms, pixels, *others)

    monkeypatch.setattr(search, "annealed", annealed)
    monkeypatch.setattr(search, "REFINED", (64, 32))
    tiled = codec_by_name("compact-slow").encode(photograph, QUALITY)
    assert len(seen) == anneal.ROUNDS * 6
    assert max(seen) <= (128, 128)
    assert abs(len(tiled) - len(whole)) < 0.06 * len(whole)


def test_whoever_waits_can_end_it_behind_any_step(photograph):
    told = []

    class EndedError(Exception):
        pass

    def watch(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        if what == "reference, round 1 of 3" and done == 2:
            raise EndedError

    with pytest.raises(EndedError), watched_by(watch):
        codec_by_name("compact-slow").encode(photograph, QUALITY)
    assert ("reference, round 1 of 3", 1, anneal.STEPS) in told
