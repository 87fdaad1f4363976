"""The guess of features: it begins with what is known, learns, and is measured on crops that it has not seen."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sedic.bench.restoration import predictable
from sedic.bench.restoration.predictable import Guess
from sedic.errors import SedicError
from sedic.models.embedded import LATENT_CHANNELS, WEIGHTS
from sedic.training.diffusion.perceptual import distances

CHANNELS = [4, 6, 8, 10, 12]


def features(seed: int) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(2, c, 32 >> k, 32 >> k, generator=random), dim=1) for k, c in enumerate(CHANNELS)]


def tilted(known: list[torch.Tensor]) -> list[torch.Tensor]:
    return [F.normalize(x + 0.5, dim=1) for x in known]


def test_a_guess_begins_with_what_is_known_and_learns_what_follows_from_it():
    torch.manual_seed(0)
    guess = Guess(CHANNELS)
    for known, guessed in zip(features(0), guess(features(0)), strict=True):
        torch.testing.assert_close(guessed, known)
    optimizer = torch.optim.Adam(guess.parameters(), 1e-3)
    for step in range(20):
        known = features(step)
        loss = distances(guess(known), tilted(known)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    known, wanted = features(100), tilted(features(100))
    assert distances(guess(known), wanted).mean() < 0.6 * distances(known, wanted).mean()


@pytest.fixture
def run(tmp_path):
    """What `sedic train diffusion` gathers, of 61 grey crops of which two are kept out."""
    folder = tmp_path / "runs" / "diffusion"
    folder.mkdir(parents=True)
    shutil.copytree(
        WEIGHTS, folder.parent / "autoencoder", ignore=lambda _, names: [n for n in names if "auto" not in n]
    )
    random = np.random.default_rng(0)
    np.save(folder / "crops.npy", random.integers(256, size=(61, 1, 64, 64, 3), dtype=np.uint8))
    np.save(folder / "latents.npy", random.normal(size=(61, 4, LATENT_CHANNELS, 8, 8)).astype(np.float16))
    np.save(folder / "masks.npy", np.zeros((61, 2, 8, 8), np.uint8))
    words = [{"names": [], "details": [], "captions": []}] * 61
    (folder / "words.json").write_text(json.dumps(words), encoding="utf-8")
    return folder


@pytest.mark.processor
def test_what_is_left_is_told_stage_by_stage_and_trainings_resume(run, tmp_path):
    out = tmp_path / "out"
    predictable.measure(run, out, 0)
    untrained = json.loads((out / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert untrained["guess"] == pytest.approx(untrained["reference"], rel=1e-3)
    predictable.measure(run, out, 0.001)
    trained = json.loads((out / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert trained["step"] >= 1
    assert trained["reference"] == untrained["reference"]
    assert trained["guess"] != untrained["guess"]
    assert trained["change"] == pytest.approx(trained["guess"] / trained["reference"] - 1, abs=1e-4)
    assert {"1/2", "1/4", "1/8", "1/16", "1/32"} <= set(trained)


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(SedicError, match="no latents.npy"):
        predictable.measure(tmp_path, tmp_path / "out", 1)
