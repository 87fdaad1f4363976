"""Where words look: the attention of a network in training, and the energy of Eq. 2 for a whole batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...restoration.diffusers_backend.reading import attention_modules


class _Watched:
    """Cross-attention that keeps its weights, (B, heads, H·W, T), in ``kept``."""

    def __init__(self, kept: list[Tensor]):
        self.kept = kept

    def __call__(self, attention: Any, hidden_states: Tensor, encoder_hidden_states: Any = None, **_: Any) -> Tensor:
        query, key, value = (
            layer(source).unflatten(-1, (attention.heads, -1)).transpose(1, 2)  # B,N,heads·D -> B,heads,N,D
            for layer, source in (
                (attention.to_q, hidden_states),
                (attention.to_k, encoder_hidden_states),
                (attention.to_v, encoder_hidden_states),
            )
        )
        weights = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).float().softmax(-1)
        self.kept.append(weights)
        return attention.to_out[0]((weights.to(value.dtype) @ value).transpose(1, 2).flatten(2))


@contextmanager
def watched_attention(unet: Any) -> Iterator[list[Tensor]]:
    """Keeps the weights of the up blocks' cross-attention of every forward pass in the list that it gives."""
    kept: list[Tensor] = []
    processor = _Watched(kept)
    modules = attention_modules(unet, None, ("first up block", "second up block"))
    before = [module.processor for module in modules]
    for module in modules:
        module.set_processor(processor)
    try:
        yield kept
    finally:
        for module, original in zip(modules, before, strict=True):
            module.set_processor(original)


def energy_of_places(kept: list[Tensor], places: Tensor, masks: Tensor) -> Tensor:
    """Eq. 2 for a batch: mean over layers, heads and names.

    Args:
        kept: attention weights (B, heads, H·W, T), one tensor a layer; the grids are squares.
        places: (B, K, T) in {0, 1}: the tokens of each name; all 0 for names that are not there.
        masks: (B, K, h, w) in [0, 1], the names' regions.
    """
    present = (places.sum(-1) > 0).float()  # B,K
    terms = []
    for weights in kept:
        side = round(weights.shape[2] ** 0.5)
        region = F.adaptive_avg_pool2d(masks, side).flatten(2)  # B,K,H·W
        of_tokens = weights.sum(2)  # B,heads,T
        inside = torch.einsum("bhnt,bkn->bhkt", weights, region)
        outside = (1 - inside / of_tokens[:, :, None]).square() * places[:, None]  # B,heads,K,T
        terms.append(
            (outside.sum(-1).mean(1) / places.sum(-1).clamp(min=1) * present).sum() / present.sum().clamp(min=1)
        )
    return torch.stack(terms).mean()
