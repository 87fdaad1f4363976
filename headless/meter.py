"""What a piece of computation costs, independently of how busy the machine is: operations, bytes, processor time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, shape_wrapper


@dataclass
class Cost:
    """Floating-point operations; most bytes alive at once beyond those at the start; seconds of this thread."""

    operations: int = 0
    peak: int = 0
    seconds: float = 0.0


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Two products, (B, heads, N, d) with (B, heads, M, d) and with the values: PyTorch counts no CPU's attention."""
    return 2 * math.prod(query[:3]) * key[2] * (query[3] + value[3])


def _attention_backward(_: Any, query: Any, key: Any, value: Any, *__: Any, **___: Any) -> int:
    """The scores once more, then four products, as PyTorch counts other devices' attention."""
    return 2 * math.prod(query[:3]) * key[2] * (3 * query[3] + 2 * value[3])


_FORMULAS = flop_registry | {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: shape_wrapper(_attention),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: shape_wrapper(_attention_backward),
}


class _Meter(TorchDispatchMode):
    """Counts every operation, and follows every tensor that it makes; views share their storage and count once.

    PyTorch's own counter of operations follows modules, too, by hooks that hold on to the graph of what runs inside:
    nothing that is computed anew on the way back would ever be let go of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.now = self.peak = self.operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        options = options or {}
        kind = function._overloadpacket
        if kind not in _FORMULAS and function is not torch.ops.prim.device.default:
            with self:  # a composition, which inference mode hands over whole
                result = function.decompose(*arguments, **options)
            if result is not NotImplemented:
                return result
        result = function(*arguments, **options)
        if kind in _FORMULAS:
            self.operations += _FORMULAS[kind](*arguments, **options, out_val=result)
        views = any(value.alias_info is not None for value in function._schema.returns)
        made = [] if views else [t for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
        for key, (reference, size) in list(self.alive.items()):
            if reference.expired():
                del self.alive[key]
                self.now -= size
        for tensor in made:
            storage = tensor.untyped_storage()
            if storage._cdata in self.alive:
                continue
            self.alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
            self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        return result


@contextmanager
def counted() -> Iterator[Cost]:
    """Counts operations and bytes of what runs inside; slows it down, so its seconds mean nothing and stay 0."""
    cost = Cost()
    with _Meter() as meter:
        yield cost
    cost.operations, cost.peak = meter.operations, meter.peak


@contextmanager
def timed() -> Iterator[Cost]:
    """Processor time of this thread inside: with one thread, what the work takes however busy the machine is."""
    cost = Cost()
    start = time.thread_time()
    yield cost
    cost.seconds = time.thread_time() - start
