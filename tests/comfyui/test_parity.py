"""One algorithm, two denoisers: ComfyUI's models and diffusers' give the same picture."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from sedic import codec
from sedic.restoration.guidance import GuidanceSettings
from sedic.restoration.settings import Settings
from sedic.semantics import SceneObject, Semantics

HEIGHT, WIDTH = 120, 184  # no multiples of 64: both ends pad and crop
SETTINGS = Settings(
    object_steps=2, overall_steps=3, object_scale=2.5, overall_scale=3.0, seed=5,
    guidance=GuidanceSettings(t_prime=0.6, updates=2, threshold=0.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    """A smooth picture, as a reference is, (H, W, 3) uint8."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / 40
    return (127 + 100 * np.sin(np.stack([x, y + x, 2 * y - x], -1))).astype(np.uint8)


@pytest.fixture(scope="module")
def semantics() -> Semantics:
    left, right = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    left[16:104, 8:72] = True
    right[32:96, 96:168] = True
    long = "a wooden table beside a window in the light of the late afternoon " * 7  # more than one chunk of tokens
    return Semantics(
        "A red cup (with a rim) and a spoon, " + long,
        (
            SceneObject("red cup", "polished red cup (white rim)", left),
            SceneObject("silver spoon", "small polished silver spoon", right),
        ),
    )


@pytest.fixture(scope="module")
def with_library(reference, semantics) -> Callable[[Settings], list[np.ndarray]]:
    """The pictures of diffusers' models by settings; the same are not decoded twice."""
    image = torch.from_numpy(reference).permute(2, 0, 1)[None].float() / 255
    from sedic.restoration.stages import decode

    models = codec.load_models()
    return cache(lambda settings: [codec.to_pixels(s.image) for s in decode(models, image, semantics, settings)])


def with_nodes(pack, reference, semantics, settings) -> list[np.ndarray]:
    """The full graph's wiring, node by node, under inference mode as ComfyUI runs it."""
    import nodes  # ComfyUI's

    restore = importlib.import_module(f"{pack.__name__}.nodes.restore")
    steering = importlib.import_module(f"{pack.__name__}.nodes.steering")
    images = importlib.import_module(f"{pack.__name__}.nodes.images")
    models = importlib.import_module(f"{pack.__name__}.nodes.models")
    with torch.inference_mode():
        model, clip, vae, control_net = models.EmbeddedModels.execute().result
        encode = nodes.CLIPTextEncode().encode
        (negative,) = encode(clip, settings.negative)
        image = images.to_image(reference)
        trajectory = image  # the reference stands for the trajectory before object 1
        shared = {"model": model, "negative": negative, "vae": vae, "seed": settings.seed, "sampler": settings.sampler,
                  "scheduler": settings.scheduler, "strength": 1.0, "control_net": control_net,
                  "working_size": settings.working_size, "reference": image,
                  "color_fix": settings.color_fix,
                  "detail": settings.detail}  # fmt: skip
        pictures = []
        for j in range(1, 4):  # the third object is not there
            mask, prompt, name = steering.SemanticObject.execute(semantics, j, settings.order).result
            (positive,) = encode(clip, prompt)
            g = settings.guidance
            (guidance,) = steering.AttentionGuidance.execute(
                clip, prompt, name, mask, g.eta, g.t_prime, g.updates, g.threshold, g.layers[0],
                "control net" in g.layers, g.through_control, settings.tokens, ",".join(settings.words), g.reduction,
            ).result  # fmt: skip
            (fusion,) = steering.LatentMaskFuse.execute(mask, trajectory, settings.soft_edge).result
            before = image
            _, trajectory, image = restore.ORAGSampler.execute(
                positive=positive, image=image, steps=settings.object_steps, cfg=settings.scale_of(j), stage=j,
                guidance=guidance if settings.guide else None, fusion=fusion if settings.fuse else None, **shared,
            ).result  # fmt: skip
            if j == 3:
                assert image is before
            else:
                pictures.append(images.to_pixels(image))
        (positive,) = encode(clip, steering.literal(semantics.overall))
        final, _ = restore.GlobalRestore.execute(
            positive=positive, image=image, steps=settings.overall_steps, cfg=settings.overall_scale,
            condition=settings.condition, start=settings.start,
            start_strength=settings.strength, **shared,
        ).result  # fmt: skip
        return [*pictures, images.to_pixels(final)]


def guided(**changes) -> GuidanceSettings:
    return replace(SETTINGS.guidance, **changes)


# Not among them: euler_ancestral and lcm, whose noise in ComfyUI is the stock sampler's, which differs between devices.
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"guide": False},
        {
            "fuse": False, "sampler": "heun", "scheduler": "karras", "object_scales": (1.0, 4.0),
            "guidance": guided(layers=("second up block",)),
        },
        {
            "start": "low frequencies", "condition": "reference", "sampler": "dpm_2", "order": "smallest first",
            "guidance": guided(layers=("middle block", "control net"), reduction="max"),
        },
        {
            "start": "noised picture", "strength": 0.5, "sampler": "dpmpp_2m", "soft_edge": 2,
            "tokens": "content words", "guidance": guided(through_control=False, reduction="sum", eta=10.0),
        },
        {
            "working_size": 128, "color_fix": True, "detail": 0.6, "sampler": "ddim", "tokens": "chosen words",
            "words": ("polished",),
        },
    ],
    ids=lambda changes: ",".join(changes) or "defaults",
)  # fmt: skip
def test_comfyui_and_diffusers_give_the_same_pictures(comfy, pack, reference, semantics, with_library, changes):
    settings = replace(SETTINGS, **changes)
    expected = with_library(settings)
    found = with_nodes(pack, reference, semantics, settings)
    assert len(found) == len(expected) == 3
    for a, b in zip(found, expected, strict=True):
        assert a.shape == (HEIGHT, WIDTH, 3)
        error = np.mean((a.astype(float) - b) ** 2)
        assert 10 * math.log10(255**2 / max(error, 1e-9)) >= 45


def test_guidance_changes_the_picture(with_library):
    """Otherwise the parity above would hold for guidance that does nothing."""
    guided, free = with_library(SETTINGS), with_library(replace(SETTINGS, guide=False))
    assert not np.array_equal(guided[0], free[0])
