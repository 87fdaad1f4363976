"""Steps from one noise level to the next: pure functions with one signature, named after the samplers.

Each takes ``denoise(x, sigma) -> x0``, x (B, C, h, w), two scalars, the step before and a source of noise, and returns
x at ``sigma_next``. The order of operations is that of k-diffusion's samplers, so that a stage without guidance equals
a stock sampler bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import SedicError

if TYPE_CHECKING:
    from torch import Tensor

Denoise = Callable[["Tensor", "Tensor"], "Tensor"]
NoiseSampler = Callable[["Tensor", "Tensor"], "Tensor"]
"""Told (sigma, sigma_next), gives fresh standard normal noise like x, as k-diffusion's noise samplers do."""


@dataclass(frozen=True)
class Past:
    """The step before: its noise level, and x0 as the network predicted it there."""

    sigma: Tensor
    denoised: Tensor


Solver = Callable[[Denoise, "Tensor", "Tensor", "Tensor", "Past | None", "NoiseSampler | None"], "Tensor"]


def slope(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dσ of the probability flow ODE, (x − x0) / σ (Karras et al. 2022, Eq. 3)."""
    return (x - denoised) / sigma


def euler(
    denoise: Denoise,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    past: Past | None = None,
    noise: NoiseSampler | None = None,
) -> Tensor:
    """First order; the same step as DDIM with η = 0 (Song et al. 2021)."""
    return x + slope(x, sigma, denoise(x, sigma)) * (sigma_next - sigma)


def euler_ancestral(
    denoise: Denoise,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    past: Past | None = None,
    noise: NoiseSampler | None = None,
) -> Tensor:
    """Below ``sigma_next`` by an Euler step, then up to it with fresh noise (Song et al. 2021, DDPM's step).

    Raises:
        ValueError: there is no source of noise.
    """
    draw = _source(noise, "euler_ancestral")
    denoised = denoise(x, sigma)
    fresh = (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5
    fresh = min(sigma_next, fresh)
    below = (sigma_next**2 - fresh**2) ** 0.5
    if below == 0:
        return denoised
    return x + slope(x, sigma, denoised) * (below - sigma) + draw(sigma, sigma_next) * fresh


def heun(
    denoise: Denoise,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    past: Past | None = None,
    noise: NoiseSampler | None = None,
) -> Tensor:
    """Second order, trapezoidal (Karras et al. 2022, Algorithm 1); two evaluations, one in the last step."""
    first = slope(x, sigma, denoise(x, sigma))
    step = sigma_next - sigma
    if sigma_next == 0:
        return x + first * step
    ahead = x + first * step
    second = slope(ahead, sigma_next, denoise(ahead, sigma_next))
    return x + (first + second) / 2 * step


def dpm_2(
    denoise: Denoise,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    past: Past | None = None,
    noise: NoiseSampler | None = None,
) -> Tensor:
    """Second order with a midpoint in log σ (Lu et al. 2022, DPM-Solver-2); two evaluations, one in the last step."""
    first = slope(x, sigma, denoise(x, sigma))
    if sigma_next == 0:
        return x + first * (sigma_next - sigma)
    middle = sigma.log().lerp(sigma_next.log(), 0.5).exp()
    midway = x + first * (middle - sigma)
    return x + slope(midway, middle, denoise(midway, middle)) * (sigma_next - sigma)


def dpmpp_2m(
    denoise: Denoise,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    past: Past | None = None,
    noise: NoiseSampler | None = None,
) -> Tensor:
    """Second order from the step before (Lu et al. 2022, DPM-Solver++(2M)); one evaluation, first order without it."""
    denoised = denoise(x, sigma)
    time, time_next = sigma.log().neg(), sigma_next.log().neg()
    step = time_next - time
    ahead = denoised
    if past is not None and sigma_next != 0:
        ratio = (time - past.sigma.log().neg()) / step
        ahead = (1 + 1 / (2 * ratio)) * denoised - (1 / (2 * ratio)) * past.denoised
    return (time_next.neg().exp() / time.neg().exp()) * x - (-step).expm1() * ahead


def lcm(
    denoise: Denoise,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    past: Past | None = None,
    noise: NoiseSampler | None = None,
) -> Tensor:
    """The network's x0, then up to ``sigma_next`` with fresh noise (Luo et al. 2023, multistep consistency sampling).

    Raises:
        ValueError: there is no source of noise.
    """
    return _consistent(denoise, x, sigma, sigma_next, noise, 1.0)


def euler_ancestral_flow(
    denoise: Denoise,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    past: Past | None = None,
    noise: NoiseSampler | None = None,
) -> Tensor:
    """:func:`euler_ancestral` where x = (1 − σ)x0 + σε: below ``sigma_next``, then back to both its shares.

    Raises:
        ValueError: there is no source of noise.
    """
    draw = _source(noise, "euler_ancestral")
    denoised = denoise(x, sigma)
    if sigma_next == 0:
        return denoised
    below = sigma_next * (1 + (sigma_next / sigma - 1))
    kept, kept_below = 1 - sigma_next, 1 - below
    fresh = (sigma_next**2 - below**2 * kept**2 / kept_below**2) ** 0.5
    ratio = below / sigma
    x = ratio * x + (1 - ratio) * denoised
    return (kept / kept_below) * x + draw(sigma, sigma_next) * fresh


def lcm_flow(
    denoise: Denoise,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    past: Past | None = None,
    noise: NoiseSampler | None = None,
) -> Tensor:
    """Multistep consistency sampling (Luo et al. 2023) where x = (1 − σ)x0 + σε.

    Raises:
        ValueError: there is no source of noise.
    """
    return _consistent(denoise, x, sigma, sigma_next, noise, 1.0 - sigma_next)


def _consistent(
    denoise: Denoise, x: Tensor, sigma: Tensor, sigma_next: Tensor, noise: NoiseSampler | None, kept: Tensor | float
) -> Tensor:
    """``kept`` of the network's x0, and ``sigma_next`` of fresh noise; x0 itself at the end."""
    draw = _source(noise, "lcm")
    denoised = denoise(x, sigma)
    if sigma_next == 0:
        return denoised
    return draw(sigma, sigma_next) * sigma_next + kept * denoised


def _source(noise: NoiseSampler | None, sampler: str) -> NoiseSampler:
    if noise is None:
        raise ValueError(f"{sampler} draws noise at every step; give it a noise sampler.")
    return noise


SOLVERS: dict[str, Solver] = {
    "euler": euler,
    "heun": heun,
    "dpm_2": dpm_2,
    "euler_ancestral": euler_ancestral,
    "ddim": euler,
    "dpmpp_2m": dpmpp_2m,
    "lcm": lcm,
}

IN_FLOW: dict[str, Solver] = {"euler_ancestral": euler_ancestral_flow, "lcm": lcm_flow}
"""The samplers that add noise of their own do it otherwise in flow models, where x = (1 − σ)x0 + σε."""

LEAVES_ONE_LEVEL_OUT = frozenset({"dpm_2"})
"""Samplers for which ComfyUI asks a schedule for one level more and leaves out the last before 0."""


def solver_named(name: str, flow: bool = False) -> Solver:
    """The solver of a sampler's name, in a flow model or another.

    Raises:
        SedicError: this sampler cannot be stepped exactly with guidance and fusion between its steps.
    """
    if name not in SOLVERS:
        raise SedicError(
            f"The sampler {name!r} cannot be guided and fused between exact steps; use one of {', '.join(SOLVERS)}."
        )
    return IN_FLOW.get(name, SOLVERS[name]) if flow else SOLVERS[name]
