"""A figure is taken as it is defined, or left out and named."""

from __future__ import annotations

import urllib.error

import numpy as np
import pytest

from sedic.errors import SedicError
from sedic.evaluation.instruments import patches
from sedic.evaluation.metrics import HIGHER, LOOKING, LOWER, METRICS, Looking, Metric, Tools
from sedic.evaluation.weights import Missing, missing

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)


def brightness(device: str, download: bool):
    """The difference of two pictures' mean levels."""
    return lambda a, b: float(b.mean() - a.mean())


def test_what_is_added_to_the_registry_is_measured(monkeypatch):
    monkeypatch.setitem(METRICS, "brightness", Metric("brightness", HIGHER, 1, "Of means.", brightness))
    monkeypatch.setitem(LOOKING, "rows", Looking(lambda device, download: lambda pixels: pixels.reshape(-1, 3)))
    reds = Metric("reds", LOWER, 1, "Of reds.", features="rows", distance=lambda a, b: abs(float(a.mean() - b.mean())))
    monkeypatch.setitem(METRICS, "reds", reds)
    tools = Tools(["reds", "brightness"])
    assert tools.keys == ["brightness", "reds"]
    found = tools.figures(PIXELS, PIXELS // 2)
    assert found["brightness"] == (PIXELS // 2).mean() - PIXELS.mean()
    assert found["rows"].shape == (64 * 80, 3)
    assert tools.about["brightness"].startswith("sedic ")


def test_a_figure_without_weights_is_left_out_and_says_which_file_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    tools = Tools(["psnr", "lpips_alex", "lpips_vgg", "dists"])
    assert tools.keys == ["psnr"]
    assert set(tools.left_out) == {"lpips_alex", "lpips_vgg", "dists"}
    assert "alexnet-owt-7be5be79.pth" in tools.left_out["lpips_alex"]
    assert "--download" in tools.left_out["lpips_vgg"]


def test_what_a_library_says_of_downloads_and_packages_is_a_sentence():
    with (
        pytest.raises(Missing, match=r"alex\.pth could not be read or downloaded \(.*no route"),
        missing("", "alex.pth"),
    ):
        raise urllib.error.URLError("no route")
    with pytest.raises(Missing, match="nowhere_installed is not installed; pip install it"), missing("pip install it"):
        import nowhere_installed  # noqa: F401


def test_an_unknown_figure_is_told():
    with pytest.raises(SedicError, match="no figure 'vmaf'; take some of psnr"):
        Tools(["vmaf"])


def test_a_picture_too_small_for_a_figure_has_none_and_that_is_told():
    tools = Tools(["psnr", "ms_ssim"])
    with pytest.warns(UserWarning, match="MS-SSIM is left out of some pictures"):
        found = tools.figures(PIXELS, PIXELS // 2)
    assert np.isnan(found["ms_ssim"])
    assert found["psnr"] > 0


def test_ssimulacra2_is_100_for_equal_pictures_and_falls():
    pytest.importorskip("ssimulacra2")
    compare = Tools(["ssimulacra2"]).compare["ssimulacra2"]
    assert compare(PIXELS, PIXELS) == pytest.approx(100)
    assert compare(PIXELS, PIXELS // 2) < 60


def test_patches_lie_side_by_side_and_between():
    pixels = np.arange(512 * 600 * 3).reshape(512, 600, 3)
    found = patches(pixels)
    assert len(found) == 4 + 1
    assert all(patch.shape == (256, 256, 3) for patch in found)
    assert np.array_equal(found[-1], pixels[128:384, 128:384])
    assert not patches(pixels[:200])
