"""How the compact reference is trained: what is learnt in floats is what the integers compute."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from sedic.errors import SedicError
from sedic.reference.compact import codec as compact_module
from sedic.reference.compact.distribution import Distribution
from sedic.reference.compact.prior import TURNS, Prior
from sedic.reference.compact.symbols import read, write
from sedic.reference.compact.transforms import COARSE, FINE, Knots
from sedic.training.reference import compact as reference
from sedic.training.reference.integers import distributions, floats, integers, with_whole_weights
from sedic.training.reference.prior import Prior as FloatPrior
from sedic.training.reference.prior import bits, pass_masks
from tests.reference.opinions import opinionated


@pytest.fixture(scope="module")
def prior() -> FloatPrior:
    """Networks that expect something of everything."""
    torch.manual_seed(0)
    return opinionated(FloatPrior(), 0.05, 0.3)


@pytest.fixture(scope="module")
def latents() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    coarse = random.laplace(0, 1.5, (COARSE, 3, 4)).astype(np.float32)
    fine = random.laplace(0, 0.5, (FINE, 6, 8)).astype(np.float32)
    coarse[0, 0, 0], fine[3, 2, 2] = 40, -20  # beyond the reach of the intervals
    return coarse, fine


@pytest.mark.parametrize("quality", [0, 13, 56])
def test_bytes_are_what_the_float_network_expects(prior, latents, quality):
    whole, distribution = Prior(integers(prior)), Distribution(distributions())
    weights = np.full(COARSE, 50.0), np.full(FINE, 50.0)
    data = write(latents, weights, whole, distribution, quality)
    symbols = read(data, (3, 4), whole, distribution, quality)
    for wanted, found in zip(latents, symbols, strict=True):
        assert np.abs(wanted - found).max() <= 1
    tensors = [torch.from_numpy(k).float()[None] for k in symbols]
    expected = prior(*tensors, torch.tensor([quality / 8]))
    float_bits = sum(bits(k, e).sum().item() for k, e in zip(tensors, expected, strict=True))
    assert len(data) * 8 == pytest.approx(float_bits, rel=0.02, abs=16)


def test_an_error_that_is_worth_little_is_made_where_that_saves_bits(prior, latents):
    whole, distribution = Prior(integers(prior)), Distribution(distributions())
    lengths = [
        len(write(latents, (np.full(COARSE, worth), np.full(FINE, worth)), whole, distribution, 20))
        for worth in (50.0, 1.0, 0.1)
    ]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < 0.9 * lengths[0]


def test_each_symbol_is_coded_in_one_pass_and_sees_no_later_one(prior):
    masks = pass_masks(FINE, 6, 8)
    assert len(masks) == len(TURNS)
    assert (masks.sum(0) == 1).all()
    torch.manual_seed(1)
    coarse, fine = torch.randn(1, COARSE, 3, 4).round(), torch.randn(1, FINE, 6, 8).round()
    quality = torch.tensor([3.0])
    _, before = prior(coarse, fine, quality)
    for t in range(4):
        later = masks[t:].any(0)
        _, changed = prior(coarse, torch.where(later, fine + 1, fine), quality)
        now = torch.cat([masks[t], masks[t]], 0)
        assert torch.equal(before[:, now], changed[:, now])


def test_what_is_trained_as_integers_is_what_they_are(prior):
    rounded = with_whole_weights(prior)
    table = integers(prior)
    factor = table["fine1.first_hints.factor"] / 2.0**30 * 32
    expected = table["fine1.first_hints.weight"] * factor[:, None, None, None]
    assert (
        np.abs(rounded["fine.1.first.weight"][:, FINE:].numpy() - expected).max() < 127 * 0.5 / 2**30 * 32 + 1e-8
    )  # factors are rounded
    assert not torch.equal(rounded["spread.weight"], prior.spread.weight)


def test_floats_of_integers_are_what_was_rounded(prior):
    again = floats(integers(prior))
    rounded = with_whole_weights(prior)
    for name, value in again.named_parameters():
        assert torch.allclose(value, rounded[name], atol=2e-5), name
    assert not any(
        torch.equal(value, torch.zeros_like(value)) for _, value in again.named_parameters() if value.ndim > 3
    )


def test_knots_are_met_and_joined_by_lines():
    knots = Knots(2)
    with torch.no_grad():
        knots.values.copy_(torch.arange(8.0)[:, None].square().expand(8, 2))
    found = knots(torch.tensor([0.0, 2.0, 6.5, 7.0])).detach()[:, 0, 0, 0]
    assert found.tolist() == [0.0, 4.0, 42.5, 49.0]


def test_distortion_mixes_squared_error_and_structure_by_its_share():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 192, 192)
    decoded = x + 0.3 * torch.randn_like(x)
    error, missing = (reference.distortion(decoded, x, share) for share in (0.0, 1.0))
    assert torch.allclose(reference.distortion(decoded, x, 0.25), 0.75 * error + 0.25 * missing)
    with pytest.raises(SedicError, match="0 to 1"):
        reference.Config(structure=1.5)


def test_a_blend_lies_between_two_runs():
    codec, variant = reference.Codec(), reference.Codec()
    with torch.no_grad():
        for value, each in ((1.0, codec), (3.0, variant)):
            for parameter in each.parameters():
                parameter.fill_(value)
    reference.blend(codec, variant, 0.25)
    assert all(torch.all(value == 1.5) for value in codec.parameters())
    assert all(torch.all(value == 3.0) for value in variant.parameters())


@pytest.mark.slow
def test_a_run_is_resumed_and_gives_weights_that_code(tmp_path, monkeypatch):
    """Slow: two dozen real steps and a whole codec (15 s)."""
    random = np.random.default_rng(0)
    lines = []
    for i in range(4):
        rough = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
        rough.resize((192, 192), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
        lines.append(json.dumps({"file": f"{i}.png", "captions": [], "objects": []}))
    (tmp_path / "annotations.jsonl").write_text("\n".join(lines))
    torch.set_num_threads(1)
    config = reference.Config(minutes=0.05, structure_minutes=0.02, settling_minutes=0.02, crop=192, batch=2)
    reference.train(tmp_path, tmp_path / "run", config)
    first = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"]
    config.minutes = 0.1
    reference.train(tmp_path, tmp_path / "run", config)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in log) > first > 0
    # The run that went on made its copy, and settled, anew.
    for part in ("structure", "settling"):
        assert len(list((tmp_path / "run").glob(f"{part}-*/checkpoint.pt"))) == 2
    monkeypatch.setattr(compact_module, "WEIGHTS", tmp_path / "run" / reference.FILE)
    compact_module.package_weights.cache_clear()
    try:
        picture = np.asarray(Image.open(tmp_path / "1.png"))
        codec = compact_module.Compact()
        assert codec.decode(codec.encode(picture, 40), (192, 192), 40).shape == picture.shape
    finally:
        compact_module.package_weights.cache_clear()
