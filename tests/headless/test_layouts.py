"""Checkpoints made here have the sizes of the published ones."""

from __future__ import annotations

import math

import pytest
import torch

from headless import checkpoints, layouts

PUBLISHED = {  # tensors, parameters
    "SD 1.5": (layouts.unet(layouts.SD15), 686, 859_520_964),
    "SD 1.5 ControlNet": (layouts.control_net(layouts.SD15), 340, 361_279_120),
    "SD 2.1": (layouts.unet(layouts.SD21), 686, 865_910_724),
    "SDXL": (layouts.unet(layouts.SDXL), 1680, 2_567_463_684),
    "SDXL ControlNet": (layouts.control_net(layouts.SDXL), 844, 1_251_014_160),
    "autoencoder": (layouts.autoencoder(), 248, 83_653_863),
    "CLIP ViT-L": (layouts.clip_l(), 196, 123_060_480),
    "OpenCLIP ViT-H": (layouts.open_clip(1024, 24), 294, 354_032_641),
    "OpenCLIP bigG": (layouts.open_clip(1280, 32), 390, 694_659_841),
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_layout_has_the_published_number_of_parameters(name):
    layout, tensors, parameters = PUBLISHED[name]
    assert len(layout) == tensors
    assert sum(math.prod(shape) for shape in layout.values()) == parameters


def test_sdxl_control_net_of_diffusers_has_as_many_parameters_as_its_authors_layout():
    tile = checkpoints.control_net("controlnet-tile-sdxl-1.0.safetensors")
    assert sum(math.prod(shape) for shape in tile.values()) == 1_251_014_160
    assert "controlnet_cond_embedding.conv_in.weight" in tile


def test_files_are_written_once_and_whole(tmp_path, monkeypatch):
    small = {"checkpoints/a.safetensors": {"x.weight": (4, 8)}, "controlnet/b.pth": {"norm.weight": (4,)}}
    monkeypatch.setattr(checkpoints, "files", lambda _: iter(small.items()))
    paths = checkpoints.write(tmp_path, "sd15")
    written = [path.stat().st_mtime_ns for path in paths]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == list(small)
    assert torch.equal(torch.load(paths[1])["norm.weight"], torch.ones(4, dtype=torch.float16))
    assert [path.stat().st_mtime_ns for path in checkpoints.write(tmp_path, "sd15")] == written
    assert not list(tmp_path.rglob("*.part"))
