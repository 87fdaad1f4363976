"""Eq. 2: how much of an object's attention falls outside its mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .settings import REDUCTIONS


def attention_energy(attention: Tensor, mask: Tensor, tokens: Sequence[int], reduction: str = REDUCTIONS[0]) -> Tensor:
    """Share of the tokens' attention that falls outside the mask, squared (Eq. 2), mean over heads.

    Args:
        attention: softmax over tokens, A, (heads, H·W, T), float32.
        mask: M, (H, W) in {0, 1}, at least one 1.
        tokens: k, positions of the object's name among the T tokens, not empty.
        reduction: over the tokens, one of :data:`REDUCTIONS`.

    Returns:
        Scalar in [0, 1], or up to the number of tokens for ``sum``; differentiable in ``attention``; 0 when all of it
        lies inside.

    Raises:
        ValueError: the mask is empty, or its H·W is not the attention's; no tokens, or one beyond T.
    """
    if not bool(mask.any()):
        raise ValueError("The mask is empty; skip the object or enlarge its mask.")
    if mask.numel() != attention.shape[1]:
        raise ValueError(
            f"The mask has {mask.numel()} cells, the attention {attention.shape[1]}; use one grid for both."
        )
    if not tokens or max(tokens) >= attention.shape[2] or min(tokens) < 0:
        raise ValueError(f"Tokens {list(tokens)} are not among the {attention.shape[2]} of the text.")
    of_tokens = attention[:, :, list(tokens)]  # heads,H·W,T -> heads,H·W,K
    inside = (of_tokens * mask.reshape(1, -1, 1).to(of_tokens)).sum(1)  # heads,K
    energies = (1 - inside / of_tokens.sum(1)).square()  # heads,K
    if reduction == "mean":
        return energies.mean()
    return (energies.amax(1) if reduction == "max" else energies.sum(1)).mean()


def mask_on_grid(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """Brings a mask to a coarser grid by area; never empty unless the mask is.

    Args:
        mask: (H, W) in {0, 1}.
        grid: (h, w) of the result.

    Returns:
        (h, w) float in {0, 1}: cells covered by half or more, or else the best covered cell alone.
    """
    covered = F.interpolate(mask[None, None].float(), size=grid, mode="area")[0, 0]
    result = (covered >= 0.5).float()
    if not bool(result.any()) and bool(mask.any()):
        result = (covered == covered.max()).float()
    return result


def find_tokens(text: Sequence[int], phrase: Sequence[int]) -> list[int]:
    """Positions of every occurrence of the token run ``phrase`` in ``text``; empty if there is none."""
    size = len(phrase)
    found: list[int] = []
    for start in range(len(text) - size + 1):
        if size and list(text[start : start + size]) == list(phrase):
            found.extend(range(start, start + size))
    return found


def mean_energy(maps: Sequence, mask: Tensor, tokens: Sequence[int], reduction: str = REDUCTIONS[0]) -> Tensor:
    """Mean of Eq. 2 over layers; ``maps`` are :class:`~.denoiser.AttentionMap`, ``mask`` is (H, W) of the picture."""
    energies = [
        attention_energy(m.weights, mask_on_grid(mask, m.grid).to(m.weights.device), m.places(tokens), reduction)
        for m in maps
    ]
    return torch.stack(energies).mean()
