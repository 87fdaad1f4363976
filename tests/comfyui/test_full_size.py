"""Checkpoints of full size with random weights through ComfyUI's own loaders: one guided step of every kind.

Slow: minutes, 8 GB of memory and 4 of disk; SDXL about 12 of each, estimated. `python run.py test -m slow` runs them;
SEDIC_FULL_SIZE names a folder in which the files are kept for the next time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from headless import bench_decoder, checkpoints

pytestmark = pytest.mark.slow

COMBINATIONS = [(name, number) for name in checkpoints.NAMES for number in range(len(checkpoints.CONTROL_NETS[name]))]
SIZE = 256


@pytest.fixture(scope="module")
def folder(comfy) -> Iterator[Path]:
    """Where the files lie; ComfyUI looks there."""
    import folder_paths

    with tempfile.TemporaryDirectory() as temporary:
        base = Path(os.environ.get("SEDIC_FULL_SIZE") or temporary)
        for kind in ("checkpoints", "controlnet"):
            folder_paths.add_model_folder_path(kind, str(base / "models" / kind))
        yield base


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda pair: checkpoints.CONTROL_NETS[pair[0]][pair[1]])
def models(request, comfy, folder, pack):
    """One combination, loaded; weights in bfloat16 where float32 would need more than 12 GB."""
    import comfy.model_management
    from comfy.cli_args import args

    name, number = request.param
    checkpoints.write(folder / "models", name)
    args.bf16_unet = name == "sdxl"
    try:
        yield bench_decoder.load(name, number)
    finally:
        args.bf16_unet = False
        comfy.model_management.unload_all_models()
        if not os.environ.get("SEDIC_FULL_SIZE") and (name, number + 1) not in COMBINATIONS:
            for place, _ in checkpoints.files(name):
                (folder / "models" / place).unlink()


def guided(models, **settings):
    """Guidance of a square in the middle: two updates, the second of which sees what the first has done."""
    mask = torch.zeros(SIZE, SIZE)
    mask[64:192, 64:192] = 1
    tokens = models.steering.token_positions(models.clip, bench_decoder.PROMPT, bench_decoder.NAME)
    assert len(tokens) >= 2
    chosen = {"t_prime": 0.0, "threshold": 0.0, "updates": 2, **settings}
    return models.guidance.Guidance(mask, tokens, models.guidance.GuidanceSettings(**chosen))


@pytest.mark.parametrize(
    ("layers", "through_control", "checkpoint"),
    [
        (("first up block",), True, False),
        (("second up block",), False, True),
        (("middle block", "control net"), True, True),
    ],
)
def test_guided_updates_lower_the_energy(models, layers, through_control, checkpoint):
    guidance = guided(models, layers=layers, through_control=through_control)

    def run(bound, x, sigma):
        bound.checkpoint = checkpoint
        energies = []
        moved = models.guidance.guide(bound, x, sigma, guidance, energies.append)
        return energies, moved - x

    (before, after), step = bench_decoder.in_sampler(models, SIZE, run)
    assert torch.isfinite(step).all()
    assert step.abs().max() > 0
    assert 0 < after < before < 1


def test_a_stage_runs_from_sockets_to_picture_without_doubling_the_weights(models):
    def memory():
        return psutil.Process().memory_info().rss

    image = torch.rand(1, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(1))
    before = memory()
    with torch.inference_mode():
        latent, trajectory, picture = models.restore.ORAGSampler.execute(
            model=models.model, positive=models.positive, negative=models.negative, vae=models.vae, image=image,
            seed=1, steps=1, cfg=3.5, sampler="euler", scheduler="simple", strength=1.0, stage=1,
            control_net=models.control_net, guidance=guided(models, updates=1),
            fusion=models.fusion.Fusion(torch.ones(SIZE, SIZE), image),
        ).result  # fmt: skip
    assert picture.shape == (1, SIZE, SIZE, 3)
    assert torch.isfinite(latent["samples"]).all()
    assert latent["samples"].shape == trajectory.latents[-1].shape == (1, 4, SIZE // 8, SIZE // 8)
    assert memory() - before < 0.5 * bench_decoder.weights(models)
