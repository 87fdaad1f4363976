"""What the decoder promises exactly, measured on the embedded models: a table of promises and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from ..codec import default_settings, load_models
from ..restoration import stages
from ..restoration.denoiser import Picture
from ..restoration.fusion import Fusion, Trajectory
from ..restoration.guidance import Guidance, GuidanceSettings, energy_of
from ..restoration.solvers import SOLVERS
from ..restoration.starts import noise_levels_of, stage_noise, step_noise
from ..restoration.tiles import windows
from ..semantics import SceneObject, Semantics

HEIGHT, WIDTH = 128, 192
PROMPT, NAME = "red cup, a glossy red cup on a table", "red cup"


def exactness_table() -> Iterator[str]:
    """Lines of the table."""
    yield f"{'promise':<66}{'measured':>14}"
    for row in (_fusion, _gradients, _half_gradients, _half_trajectories, _tiles):
        for promise, value in row():
            yield f"{promise:<66}{value:>14}"


def _reference() -> Tensor:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / 40
    return torch.from_numpy(0.5 + 0.4 * np.sin(np.stack([x, y + x, 2 * y - x]))).float()[None]


def _mask() -> Tensor:
    mask = torch.zeros(HEIGHT, WIDTH)
    mask[32:96, 24:104] = 1
    return mask


def _bound(precision: str = "float32", control: bool = True) -> tuple:
    models = load_models(precision=precision)
    if not control:
        models.controlnet = None  # type: ignore[attr-defined]
    picture = Picture(_reference(), models.encode)
    return models, picture, models.condition(PROMPT, "", 1.0, picture)


def _fusion() -> Iterator[tuple[str, str]]:
    models, picture, denoiser = _bound()
    noise = stage_noise(picture.latent, 0, 0)
    for name, solver in SOLVERS.items():
        sigmas = noise_levels_of(lambda n: models.sigmas("simple", n), 3, name)

        def run(seed: int, fusion: Fusion | None = None, solver=solver, sigmas=sigmas) -> Trajectory:
            start = models.start(stage_noise(noise, seed, 1), sigmas[0], torch.zeros_like(noise))
            fresh: Callable = lambda: step_noise(noise, seed, 1)  # noqa: E731
            return stages.restore(denoiser, start, sigmas, solver, None, fusion, noise, fresh_noise=fresh)

        free, before = run(0), run(1)
        ones = run(0, Fusion(torch.ones(HEIGHT, WIDTH), before)).latents[-1]
        zeros = run(0, Fusion(torch.zeros(HEIGHT, WIDTH), before)).latents[-1]
        equal = torch.equal(ones, free.latents[-1]) and torch.equal(zeros, before.latents[-1])
        yield f"{name}: mask of 1 is no fusion, of 0 the stage before", "bit for bit" if equal else "differs"


def _gradients() -> Iterator[tuple[str, str]]:
    for control in (False, True):
        models, picture, denoiser = _bound(control=control)
        guidance = Guidance(_mask(), tuple(models.token_positions(PROMPT, NAME)))
        gradient = _gradient(denoiser, picture, guidance)
        direction, sigma, step = gradient / gradient.norm(), torch.tensor(5.0), 0.1
        with torch.no_grad():
            ahead, behind = (
                energy_of(denoiser, _latent(picture) + sign * step * direction, sigma, guidance).double()
                for sign in (1, -1)
            )
        found = ((ahead - behind) / (2 * step) / gradient.norm()).item()
        yield f"central difference / gradient, {'with' if control else 'without'} ControlNet", f"{found:.4f}"


def _half_gradients() -> Iterator[tuple[str, str]]:
    models, picture, denoiser = _bound()
    guidance = Guidance(_mask(), tuple(models.token_positions(PROMPT, NAME)), GuidanceSettings())
    exact = _gradient(denoiser, picture, guidance).flatten()
    for precision in ("bfloat16", "float16"):
        found = _gradient(_bound(precision)[2], picture, guidance).flatten()
        cosine = torch.cosine_similarity(found, exact, 0).item()
        yield f"cosine of {precision}'s gradient with float32's (at least 0.98)", f"{cosine:.4f}"


def _half_trajectories() -> Iterator[tuple[str, str]]:
    half = _decoded()
    with mock.patch.object(stages, "kept", lambda x: x):
        full = _decoded()
    difference = (half - full).abs().max().item() * 255
    yield "trajectories in half precision: largest change, in 8-bit levels", f"{difference:.4f}"


def _tiles() -> Iterator[tuple[str, str]]:
    for name, picture in (
        ("flat", torch.full((1, 3, HEIGHT, 320), 0.5)),
        ("gradient", torch.linspace(0.2, 0.8, 320).expand(1, 3, HEIGHT, 320).contiguous()),
    ):
        places = {8 * edge for w in windows(16, 40, 16) for edge in (w.columns.start, w.columns.stop)}
        edges = [place - 1 for place in sorted(places) if 0 < place < 320]
        found = []
        for working_size in (128, 512):
            settings = replace(default_settings(), overall_steps=4, working_size=working_size)
            *_, final = stages.decode(load_models(), picture, Semantics("a plain grey wall"), settings)
            found.append((final.image[0].mean((0, 1)) * 255).diff().abs()[edges].mean().item())
        yield f"{name} picture: mean step at seams of tiles / there without tiles", f"{found[0]:.2f} / {found[1]:.2f}"


def _decoded() -> Tensor:
    left, right = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    left[16:104, 8:72], right[32:96, 96:168] = True, True
    objects = (SceneObject(NAME, "glossy red cup", left), SceneObject("silver spoon", "polished", right))
    settings = replace(default_settings(), object_steps=4, overall_steps=4)
    *_, final = stages.decode(load_models(), _reference(), Semantics("A red cup and a spoon", objects), settings)
    return final.image


def _latent(picture: Picture) -> Tensor:
    return picture.latent + 5 * stage_noise(picture.latent, 0, 7)


def _gradient(denoiser, picture: Picture, guidance: Guidance) -> Tensor:
    leaf = _latent(picture).requires_grad_()
    return torch.autograd.grad(energy_of(denoiser, leaf, torch.tensor(5.0), guidance), leaf)[0]
