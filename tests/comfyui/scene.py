"""A small scene, and the pack's nodes and ComfyUI's own on it."""

from __future__ import annotations

import copy
import importlib
import types
from functools import cache

import torch

from sedic.models.embedded import LATENT_CHANNELS

PROMPT = "red cup, a glossy red cup with a white rim"
STEPS = 3  # unless told otherwise: the fewest with one that is neither the first nor the last


@cache
def texts_of(models):
    """A CLIP of the pack's ``nodes.models``, which no test changes, and what it makes of two texts."""
    clip = models.load_clip()
    return clip, [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in (PROMPT, "blurry")]


def embedded_scene(pack):
    """The embedded models loaded under inference mode, as ComfyUI's executor loads them, and a small scene.

    All of it is new but the CLIP.
    """
    models = importlib.import_module(f"{pack.__name__}.nodes.models")
    with torch.inference_mode():
        clip, texts = texts_of(models)
        positive, negative = copy.deepcopy(texts)
        model, vae, control_net = models.load_network(), models.load_vae(), models.load_control_net()
        image = torch.rand(1, 128, 64, 3, generator=torch.Generator().manual_seed(1))
        mask = torch.zeros(128, 64)
        mask[32:96, 8:40] = 1
    return types.SimpleNamespace(
        model=model, clip=clip, vae=vae, control_net=control_net, image=image, mask=mask, prompt=PROMPT,
        positive=positive, negative=negative,
    )  # fmt: skip


def sample(restore, scene, **options):
    """ORAG Sampler's outputs; ``options`` over plain steps."""
    return sample_node(restore, scene, **options).result


def sample_node(restore, scene, **options):
    """As :func:`sample`, with what the node shows."""
    sampling = {"seed": 3, "stage": 0, "steps": STEPS, "cfg": 2.0, "sampler": "euler", "scheduler": "simple"}
    inputs = {"model": scene.model, "positive": scene.positive, "negative": scene.negative, "vae": scene.vae}
    with torch.inference_mode():
        return restore.ORAGSampler.execute(**{**inputs, "image": scene.image, "strength": 1.0, **sampling, **options})


def stock(scene, sampler="euler", control_net=None, scheduler="simple", steps=STEPS, **options):
    """ComfyUI's KSampler on the same inputs, its ControlNet node before it; ``options`` replace parts of the scene."""
    import nodes  # ComfyUI's

    positive, negative = options.get("positive", scene.positive), options.get("negative", scene.negative)
    with torch.inference_mode():
        if control_net is not None:
            positive, negative = apply_control(scene, control_net, positive, negative)
        latent = torch.zeros(1, LATENT_CHANNELS, 16, 8)
        (result,) = nodes.common_ksampler(
            options.get("model", scene.model), 3, steps, 2.0, sampler, scheduler, positive, negative,
            {"samples": latent},
        )  # fmt: skip
    return result["samples"]


def apply_control(scene, control_net, positive, negative, strength=1.0, start=0.0, end=1.0):
    """ComfyUI's own node for a ControlNet."""
    import nodes  # ComfyUI's

    with torch.inference_mode():
        return nodes.ControlNetApplyAdvanced().apply_controlnet(
            positive, negative, control_net, scene.image, strength, start, end, vae=scene.vae
        )


def guidance(library, steering, scene, **settings):
    """Guidance of the scene's red cup: one update at every step, unless told otherwise."""
    tokens = steering.token_positions(scene.clip, PROMPT, "red cup")
    chosen = {"t_prime": 0.0, "threshold": 0.0, "updates": 1} | settings
    return library.guidance.Guidance(scene.mask, tokens, library.guidance.GuidanceSettings(**chosen))


def in_sampler(comfy, denoiser, scene, function, positive=None, model=None, sigmas=(14.6, 5.0, 0.0), shape=None):
    """Calls ``function(bound denoiser, x, sigmas)`` in the middle of a real sampling run, as a step loop would be."""
    import comfy.sample

    results = []

    def sampler(model, x, sigmas, extra_args, callback=None, disable=None):
        with torch.inference_mode(False), torch.no_grad():
            x = x.clone()
            results.append(function(denoiser.ComfyDenoiser(model, extra_args), x, sigmas.clone()))
            return x

    with torch.inference_mode():
        latent = torch.zeros(shape or (1, LATENT_CHANNELS, 16, 8))
        comfy.sample.sample_custom(
            denoiser.with_gradients(model or scene.model), comfy.sample.prepare_noise(latent, 3), 2.0,
            comfy.samplers.KSAMPLER(sampler), torch.tensor(sigmas), positive or scene.positive, scene.negative,
            latent, seed=3,
        )  # fmt: skip
    return results[0]
