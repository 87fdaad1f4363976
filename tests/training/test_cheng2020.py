"""The paper's recipe runs, resumes, and leaves weights that the codec takes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from sedic.cli import main
from sedic.reference import codec_by_name
from sedic.reference.cheng2020 import INSTALL
from sedic.training.device import Device
from sedic.training.reference import cheng2020

from .apart import THERE

NAME = "cheng2020-attn"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of three pictures, the first of which is for validation."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number in range(3):
        y, x = np.mgrid[0:72, 0:96]
        picture = np.stack([x * 2, y * 3, 128 + 100 * np.sin((x + number) * y / 99)], 2).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
        rows.append(json.dumps({"file": f"{number}.png", "captions": [], "objects": []}))
    (folder / "annotations.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network's random weights, as CompressAI's downloads are saved."""
    pytest.importorskip("compressai", reason=f"needs CompressAI: {INSTALL}", exc_type=ImportError)
    from compressai.models import Cheng2020Attention

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("start") / NAME / "q1.pth"
    path.parent.mkdir()
    torch.save(Cheng2020Attention(N=16).state_dict(), path)
    return path


def steps(folder) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_resumes_on_another_device_and_its_weights_are_the_codecs(apart, data, weights, tmp_path):
    short = cheng2020.Config(start=weights, minutes=0.01, crop=64, batch=1)
    assert cheng2020.train(data, tmp_path, short) == tmp_path / NAME / "q1.pth"
    before, start = codec_by_name(NAME, tmp_path).fingerprint(1), codec_by_name(NAME, weights.parents[1]).fingerprint(1)
    assert before != start
    groups = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["optimizer"]["param_groups"]
    assert groups[1]["lr"] == pytest.approx(10 * groups[0]["lr"])
    cheng2020.train(data, tmp_path, cheng2020.Config(start=weights, minutes=0.02, crop=64, batch=1), Device(THERE))
    told = steps(tmp_path)
    assert told == sorted(told)
    assert told[-1] > told[0] > 0
    codec = codec_by_name(NAME, tmp_path)
    assert codec.fingerprint(1) != before
    picture = np.full((64, 80, 3), 90, np.uint8)
    assert codec.decode(codec.encode(picture, 1), (80, 64), 1).shape == picture.shape


def test_the_quantiles_learn_from_their_own_loss_and_nothing_else_does(weights):
    from sedic.reference.cheng2020 import load

    model = load(weights).train()
    model.aux_loss().backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved == {"entropy_bottleneck.quantiles"}


def test_the_trade_off_is_a_tenth_of_the_lowest():
    assert cheng2020.Config().trade_off == pytest.approx(0.00018)
    assert cheng2020.Config().rate == 1e-4


def test_the_command_says_what_it_begins_with(data, tmp_path, capsys):
    assert main(["train", "cheng2020", "--data", str(data), "-o", str(tmp_path)]) == 1
    assert "--start FILE" in capsys.readouterr().err
    wrong = ["train", "autoencoder", "--data", str(data), "-o", str(tmp_path), "--start", "q1.pth"]
    assert main(wrong) == 1
    assert "--start is for text and cheng2020, not autoencoder" in capsys.readouterr().err
