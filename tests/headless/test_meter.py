"""What a computation costs is counted whole: PyTorch's own counter knows no attention of processors."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from headless.meter import counted


def test_attention_on_a_processor_is_counted_forwards_and_backwards():
    query, key, value = (torch.randn(1, 2, n, 8, requires_grad=n == 32) for n in (32, 64, 64))
    product = 2 * 2 * 32 * 64 * 8  # two heads
    with counted() as forwards:
        result = F.scaled_dot_product_attention(query, key, value)
    with counted() as backwards:
        torch.autograd.grad(result.sum(), query)
    assert forwards.operations == 2 * product
    assert backwards.operations == 5 * product


def test_what_is_computed_anew_on_the_way_back_is_let_go_of_as_it_would_be_uncounted():
    """Sixteen blocks of four layers: kept whole, or one at a time, for a forward pass more."""
    blocks = [nn.Sequential(*(nn.Sequential(nn.Linear(64, 64), nn.GELU()) for _ in range(4))) for _ in range(16)]
    costs = {}
    for again in (False, True):
        x = torch.randn(256, 64, requires_grad=True)
        with counted() as costs[again]:
            y = 1 * x  # no leaf, as a network's input is none
            for block in blocks:
                block.requires_grad_(False)
                y = checkpoint(block, y, use_reentrant=False) if again else block(y)
            torch.autograd.grad(y.sum(), x)
    forwards = 16 * 4 * 2 * 256 * 64 * 64
    assert costs[False].operations == 2 * forwards
    assert costs[True].operations == 3 * forwards
    assert costs[True].peak < 0.4 * costs[False].peak
