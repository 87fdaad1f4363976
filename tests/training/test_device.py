"""Where trainings compute: networks and batches go through one place, and a run's files are the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sedic.cli import main
from sedic.cli.train import TRAININGS
from sedic.errors import SedicError
from sedic.models import precision
from sedic.training.device import CPU, Device
from sedic.training.diffusion import autoencoder
from sedic.training.loop import Run
from sedic.training.masks import network as masks
from sedic.training.muon import Muon
from sedic.training.reference import compact, encoder
from sedic.training.text import network as text

from .apart import THERE, tensors
from .texts import write_texts

ONE_STEP = 1e-6  # minutes


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two pictures with an object each, a folder ``train`` that lists them, too, and descriptions."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    rows = []
    for number in range(2):
        rough = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
        rough.resize((192, 192), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
        rle = {"size": [192, 192], "counts": [192 * 40, 192 * 90, 192 * 62]}
        objects = [{"name": "red barn", "mask_rle": rle}]
        row = {"file": f"{number}.png", "captions": ["a barn"], "objects": objects, "masks_known": True}
        rows.append(json.dumps(row))
    for place in (folder, folder / "train"):
        place.mkdir(exist_ok=True)
        (place / "annotations.jsonl").write_text("\n".join(rows), encoding="utf-8")
    write_texts(folder)
    return folder


# Each network, on a device that is not the processor; see test_adversarial.py and test_cheng2020.py, too


def test_the_autoencoder_trains_there_and_is_stored_here(apart, data, tmp_path):
    autoencoder.train(data, tmp_path, autoencoder.Config(minutes=ONE_STEP, crop=32, batch=1), Device(THERE))
    assert (tmp_path / "autoencoder.safetensors").is_file()


def test_the_reference_trains_there_and_its_integers_are_made_here(apart, data, tmp_path, monkeypatch):
    monkeypatch.setattr(compact, "start", lambda *_: None)  # seconds, on the processor
    times = dict.fromkeys(("minutes", "structure_minutes", "settling_minutes"), ONE_STEP)
    compact.train(data, tmp_path, compact.Config(crop=192, batch=1, **times), Device(THERE))
    assert (tmp_path / compact.FILE).is_file()


def test_the_encoders_network_trains_there_and_is_stored_here(apart, data, tmp_path):
    encoder.train(data, tmp_path, encoder.Config(minutes=ONE_STEP, crop=192, batch=1), Device(THERE))
    assert (tmp_path / encoder.FILE).is_file()


def test_the_words_network_trains_there_and_its_integers_are_made_here(apart, data, tmp_path):
    config = text.Config(minutes=ONE_STEP, pieces=128, embedding=16, hidden=16, texts=2, length=8)
    text.train(data, tmp_path, config, Device(THERE))
    assert (tmp_path / "text.npz").is_file()


def test_the_masks_networks_train_there_and_their_integers_are_made_here(apart, data, tmp_path):
    masks.train(data, tmp_path / "mask2.npz", first_steps=2, steps=2, draw=2, device=Device(THERE))
    assert (tmp_path / "mask2.npz").is_file()


# The place itself


def test_two_devices_meet_nowhere_unnoticed(apart):
    here, there = torch.ones(2), Device(THERE).batch(torch.ones(2))
    for wrong in (lambda: here + there, lambda: torch.stack([here.sum(), there.sum()]), there.numpy):
        with pytest.raises(AssertionError):
            wrong()
    assert not apart.is_there(Device(THERE).home(there))
    assert apart.is_there(torch.rand_like(there) * 2 + there.sum() + here.sum())


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("places", [("cpu", THERE), (THERE, "cpu")])
def test_a_run_goes_on_on_another_device_as_if_it_had_not_moved(apart, tmp_path, places, optimizer):
    def train(folder: Path, steps: int, name: str) -> Run:
        torch.manual_seed(0)
        model, device = nn.Linear(4, 2), Device(name)
        chosen = Muon(model, 0.01) if optimizer == "muon" else None
        run = Run(folder, model, 1e6, 0.01, optimizer=chosen, device=device)
        for step in range(run.step, steps):
            loss = model(device.batch(torch.full((1, 4), step + 1.0))).square().sum()
            run.optimizer.zero_grad()
            loss.backward()
            run.optimizer.step()
            run.step += 1
        run.save()
        return run

    train(tmp_path / "whole", 4, "cpu")
    train(tmp_path / "parts", 2, places[0])
    model = train(tmp_path / "parts", 4, places[1]).model
    assert apart.is_there(model.weight) == (places[1] == THERE)
    whole, parts = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    assert all(torch.equal(a, b) for a, b in zip(tensors(whole), tensors(parts), strict=True))


def test_what_comes_home_is_a_copy_and_a_state_keeps_its_version(apart):
    network = nn.BatchNorm1d(2)
    state = network.state_dict()
    assert CPU.home(state)._metadata == state._metadata
    copy = CPU.home(network)
    assert copy is not network
    assert copy.weight.data_ptr() != network.weight.data_ptr()


@pytest.mark.parametrize("name", ["nonsense", "meta", "", "cuda:99"])
def test_a_device_that_is_not_here_is_one_sentence_before_anything_is_read_or_written(name, tmp_path, capsys):
    with pytest.raises(SedicError, match="There is no device"):
        Device(name)
    for what in TRAININGS:
        missing, out = tmp_path / "missing", tmp_path / "out"
        assert main(["train", what, "--data", str(missing), "-o", str(out), "--device", name]) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert f"There is no device {name!r} here" in told
        assert not out.exists()


def test_the_command_hands_its_device_to_the_training_and_tells_where_it_has_no_use(
    data, tmp_path, monkeypatch, capsys
):
    seen = []
    monkeypatch.setattr(autoencoder, "train", lambda *given: seen.append(given[-1]))
    monkeypatch.setattr(masks, "train", lambda *_, device: seen.append(device))
    for what in ("autoencoder", "masks", "huffman"):
        out = str(tmp_path / f"{what}.npz")
        assert main(["train", what, "--data", str(data), "-o", out, "--device", "cpu:0"]) == 0
        assert ("--device had no use" in capsys.readouterr().err) == (what == "huffman")
    assert seen == [Device("cpu:0")] * 2


def fails_for_memory(*_):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def diverges(_, out, config, device):
    weights = nn.Linear(1, 1)
    run = Run(out, weights, config.minutes, config.rate, device=device)
    run.train(lambda: {"error": weights.weight.sum() * float("nan")}, lambda average: {})


@pytest.mark.parametrize(("train", "told"), [(fails_for_memory, "smaller batches"), (diverges, "the loss is nan")])
def test_a_training_that_fails_on_the_way_is_one_sentence(train, told, data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(autoencoder, "train", train)
    assert main(["train", "autoencoder", "--data", str(data), "-o", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert told in said


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_computes_in_bfloat16_where_it_has_instructions_for_it(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(precision, "_runs", lambda trial, device: device == "cuda:1")
    assert precision.computes_in_bfloat16("convolution", device=torch.device("cuda:1")) == expected
    assert not precision.computes_in_bfloat16("convolution", device="mps")
