"""The coarse symbols' own entropy model: every position once, what is learnt in floats in integers, fewer bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from sedic.bitstream.coder import WHOLE
from sedic.demo import PHOTOGRAPH
from sedic.reference import codec_by_name
from sedic.reference.compact import codec as compact_module
from sedic.reference.compact import hierarchy as module
from sedic.reference.compact.distribution import KINDS, REACH, Distribution
from sedic.reference.compact.hierarchy import GROUPS, SETS, ZEROS, Hierarchy, positions
from sedic.reference.compact.prior import MEAN_BITS, MOST_ACTIVATION, SCALES, Product, most_input
from sedic.reference.compact.symbols import Latents, drive, read, write
from sedic.reference.compact.transforms import COARSE, FINE
from sedic.training.reference import written as training
from sedic.training.reference.hierarchy import Hierarchy as FloatHierarchy
from sedic.training.reference.hierarchy import start
from sedic.training.reference.integers import distributions, of_hierarchy, shares, with_whole_rows
from tests.reference.opinions import opinionated

SIZES = [(1, 1), (1, 6), (5, 3), (9, 14)]


@pytest.fixture(scope="module")
def network() -> FloatHierarchy:
    """Networks that expect something of everything."""
    torch.manual_seed(0)
    return opinionated(FloatHierarchy(), 0.03, 0.2)


@pytest.fixture(scope="module")
def coded(network) -> tuple:
    """A prior, and distributions, as they are written by."""
    prior = compact_module.package_weights().prior.with_coarse(Hierarchy(of_hierarchy(network)))
    return prior, Distribution(distributions()).with_shares(shares())


def latents(size: tuple[int, int]) -> Latents:
    """Made up, some far beyond what has an interval of its own."""
    random = np.random.default_rng(0)
    coarse = random.laplace(0, 1.5, (COARSE, *size)).astype(np.float32)
    coarse[0, 0, 0], coarse[5, -1, -1] = 40, -30
    return coarse, np.zeros((FINE, 2 * size[0], 2 * size[1]), np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_every_position_is_of_one_set_and_every_channel_of_one_group(size):
    seen = np.zeros(size, int)
    for lattices in SETS:
        np.add.at(seen, positions(size, lattices), 1)
    assert (seen == 1).all()
    assert [channel for first, end in GROUPS for channel in range(first, end)] == list(range(COARSE))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quality", [0, 13, 56, 68])
def test_what_is_written_is_read(coded, size, quality):
    wanted, weights = latents(size), (np.full(COARSE, 50.0), np.full(FINE, 50.0))
    symbols = read(write(wanted, weights, *coded, quality), size, *coded, quality)
    assert np.abs(wanted[0] - symbols[0]).max() <= 1
    assert symbols[0][0, 0, 0] == 40


@pytest.mark.processor
@pytest.mark.parametrize("quality", [0, 13, 56])
def test_integers_expect_what_the_float_network_does(network, coded, quality):
    """The bits of symbols that all have an interval of their own, to half a percent."""
    prior, distribution = coded
    symbols, spent = np.rint(latents((12, 12))[0]).clip(-3, 3), []

    def count(expected) -> np.ndarray:
        if expected.level == "fine":
            return np.zeros(len(expected.means), np.int64)
        found = symbols[expected.places].astype(np.int64)
        middles, widths = distribution.widths(expected.means, expected.scales, expected.zeros)
        assert (np.abs(found - middles) < REACH).all()
        spent.append(-np.log2(np.take_along_axis(widths, (found - middles + REACH)[:, None], 1) / WHOLE).sum())
        return found

    drive(prior.walk((12, 12), quality), count)
    inputs = torch.from_numpy(symbols).float()[None], torch.tensor([quality / 8])
    expected = torch.func.functional_call(network, with_whole_rows(network), inputs).item()
    assert sum(spent) == pytest.approx(expected, rel=0.005)


@pytest.mark.processor
def test_products_are_exact_at_their_worst():
    stored = load_file(compact_module.WRITTENS_WEIGHTS)
    table = {n.removeprefix("hierarchy."): value for n, value in stored.items() if n.startswith("hierarchy.")}
    names = [name.removesuffix(".weight") for name in table if name.endswith(".weight")]
    assert len(names) == 5 + 6 * (3 + 4 + 4)
    for name in names:
        weight = table[f"{name}.weight"].astype(np.int64).transpose(0, 2, 3, 1).reshape(len(table[f"{name}.bias"]), -1)
        most = most_input(name)
        # Of each output the inputs that make the largest sum there is.
        worst = np.where(weight > 0, most, 0 if most == MOST_ACTIVATION else -most)
        expected = worst @ weight.T * table[f"{name}.factor"].astype(np.int64)
        expected += table[f"{name}.bias"].astype(np.int64) << 14
        assert np.array_equal(Product(table, name).of(worst.astype(np.float32)), expected)


def test_positions_of_a_large_picture_are_taken_by_parts(coded, monkeypatch):
    symbols = np.rint(latents((9, 14))[0]).astype(np.int64)

    def expected() -> list[np.ndarray]:
        found = []

        def keep(expected) -> np.ndarray:
            if expected.level == "fine":
                return np.zeros(len(expected.means), np.int64)
            found.extend([expected.means, expected.scales, expected.zeros])
            return symbols[expected.places]

        drive(coded[0].walk((9, 14), 27), keep)
        return found

    whole = expected()
    monkeypatch.setattr(module, "CHUNK", 5)
    assert all(map(np.array_equal, whole, expected()))


def test_a_share_of_zeros_is_added_to_the_distribution_wherever_its_mean_is():
    distribution = Distribution(distributions()).with_shares(shares())
    means, scales, zeros = (
        axis.ravel() for axis in np.meshgrid(np.arange(-640, 641, 16), np.arange(0, SCALES, 5), np.arange(0, ZEROS, 8))
    )
    middles, plain = distribution.widths(means, scales, None)
    again, widths = distribution.widths(means, scales, zeros)
    assert np.array_equal(middles, again)
    assert (widths > 0).all()
    assert (widths.sum(1) == WHOLE).all()
    share = shares()[zeros] / WHOLE
    wanted = plain / WHOLE * (1 - share)[:, None]
    # Beyond the reach 0 is one of the escapes.
    wanted[np.arange(len(wanted)), np.clip(REACH - middles, 0, KINDS - 1)] += share
    assert np.abs(widths / WHOLE - wanted).max() < 1e-5
    sure = distribution.sure(means, scales, zeros)
    near = np.abs(means) < 1 << (MEAN_BITS - 1)
    zero = widths[np.arange(len(widths)), np.clip(REACH - middles, 0, KINDS - 1)] / WHOLE
    clear = np.abs(zero - (1 - 2**-10)) > 1e-5  # which of the two roundings does not decide
    assert np.array_equal(sure[clear], (near & (zero > 1 - 2**-10))[clear])
    assert sure.any()


def test_the_same_symbols_take_fewer_bytes_than_by_the_first_entropy_model():
    with Image.open(PHOTOGRAPH) as image:
        pixels = np.asarray(image.convert("RGB"))
    size, first, later = pixels.shape[1::-1], compact_module.package_weights(first=True), codec_by_name("compact")
    spent = []
    for quality in (10, 28, 46):
        data = codec_by_name("compact-1").encode(pixels, quality)
        symbols = codec_by_name("compact-1").symbols(data, size, quality)
        weights = compact_module.package_weights()
        wanted = symbols[0].astype(np.float32), symbols[1].astype(np.float32)
        worth = np.full(COARSE, 1e6), np.full(FINE, 1e6)  # so much that nothing is changed
        again = write(wanted, worth, weights.prior, weights.distribution, quality - 1)
        assert all(map(np.array_equal, later.symbols(again, size, quality), symbols))
        assert write(wanted, worth, first.prior, first.distribution, quality - 1) == data
        spent.append((len(again), len(data)))
    smaller, larger = np.array(spent).T
    assert (smaller < larger).all()
    assert smaller.sum() < 0.98 * larger.sum()


def test_learning_makes_symbols_cheaper():
    random = np.random.default_rng(0)
    symbols = np.rint(random.laplace(0, 1, (6, COARSE, 8, 8))).astype(np.int8)
    symbols[:, :, :, 1::2] = symbols[:, :, :, ::2]  # which a neighbour tells
    quality = np.array([0, 10, 20, 30, 40, 56], np.uint8)
    torch.manual_seed(0)
    network = FloatHierarchy()
    start(network, symbols, quality)
    optimizer, spent = torch.optim.Adam(network.parameters(), 3e-3), []
    for _ in range(12):
        cost = network(torch.from_numpy(symbols).float(), torch.from_numpy(quality) / 8).sum()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        spent.append(cost.item())
    assert spent[-1] < 0.95 * spent[0]


def test_training_writes_weights_that_code(tmp_path, monkeypatch):
    with Image.open(PHOTOGRAPH) as image:
        photograph = np.asarray(image.convert("RGB").resize((288, 192), Image.Resampling.LANCZOS))
    lines = []
    for i in range(2):
        Image.fromarray(np.roll(photograph, 40 * i, 1)).save(tmp_path / f"{i}.png")
        lines.append(json.dumps({"file": f"{i}.png", "captions": [], "objects": []}))
    (tmp_path / "annotations.jsonl").write_text("\n".join(lines))
    config = training.Config(
        crops=6, held_out=4, minutes=0.03, batch=4, settling_minutes=0.02, synthesis_minutes=0.02, synthesis_batch=1,
        crop=128,
    )  # fmt: skip
    out = tmp_path / "run"
    training.train(tmp_path, out, config)
    encoded = (out / "crops" / "fine.npy").stat().st_mtime_ns
    config.minutes = 0.06
    training.train(tmp_path, out, config)
    assert (out / "crops" / "fine.npy").stat().st_mtime_ns == encoded
    assert len(list(out.glob("settling-*/checkpoint.pt"))) == 2
    rows = [json.loads(line) for line in (out / "hierarchy" / "log.jsonl").read_text().splitlines()]
    assert {"bytes8", "bytes20", "bytes32", "bytes44"} <= set(rows[-1])
    before = compact_module.package_weights(first=True).transforms.synthesis.state_dict()
    learnt = torch.load(out / "synthesis" / "checkpoint.pt", weights_only=True)["average"]
    assert not torch.equal(learnt["leave.weight"], before["leave.weight"])
    monkeypatch.setattr(compact_module, "WRITTENS_WEIGHTS", out / training.FILE)
    compact_module.package_weights.cache_clear()
    try:
        codec = compact_module.Compact()
        assert codec.decode(codec.encode(photograph, 40), (288, 192), 40).shape == photograph.shape
    finally:
        compact_module.package_weights.cache_clear()
