"""The learned reference comes back at any size, reads alike everywhere, and tells damage and other weights."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from sedic import codec as files
from sedic.bitstream import BitstreamError, SedicFile
from sedic.demo import PHOTOGRAPH
from sedic.metrics import psnr
from sedic.models.processor import lacking
from sedic.reference import CodecError, codec_by_name
from sedic.reference.compact import codec as compact_module
from sedic.reference.compact import prior as prior_module
from sedic.reference.compact import search
from sedic.reference.compact.prior import MOST_ACTIVATION, Product, most_input
from sedic.reference.compact.symbols import drive
from sedic.semantics import Semantics
from tests.reference.compact_golden import CODECS, digest, golden_of

from .unusable import unusable

QUALITIES = (1, 20, 40, 57)

# Prints what a machine writes, the symbols that it reads in that, and those that it reads in what it is given.
MACHINE = """
import base64, hashlib, json, sys
import numpy as np
import torch
from sedic.reference.compact import Compact
torch.backends.mkldnn.enabled = sys.argv[1] == "on"
image = np.load(sys.argv[2])
codec, size = Compact(), image.shape[1::-1]
def digest(data):
    return hashlib.sha256(b"".join(k.astype("<i4").tobytes() for k in codec.symbols(data, size, 30))).hexdigest()
own = codec.encode(image, 30)
given = [base64.b64decode(text) for text in sys.argv[3:]]
print(json.dumps({"own": base64.b64encode(own).decode(), "read": [digest(data) for data in [own, *given]]}))
"""


@pytest.fixture(scope="module")
def codec():
    return codec_by_name("compact")


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """The demo's photograph at half its size, (200, 300, 3) uint8."""
    with Image.open(PHOTOGRAPH) as image:
        return np.asarray(image.convert("RGB").resize((300, 200), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def by_quality(codec, photograph) -> dict[int, bytes]:
    return {quality: codec.encode(photograph, quality) for quality in QUALITIES}


def test_more_quality_gives_more_bytes_and_a_better_picture(codec, photograph, by_quality):
    lengths = [len(data) for data in by_quality.values()]
    values = [psnr(photograph, codec.decode(data, (300, 200), quality)) for quality, data in by_quality.items()]
    assert lengths == sorted(lengths)
    assert values == sorted(values)
    assert lengths[0] * 2.5 < lengths[-1]
    assert values[-1] - values[0] > 1


@pytest.mark.parametrize("size", [(16, 16), (17, 131), (131, 17), (97, 64), (300, 33)])
def test_any_size_comes_back_at_its_own_size(codec, photograph, size):
    picture = np.asarray(Image.fromarray(photograph).resize(size, Image.Resampling.LANCZOS))
    decoded = codec.decode(codec.encode(picture, 57), size, 57)
    assert decoded.shape == picture.shape
    assert decoded.dtype == np.uint8
    assert psnr(picture, decoded) > 17


def test_tiles_of_large_pictures_leave_no_seam(codec, photograph, by_quality, monkeypatch):
    whole = codec.decode(by_quality[40], (300, 200), 40)
    monkeypatch.setattr(compact_module, "DECODED", (64, 192))
    monkeypatch.setattr(search, "ANALYSED", (64, 96))
    monkeypatch.setattr(search, "REFINED", (64, 32))
    tiled = codec.decode(by_quality[40], (300, 200), 40)
    assert np.abs(whole.astype(int) - tiled).max() <= 2
    assert abs(len(codec.encode(photograph, 40)) - len(by_quality[40])) < 0.03 * len(by_quality[40])


def figures(photograph: np.ndarray, in_bfloat16: bool) -> np.ndarray:
    """Bytes and PSNR at eleven qualities, (11, 2): at one of them a choice falls some bytes and 0.1 dB either way."""
    codec, found = compact_module.Compact(), []
    codec.bfloat16 = in_bfloat16
    for quality in range(30, 51, 2):
        data = codec.encode(photograph, quality)
        found.append((len(data), psnr(photograph, codec.decode(data, (300, 200), quality))))
    return np.array(found)


@pytest.fixture(scope="module")
def in_float32(photograph) -> np.ndarray:
    return figures(photograph, in_bfloat16=False)


@pytest.mark.processor
def test_second_thoughts_make_a_better_picture_of_hardly_more_bytes(photograph, in_float32, monkeypatch):
    """In the mean they take less than a step of quality does, 3 % of the bytes, and are worth more than two steps."""
    step = 1.03
    monkeypatch.setattr(search, "refined", lambda transforms, improvers, pixels, latents, symbols, *others: symbols)
    first = figures(photograph, in_bfloat16=False)
    assert in_float32[:, 0].mean() < step * first[:, 0].mean()
    worth, _ = np.polyfit(np.log(first[:, 0]), first[:, 1], 1)  # dB that e times the bytes bring without them
    gain = (in_float32[:, 1] - first[:, 1]).mean() - worth * np.log(in_float32[:, 0] / first[:, 0]).mean()
    assert gain > worth * np.log(step**2)


@pytest.mark.processor
def test_inference_mode_as_in_a_node_changes_nothing(photograph, by_quality):
    compact_module.package_weights.cache_clear()
    with torch.inference_mode():
        assert codec_by_name("compact").encode(photograph, 40) == by_quality[40]


def test_noise_and_flat_pictures_are_coded(codec):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    checks = np.kron(np.indices((4, 6)).sum(0)[..., None] % 2 * 255, np.ones((16, 16, 3))).astype(np.uint8)
    for picture in (noise, checks, np.full((64, 96, 3), 255, np.uint8)):
        assert codec.decode(codec.encode(picture, 57), (96, 64), 57).shape == picture.shape
    flat = np.full((64, 96, 3), 200, np.uint8)
    assert psnr(flat, codec.decode(codec.encode(flat, 57), (96, 64), 57)) > 30


def test_cut_bytes_are_a_picture_too_which_the_check_values_of_the_file_tell(codec, by_quality):
    """Behind their end the decoder reads zeros: any bytes that are as short as can be are some picture's."""
    data = by_quality[40]
    for length in (0, 1, len(data) // 2, len(data) - 1):
        with contextlib.suppress(CodecError):
            assert codec.decode(data[:length], (300, 200), 40).shape == (200, 300, 3)
    file = files.pack(files.Reference(codec.id, 40, data, 300, 200, codec.fingerprint(40)), Semantics()).to_bytes()
    assert files.reference_of(SedicFile.from_bytes(file)).picture().shape == (200, 300, 3)
    with pytest.raises(BitstreamError):
        files.reference_of(SedicFile.from_bytes(file[: len(file) - len(data) // 2]))


def test_bytes_that_no_encoder_wrote_are_told_or_are_another_picture(codec, by_quality):
    random = np.random.default_rng(0)
    shown = 0
    for i in range(12):
        data = bytearray(by_quality[1]) if i % 2 else bytearray(random.bytes(60))
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        with contextlib.suppress(CodecError):
            assert codec.decode(bytes(data), (300, 200), 1).shape == (200, 300, 3)
            shown += 1
    assert shown < 12
    with pytest.raises(CodecError, match="fetch the file again"):
        codec.decode(bytes(by_quality[1]) + b"\0", (300, 200), 1)


def test_quality_out_of_range_is_told(codec, photograph):
    for quality in (0, 70):
        with pytest.raises(CodecError, match="1 to 69"):
            codec.encode(photograph, quality)
        with pytest.raises(CodecError, match="1 to 69"):
            codec.decode(b"", (300, 200), quality)


def test_other_weights_are_told_in_a_sentence(codec, photograph, monkeypatch):
    reference = files.encode_reference(photograph, "compact:20")
    assert len(reference.fingerprint) == 1
    assert reference.picture().shape == photograph.shape
    other = bytes([reference.fingerprint[0] ^ 1])
    monkeypatch.setattr(compact_module.Compact, "fingerprint", lambda self, quality: other)
    with pytest.raises(CodecError, match=f"{reference.fingerprint.hex()}, found are {other.hex()}; use the weights"):
        reference.picture()


def test_damaged_weights_are_told(monkeypatch, tmp_path, photograph):
    for name in ("WEIGHTS", "WRITTENS_WEIGHTS"):
        for _ in unusable(monkeypatch, tmp_path, name):
            with pytest.raises(CodecError, match="install the package again"):
                codec_by_name("compact").encode(photograph, 20)


def test_a_budget_is_met_by_trying_qualities(photograph):
    file = files.encode(photograph, Semantics(), "compact", target_bpp=0.06)
    assert 0.9 * 0.06 < file.bits_per_pixel <= 0.06


@pytest.mark.processor
@pytest.mark.parametrize("name", CODECS)
def test_golden_stream_reads_as_the_symbols_that_were_written(name):
    codec, golden = codec_by_name(name), json.loads(golden_of(name).read_text(encoding="utf-8"))
    data, quality = base64.b64decode(golden["data"]), golden["quality"]
    assert codec.fingerprint(quality).hex() == golden["fingerprint"], (
        f"run python -m tests.reference.compact_golden {name}"
    )
    assert digest(codec.symbols(data, golden["size"], quality)) == golden["symbols"]
    assert codec.decode(data, golden["size"], quality).shape == (*golden["size"][::-1], 3)


@pytest.mark.processor
def test_bfloat16_chooses_symbols_that_are_as_good(photograph, in_float32):
    (length, quality), (most, least) = figures(photograph, in_bfloat16=True).mean(0), in_float32.mean(0)
    assert length < 1.005 * most
    assert quality > least - 0.03


@pytest.mark.processor
def test_bfloat16_changes_no_symbols_that_are_read(codec, by_quality):
    for quality, data in by_quality.items():
        with torch.autocast("cpu", torch.bfloat16):
            read = codec.symbols(data, (300, 200), quality)
        assert digest(read) == digest(codec.symbols(data, (300, 200), quality))


@pytest.mark.processor
def test_products_are_exact_at_their_worst(codec):
    from safetensors.numpy import load_file

    tensors = load_file(compact_module.WEIGHTS)
    table = {name.removeprefix("prior."): value for name, value in tensors.items() if name.startswith("prior.")}
    random = np.random.default_rng(0)
    for name in ("coarse0.first", "coarse3.linear", "fine1.first_hints", "fine2.second", "fine3.last", "hints"):
        weight = table[f"{name}.weight"].astype(np.int64)
        most = most_input(name)
        # Rows of 1×1 products of the first output's signs reach the largest sum there is.
        worst = np.where(weight[0] > 0, most, 0 if most == MOST_ACTIVATION else -most)
        values = random.integers(0 if most == MOST_ACTIVATION else -most, most + 1, (5, 7, weight.shape[1]))
        values[1 : 1 + weight.shape[2], 2 : 2 + weight.shape[3]] = worst.transpose(1, 2, 0)
        margin = weight.shape[2] // 2
        padded = np.pad(values, ((margin, margin), (margin, margin), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (0, 1))  # r,c,i,y,x
        expected = np.einsum("rciyx,oiyx->rco", windows, weight) * table[f"{name}.factor"].astype(np.int64)
        expected += table[f"{name}.bias"].astype(np.int64) << 14
        assert np.array_equal(Product(table, name)(values.astype(np.float32)), expected)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (9, 14)])
def test_strips_of_a_large_picture_expect_what_the_whole_does(size, monkeypatch):
    prior, random = compact_module.package_weights().prior, np.random.default_rng(1)
    symbols = [
        np.rint(random.laplace(0, 1, (count, scale * size[0], scale * size[1]))).astype(np.int64)
        for count, scale in ((32, 1), (64, 2))
    ]

    def expected() -> list[np.ndarray]:
        found = []

        def keep(pass_: prior_module.Expected) -> np.ndarray:
            found.extend([pass_.means, pass_.scales])
            return symbols[int(pass_.level == "fine")][pass_.places]

        drive(prior.walk(size, 27), keep)
        return found

    whole = expected()
    monkeypatch.setattr(prior_module, "STRIP", 6 * size[1])  # three fine rows would fit
    assert all(map(np.array_equal, whole, expected()))


def test_weights_whose_sums_could_be_inexact_are_refused():
    table = {
        "fine0.second.weight": np.full((1, 864, 1, 1), 127, np.int8),
        "fine0.second.factor": np.ones(1, np.int32),
        "fine0.second.bias": np.zeros(1, np.int32),
    }
    with pytest.raises(ValueError, match="2²⁴"):
        Product(table, "fine0.second")


@pytest.mark.processor
def test_every_machine_reads_the_same_symbols(codec, photograph, tmp_path):
    """Encoded under one, decoded under every other: instruction sets of PyTorch and of the BLAS, threads, oneDNN.

    The second is this processor as it is, so that there are two everywhere.
    """
    np.save(tmp_path / "image.npy", photograph[:128, :160])
    machines = [
        ({"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott", "OMP_NUM_THREADS": "1"}, "off"),
        ({"OMP_NUM_THREADS": "1"}, "on"),
        ({"ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2"}, "on"),
        ({"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX", "OMP_NUM_THREADS": "1"}, "on"),
    ]
    left_out = {missing for environment, _ in machines if (missing := lacking(environment))}
    if left_out:
        warnings.warn(f"this processor has no {', '.join(sorted(left_out))}", stacklevel=1)
    machines = [machine for machine in machines if not lacking(machine[0])]
    assert len(machines) >= 2
    written: dict[str, str] = {}
    for environment, onednn in machines:
        environment["OPENBLAS_NUM_THREADS"] = environment["OMP_NUM_THREADS"]
        done = subprocess.run(
            [sys.executable, "-c", MACHINE, onednn, str(tmp_path / "image.npy"), *written],
            env=os.environ | environment, capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip
        result = json.loads(done.stdout)
        assert result["read"][1:] == list(written.values())
        written[result["own"]] = result["read"][0]
    for data, expected in written.items():
        assert digest(codec.symbols(base64.b64decode(data), (160, 128), 30)) == expected
