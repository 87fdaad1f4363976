"""The paper's codec writes real streams, and takes weights of every CompressAI or refuses them."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import pytest
import torch

from sedic.reference import CodecError, codec_by_name
from sedic.reference.cheng2020 import INSTALL, _canonical

NAME = "cheng2020-attn"
SIZE = 80, 50  # not multiples of 64


@pytest.fixture(scope="module")
def network():
    """A small network with random weights whose latents are large enough to cost bits."""
    pytest.importorskip("compressai", reason=f"needs CompressAI: {INSTALL}", exc_type=ImportError)
    from compressai.models import Cheng2020Attention

    torch.manual_seed(0)
    network = Cheng2020Attention(N=16).eval()
    with torch.no_grad():
        network.g_a[-2].weight *= 60  # the last convolution before the attention that ends in y
    network.update(force=True)
    return network


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.stack([3 * columns, 5 * rows, 128 + 100 * np.sin(rows * columns / 99)], 2).astype(np.uint8)


@pytest.fixture
def save(tmp_path):
    """Saves tensors as a file of weights and returns the codec that finds them."""

    def save_as(state, name="q1.pth"):
        folder = tmp_path / NAME
        folder.mkdir(exist_ok=True)
        torch.save(state, folder / name)
        return codec_by_name(NAME, tmp_path)

    return save_as


def test_decoder_sees_the_encoders_latents_rounded(network, picture, save):
    codec = save(network.state_dict())
    data = codec.encode(picture, 1)
    assert len(data) > 200
    latents = []
    hook = codec._model(1).g_s.register_forward_pre_hook(lambda _, inputs: latents.append(inputs[0]))
    decoded = codec.decode(data, SIZE, 1)
    hook.remove()
    padded = np.pad(picture, [(0, 14), (0, 48), (0, 0)], mode="edge")
    with torch.no_grad():
        y = network.g_a(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)
    assert float(y.abs().max()) > 2
    assert float((latents[0] - y).abs().max()) <= 0.5 + 1e-4
    assert decoded.shape == picture.shape
    assert decoded.dtype == np.uint8


def test_another_codec_with_the_same_weights_reads_the_same_picture(network, picture, save):
    codec = save(network.state_dict())
    data = codec.encode(picture, 1)
    other = save(network.state_dict())
    assert other is not codec
    assert np.array_equal(other.decode(data, SIZE, 1), codec.decode(data, SIZE, 1))


def renamed(state, form):
    names = {"matrices": "matrix", "biases": "bias", "factors": "factor"}
    result = {}
    for key, value in state.items():
        for plural, singular in names.items():
            old = f"_{plural}." if form == "first downloads" else f"_{singular}"
            key = key.replace(f"entropy_bottleneck.{plural}.", f"entropy_bottleneck.{old}")
        if form == "first downloads":
            key = "module." + key.replace(".skip.", ".downsample.")
        result[key] = value
    return result


@pytest.mark.parametrize("form", ["1.2.4", "first downloads"])
def test_weights_of_older_versions_land_completely(network, save, form):
    expected = save(network.state_dict()).fingerprint(1)
    state = renamed(network.state_dict(), form)
    assert set(state) != set(network.state_dict())
    assert save(state).fingerprint(1) == expected
    assert save({"epoch": 3, "state_dict": state}).fingerprint(1) == expected


def test_safetensors_are_weights_too(network, save, tmp_path):
    from safetensors.torch import save_file

    expected = save(network.state_dict()).fingerprint(1)
    save_file(network.state_dict(), tmp_path / NAME / "q2.safetensors")
    assert codec_by_name(NAME, tmp_path).fingerprint(2) == expected


def test_weights_saved_without_probability_tables_get_them(network, picture, save):
    tables = ("_offset", "_quantized_cdf", "_cdf_length", "scale_table")
    bare = {key: value for key, value in network.state_dict().items() if not key.endswith(tables)}
    codec = save(bare)
    assert codec.encode(picture, 1) == save(network.state_dict()).encode(picture, 1)


def test_fingerprint_follows_every_weight(network, save):
    state = {key: value.clone() for key, value in network.state_dict().items()}
    before = save(state).fingerprint(1)
    state["g_s.1.conv1.weight"][0, 0, 0, 0] += 1e-3
    assert len(before) == 4
    assert save(state).fingerprint(1) != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("entropy_bottleneck.biases.2"), r"missing 1: entropy_bottleneck\.biases\.2"),
        (lambda s: s.update({"entropy_bottleneck.matrices.7": torch.zeros(1)}), "left over 1"),
        (lambda s: s.update({"module.h_a.0.bias": torch.zeros(16)}), "twice"),
        (lambda s: s.update({"h_a.0.bias": torch.zeros(17)}), "size mismatch"),
        (lambda s: s.pop("g_a.0.conv1.weight"), "not those of cheng2020-attn"),
        (lambda s: s.update(optimizer={"lr": 1}), "no state dict"),
    ],
)
def test_weights_that_do_not_land_are_an_error(network, save, change, said):
    state = dict(network.state_dict())
    change(state)
    with pytest.raises(CodecError, match=said):
        save(state).fingerprint(1)


def test_file_that_would_execute_code_is_refused(network, save, tmp_path):
    with pytest.raises(CodecError, match="cannot be read"):
        save({"g_a.0.conv1.weight": print}).fingerprint(1)
    (tmp_path / NAME / "q1.pth").write_bytes(b"no weights at all")
    with pytest.raises(CodecError, match="cannot be read"):
        codec_by_name(NAME, tmp_path).fingerprint(1)


def test_damaged_streams_give_a_picture_of_the_right_size_or_a_codec_error(network, picture, save):
    codec = save(network.state_dict())
    data = codec.encode(picture, 1)
    random = np.random.default_rng(0)
    damaged = [b"", b"\x80", b"\x80\x80\x80\x80\x01", b"\x04", data[:1], data[:-1], data[:-4], b"\x04" + bytes(8)]
    damaged += [bytes(random.bytes(len(data))), data[: len(data) // 2], data[:40] + random.bytes(400)]
    for bad in damaged:
        with contextlib.suppress(CodecError):
            assert codec.decode(bad, SIZE, 1).shape == picture.shape
    for bad in damaged[:6]:
        with pytest.raises(CodecError, match="fetch the file again"):
            codec.decode(bad, SIZE, 1)


def test_missing_weights_name_file_and_folder(network, tmp_path):
    with pytest.raises(CodecError, match=r"cheng2020-attn[/\\]q3\.pth"):
        codec_by_name(NAME, tmp_path).fingerprint(3)
    with pytest.raises(CodecError, match="no folder of models"):
        codec_by_name(NAME).fingerprint(3)


def test_missing_compressai_names_its_extra_and_the_way_that_keeps_numpy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "compressai.models", None)
    monkeypatch.setitem(sys.modules, "compressai", None)
    with pytest.raises(CodecError, match=r'pip install "sedic\[cheng2020\]", then pip install --no-deps "compressai'):
        codec_by_name(NAME, tmp_path).encode(np.zeros((32, 32, 3), np.uint8), 1)


def test_names_of_all_versions_are_one():
    for old in ("_matrices.3", "_matrix3", "matrices.3"):
        assert _canonical(f"entropy_bottleneck.{old}") == "entropy_bottleneck.matrices.3"
    for old in ("_biases.0", "_bias0", "biases.0"):
        assert _canonical(f"module.entropy_bottleneck.{old}") == "entropy_bottleneck.biases.0"
    for other in ("entropy_bottleneck.quantiles", "entropy_bottleneck._offset", "h_a.0.bias"):
        assert _canonical(other) == other
