"""Steps from one noise level to the next: pure functions with one signature, named after the samplers.

Each takes ``denoise(x, sigma) -> x0``, x (B, C, h, w) and two scalars, and returns x at ``sigma_next``. The order of
operations is that of k-diffusion's samplers, so that a stage without guidance equals a stock sampler bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
Solver = Callable[[Denoise, Tensor, Tensor, Tensor], Tensor]


def slope(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dσ of the probability flow ODE, (x − x0) / σ (Karras et al. 2022, Eq. 3)."""
    return (x - denoised) / sigma


def euler(denoise: Denoise, x: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """First order; the same step as DDIM with η = 0."""
    return x + slope(x, sigma, denoise(x, sigma)) * (sigma_next - sigma)


def heun(denoise: Denoise, x: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """Second order, trapezoidal (Karras et al. 2022, Algorithm 1); two evaluations, one in the last step."""
    first = slope(x, sigma, denoise(x, sigma))
    step = sigma_next - sigma
    if sigma_next == 0:
        return x + first * step
    ahead = x + first * step
    second = slope(ahead, sigma_next, denoise(ahead, sigma_next))
    return x + (first + second) / 2 * step


def dpm_2(denoise: Denoise, x: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """Second order with a midpoint in log σ (Lu et al. 2022, DPM-Solver-2); two evaluations, one in the last step."""
    first = slope(x, sigma, denoise(x, sigma))
    if sigma_next == 0:
        return x + first * (sigma_next - sigma)
    middle = sigma.log().lerp(sigma_next.log(), 0.5).exp()
    midway = x + first * (middle - sigma)
    return x + slope(midway, middle, denoise(midway, middle)) * (sigma_next - sigma)


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "dpm_2": dpm_2}
