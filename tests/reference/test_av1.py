"""The AV1 reference keeps its budget, comes back, and tells damage from a picture."""

from __future__ import annotations

import base64
import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from sedic.demo import PHOTOGRAPH
from sedic.metrics import psnr
from sedic.reference import CodecError, codec_by_name, obu
from sedic.reference import av1 as av1_module
from sedic.reference.av1 import search, stream

# A 32×24 ramp written by this codec (Pillow 13.0, libaom 3.14.1): the shrinking factor, the switches, the frame.
GOLDEN = base64.b64decode("ATYTwAAAQKGAADgo+ETcy9ZeCfrTkwWhjFydVfDBuD1UCM9kC4I0NYL+VerkSfWQ4rYcVstjH/zK3/vW0iXtY2A=")


@pytest.fixture(scope="module")
def codec():
    return codec_by_name("av1")


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """The demo's photograph at a quarter of its size, (100, 150, 3) uint8: quick."""
    with Image.open(PHOTOGRAPH) as image:
        return np.asarray(image.convert("RGB").resize((150, 100), Image.Resampling.LANCZOS))


def ramp(width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = 255 * columns / (width - 1), 255 * rows / (height - 1)
    return np.stack([red, green, 128 + 0 * red], 2).astype(np.uint8)


@pytest.fixture(scope="module")
def encoded(by_quality) -> bytes:
    return by_quality[100]


@pytest.fixture(scope="module")
def by_quality(codec, photograph) -> dict[int, bytes]:
    return {quality: codec.encode(photograph, quality) for quality in (40, 100, 255)}


def test_bytes_never_exceed_the_budget_and_use_most_of_it(photograph, by_quality):
    for quality, data in by_quality.items():
        budget = quality / 1000 * photograph.shape[0] * photograph.shape[1] / 8
        assert 0.7 * budget < len(data) <= budget


def test_more_budget_gives_a_better_picture(codec, photograph, by_quality):
    values = [psnr(photograph, codec.decode(data, (150, 100), quality)) for quality, data in by_quality.items()]
    assert values == sorted(values)
    assert values[0] > 18
    assert values[2] > 25


def test_slow_search_finds_a_better_picture_within_the_same_budget(codec, photograph, by_quality):
    slow = codec_by_name("av1-slow").encode(photograph, 100)
    assert len(slow) <= 100 * 150 * 100 // 8000
    slow, quick = (psnr(photograph, codec.decode(data, (150, 100), 100)) for data in (slow, by_quality[100]))
    assert slow > quick + 0.05


@pytest.mark.parametrize("start", [0, 20, 63])
@pytest.mark.parametrize("budget", [0, 50, 300, 900, 10**6])
def test_finest_quantiser_within_the_budget_is_found_from_anywhere_and_in_few_steps(start, budget):
    tried = []

    def code(quantiser: int) -> bytes:
        tried.append(quantiser)
        return bytes(max(1, round(4000 * np.exp(-0.06 * quantiser) - 2 * (quantiser % 3))))

    fitting = [q for q in range(64) if len(code(q)) <= budget]
    tried.clear()
    quantiser, data = search._fit(code, budget, start)
    assert len(tried) <= 12
    assert (quantiser, len(data)) == ((fitting[0], len(code(fitting[0]))) if fitting else (64, 0))


@pytest.mark.parametrize("size", [(16, 16), (17, 131), (131, 17), (97, 64)])
def test_any_size_comes_back_at_its_own_size(codec, monkeypatch, size):
    # tiny pictures need more bits a pixel than any quality grants; the sizes are what is tested here
    monkeypatch.setattr(av1_module.Av1, "qualities", range(1, 8001))
    picture = ramp(*size)
    decoded = codec.decode(codec.encode(picture, 4000), size, 4000)
    assert decoded.shape == picture.shape
    assert decoded.dtype == np.uint8
    assert psnr(picture, decoded) > 20


def test_frame_loses_nothing_when_its_container_is_stripped_and_rebuilt(photograph):
    for width, height in [(150, 100), (17, 33), (1, 1)]:
        buffer = io.BytesIO()
        Image.fromarray(photograph).resize((width, height)).save(
            buffer, "AVIF", quality=60, subsampling="4:4:4", codec="aom"
        )
        header, frame = obu.strip_avif(buffer.getvalue())
        rebuilt = obu.build_avif(obu.SequenceHeader.from_flags(width, height, header.flags), frame)
        with Image.open(io.BytesIO(buffer.getvalue())) as a, Image.open(io.BytesIO(rebuilt)) as b:
            assert np.array_equal(np.asarray(a), np.asarray(b))


def test_golden_bytes_of_version_1_stay_readable(codec):
    assert psnr(ramp(32, 24), codec.decode(GOLDEN, (32, 24), 255)) > 30


def test_fractions_of_a_factor_are_whole_numbers_of_pixels_on_every_machine():
    assert [stream.coded_size((768, 511), first) for first in (3, 96, 72, 255)] == [
        (256, 171), (256, 171), (342, 228), (97, 65),
    ]  # fmt: skip


def test_a_picture_shrunk_by_a_fraction_comes_back():
    picture = ramp(90, 70)
    data = stream.write(Image.fromarray(picture), 72, 8, "psnr", 20)
    assert data[0] == 72
    assert psnr(picture, stream.read(data, (90, 70))) > 30


def test_factors_that_no_writer_ever_wrote_are_refused(codec, encoded):
    for first in (0, 5, 7, 9, 31):
        with pytest.raises(CodecError, match="no AV1 picture"):
            codec.decode(bytes([first]) + encoded[1:], (150, 100), 100)


def test_every_switch_survives_the_sequence_header():
    for flags in range(128):
        header = obu.SequenceHeader.from_flags(768, 513, flags)
        assert obu._read_sequence_header(obu._write_sequence_header(header)) == header
        assert header.flags == flags


def test_unknown_switches_are_refused():
    with pytest.raises(CodecError, match="0x80"):
        obu.SequenceHeader.from_flags(64, 64, 128)


def test_encoder_output_that_the_reference_cannot_hold_is_an_error(photograph):
    for options in ({"subsampling": "4:2:0"}, {"subsampling": "4:4:4", "range": "limited"}):
        buffer = io.BytesIO()
        Image.fromarray(photograph).save(buffer, "AVIF", quality=10, speed=8, codec="aom", **options)
        with pytest.raises(CodecError, match="cannot hold"):
            obu.strip_avif(buffer.getvalue())


def test_truncated_frames_are_told(codec, encoded):
    for length in (0, 1, 2, 3, len(encoded) // 2, len(encoded) - 1):
        with pytest.raises(CodecError, match="fetch the file again"):
            codec.decode(encoded[:length], (150, 100), 100)


def test_damaged_bytes_give_a_picture_of_the_right_size_or_a_codec_error(codec, encoded):
    random = np.random.default_rng(0)
    for i in range(60):
        data = bytearray(encoded)
        data[random.integers(len(data)) if i % 2 else random.integers(12)] ^= 1 << random.integers(8)
        with contextlib.suppress(CodecError):
            assert codec.decode(bytes(data), (150, 100), 100).shape == (100, 150, 3)


def test_random_bytes_give_a_picture_of_the_right_size_or_a_codec_error(codec):
    random = np.random.default_rng(1)
    for length in (0, 1, 10, 100, 1000):
        with contextlib.suppress(CodecError):
            assert codec.decode(b"\x02\x16" + random.bytes(length), (150, 100), 18).shape == (100, 150, 3)
        with pytest.raises(CodecError):
            codec.decode(b"\x05" + random.bytes(length), (150, 100), 18)


def test_too_small_a_budget_names_the_smallest_that_does(codec, photograph):
    with pytest.raises(CodecError, match=r"use av1:\d+ or more") as error:
        codec.encode(photograph, 1)
    smallest = int(str(error.value).split("use av1:")[1].split()[0])
    assert codec.encode(photograph, smallest)


def test_picture_too_small_for_any_quality_says_so(codec):
    with pytest.raises(CodecError, match="too small for av1"):
        codec.encode(ramp(16, 16), 255)


def test_no_weights_no_fingerprint(codec):
    assert codec.fingerprint(18) == b""


def test_kodak_reference_reaches_the_mark_within_its_budget(codec, shared_data):
    with Image.open(shared_data / "kodak" / "kodim15.png") as image:
        picture = np.asarray(image.convert("RGB"))
    data = codec.encode(picture, 18)
    assert len(data) <= 884
    assert psnr(picture, codec.decode(data, picture.shape[1::-1], 18)) > 24.5
