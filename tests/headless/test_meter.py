"""What a computation costs is counted whole: PyTorch's own counter knows no attention of processors."""

from __future__ import annotations

import torch
from torch.nn import functional as F

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
