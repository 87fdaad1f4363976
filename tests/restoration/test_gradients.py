"""Guidance on real networks: its gradient against central differences, in half precision, and its switches."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from sedic.errors import SedicError
from sedic.models import embedded
from sedic.restoration.denoiser import ATTENTION_LAYERS, CONTROL_LAYERS, Picture
from sedic.restoration.diffusers_backend.denoiser import DiffusersModels
from sedic.restoration.guidance import Guidance, GuidanceSettings, energy_of

MASK = torch.zeros(128, 192)
MASK[32:96, 24:104] = 1
SIGMA = torch.tensor(5.0)


def models(precision: str = "float32", control: bool = True) -> DiffusersModels:
    """The embedded models, read anew: precision is changed in place."""
    parts = {part: embedded.load(part) for part in embedded.PARTS if control or part != "controlnet"}
    return DiffusersModels(
        **({"controlnet": None} | parts), tokenizer=embedded.tokenizer(), prediction=embedded.PREDICTION,
        latent_condition=True,
    ).in_precision(precision)  # fmt: skip


@cache
def full(control: bool = True) -> DiffusersModels:
    return models(control=control)


def bound(of: DiffusersModels):
    picture = torch.rand(1, 3, 128, 192, generator=torch.Generator().manual_seed(3))
    return of.condition("red cup, a glossy red cup", "blurry", 1.0, Picture(picture, of.encode))


def latent() -> torch.Tensor:
    return torch.randn(1, embedded.LATENT_CHANNELS, 16, 24, generator=torch.Generator().manual_seed(2)) * 4


def guidance(**settings) -> Guidance:
    tokens = tuple(full().token_positions("red cup, a glossy red cup", "red cup"))
    return Guidance(MASK, tokens, GuidanceSettings(**settings))


def gradient(of: DiffusersModels, chosen: Guidance) -> torch.Tensor:
    leaf = latent().requires_grad_()
    return torch.autograd.grad(energy_of(bound(of), leaf, SIGMA, chosen), leaf)[0]


def slope_along(of: DiffusersModels, chosen: Guidance, direction: torch.Tensor, step: float = 0.1) -> float:
    """Central difference of the energy."""
    with torch.no_grad():
        ahead, behind = (
            energy_of(bound(of), latent() + sign * step * direction, SIGMA, chosen).double() for sign in (1, -1)
        )
    return ((ahead - behind) / (2 * step)).item()


@pytest.mark.parametrize(
    ("control", "layers", "reduction"),
    [
        (False, ATTENTION_LAYERS[:1], "mean"),
        (True, ATTENTION_LAYERS[:1], "mean"),
        (True, ATTENTION_LAYERS, "mean"),
        (True, (CONTROL_LAYERS,), "max"),
        (True, ("middle block", "second up block"), "sum"),
    ],
    ids=["alone", "with the ControlNet", "all layers", "the ControlNet's own", "two layers"],
)
def test_gradient_equals_central_differences(control, layers, reduction):
    chosen = guidance(layers=tuple(layers), reduction=reduction)
    found = gradient(full(control), chosen)
    norm = found.norm().item()
    assert norm > 1e-6
    assert slope_along(full(control), chosen, found / norm) == pytest.approx(norm, rel=0.01)


def test_a_gradient_around_the_controlnet_takes_what_it_adds_as_a_constant():
    through, around = (gradient(full(), guidance(through_control=value)) for value in (True, False))
    assert not torch.allclose(through, around, rtol=0.01)
    denoiser = bound(full())
    control, frozen = denoiser._control, {}

    def constant(z, *arguments):
        if "added" not in frozen:
            frozen["added"] = control(z, *arguments)
        return frozen["added"]

    denoiser._control = constant
    chosen = guidance(through_control=False)
    with torch.no_grad():
        energy_of(denoiser, latent(), SIGMA, chosen)  # keeps what the ControlNet adds here
        direction = around / around.norm()
        ahead, behind = (energy_of(denoiser, latent() + sign * 0.1 * direction, SIGMA, chosen) for sign in (1, -1))
    assert ((ahead - behind) / 0.2).item() == pytest.approx(around.norm().item(), rel=0.01)


def test_the_controlnet_runs_without_gradients_when_they_do_not_go_through_it():
    seen = []
    hook = full().controlnet.register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    try:
        gradient(full(), guidance(through_control=False))
        gradient(full(), guidance(through_control=True))
    finally:
        hook.remove()
    assert seen == [False, True]


def test_the_unet_is_not_reached_when_only_the_controlnets_layers_are_read():
    seen = []
    hook = full().unet.register_forward_hook(lambda *_: seen.append(1))
    try:
        maps = bound(full()).attention(latent().requires_grad_(), SIGMA, [CONTROL_LAYERS])
    finally:
        hook.remove()
    assert [one.grid for one in maps] == [(4, 6), (4, 6)]
    assert not seen


@pytest.mark.processor
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("through_control", [True, False])
def test_half_precision_points_the_same_way(precision, through_control):
    chosen = guidance(through_control=through_control)
    cosine = torch.cosine_similarity(
        gradient(models(precision), chosen).flatten(), gradient(full(), chosen).flatten(), 0
    )
    assert cosine >= 0.98


def test_layers_without_a_controlnet_are_refused_with_those_there_are():
    with pytest.raises(SedicError, match=r"no control net .*middle block, first up block, second up block"):
        gradient(full(control=False), guidance(layers=(CONTROL_LAYERS,)))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"layers": ()}, "choose one or more of first up block"),
        ({"layers": ("third up block",)}, "third up block"),
        ({"reduction": "median"}, "'median'; use one of mean, max, sum"),
        ({"layers": (CONTROL_LAYERS,), "through_control": False}, "turn that on, or leave those layers out"),
        ({"eta": -1.0}, "eta is -1"),
        ({"t_prime": 1.5}, "t_prime is 1.5"),
    ],
)
def test_each_wrong_setting_is_told(settings, told):
    with pytest.raises(SedicError, match=told):
        GuidanceSettings(**settings)


def test_settings_can_be_changed_one_by_one():
    assert replace(GuidanceSettings(), eta=30.0).layers == ATTENTION_LAYERS[:1]
