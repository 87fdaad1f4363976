"""Noise levels: Stable Diffusion's table and the ways to walk down it, under ComfyUI's names."""

from __future__ import annotations

import torch
from torch import Tensor


def noise_levels(linear_start: float = 0.00085, linear_end: float = 0.012, steps: int = 1000) -> Tensor:
    """σ of Stable Diffusion's 1000 training steps, rising, (steps,): β are squares of evenly spaced numbers."""
    betas = torch.linspace(linear_start**0.5, linear_end**0.5, steps, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)
    return ((1 - kept) / kept).sqrt().float()


def simple_schedule(table: Tensor, steps: int) -> Tensor:
    """Evenly strided levels from the top of the table, then 0; ComfyUI's ``simple``."""
    stride = len(table) / steps
    return torch.tensor([float(table[-(1 + int(i * stride))]) for i in range(steps)] + [0.0])


def karras_schedule(table: Tensor, steps: int, rho: float = 7.0) -> Tensor:
    """Karras et al. (2022), Eq. 5, then 0."""
    low, high = float(table[0]) ** (1 / rho), float(table[-1]) ** (1 / rho)
    return torch.cat([(high + torch.linspace(0, 1, steps) * (low - high)) ** rho, torch.zeros(1)])


def exponential_schedule(table: Tensor, steps: int) -> Tensor:
    """Even in log σ, then 0."""
    high, low = table[-1].log().item(), table[0].log().item()
    return torch.cat([torch.linspace(high, low, steps).exp(), torch.zeros(1)])


def normal_schedule(table: Tensor, steps: int) -> Tensor:
    """Even in time from the last training step to the first, then 0."""
    return torch.cat([_at(table, torch.linspace(len(table) - 1, 0, steps)), torch.zeros(1)])


def sgm_uniform_schedule(table: Tensor, steps: int) -> Tensor:
    """Even in time, with the first training step left out for 0."""
    return torch.cat([_at(table, torch.linspace(len(table) - 1, 0, steps + 1)[:-1]), torch.zeros(1)])


def _at(table: Tensor, times: Tensor) -> Tensor:
    """Levels at fractional training steps, linear in log σ between them."""
    low, high = times.floor().long(), times.ceil().long()
    logs = table.log()
    return torch.lerp(logs[low], logs[high], times - low).exp()


SCHEDULES = {
    "simple": simple_schedule,
    "karras": karras_schedule,
    "exponential": exponential_schedule,
    "normal": normal_schedule,
    "sgm_uniform": sgm_uniform_schedule,
}
