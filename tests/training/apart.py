"""A second device out of the processor's memory, to see on any machine what a training does with a GPU.

Nothing is faked: the processor computes everything. What went through ``to("cpu:0")`` or was made there, and what was
computed from it, counts as *there*, all else, on ``cpu``, as *here*; both meet only where PyTorch lets a GPU's tensors
meet the processor's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

THERE = "cpu:0"
"""What the trainings' :class:`sedic.training.device.Device` is called for it."""

_COPIES = {"aten::copy_", "aten::_foreach_copy_"}  # from any device to any
_INDEXES = {
    "aten::index",
    "aten::index_put",
    "aten::index_put_",
    "aten::_index_put_impl_",
}  # the processor's may be used
_JOINS = {"aten::cat", "aten::stack"}  # of numbers, too, where elsewhere the processor's serve everywhere
_READS = (Tensor.numpy, Tensor.__array__)  # of the processor's memory
_KEEP = (Tensor.__deepcopy__, torch.nn.Parameter.__deepcopy__, Tensor.new_tensor)
_DEVICE = Tensor.device.__get__  # type: ignore[attr-defined]
_TOLD = {*_READS, *_KEEP, _DEVICE, Tensor.to, Tensor.cpu}


def tensors(tree: Any) -> list[Tensor]:
    """All that lists, tuples and dictionaries hold."""
    found: list[Tensor] = []
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else (tree,):
        if isinstance(part, Tensor):
            found.append(part)
        elif isinstance(part, list | tuple | dict):
            found += tensors(part)
    return found


class Apart(TorchDispatchMode):
    """While it lasts there are two devices."""

    def __init__(self) -> None:
        super().__init__()
        self._there: dict[int, StorageWeakRef] = {}  # which keep a dead storage's number from being used again
        self._functions = _Functions(self)

    def __enter__(self) -> Apart:
        self._functions.__enter__()
        return super().__enter__()

    def __exit__(self, *problem: Any) -> None:
        super().__exit__(*problem)
        self._functions.__exit__(*problem)

    def is_there(self, tensor: Tensor) -> bool:
        return tensor.layout == torch.strided and tensor.untyped_storage()._cdata in self._there

    def send(self, result: Any, there: bool = True) -> Any:
        for tensor in tensors(result):
            storage = tensor.untyped_storage()
            if there:
                self._there[storage._cdata] = StorageWeakRef(storage)
            else:
                self._there.pop(storage._cdata, None)
        return result

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunction():
            return self._dispatched(function, args, kwargs or {})

    def _dispatched(self, function: Any, args: Any, kwargs: Any) -> Any:
        name = function._schema.name
        given = tensors((args[:1], args[2:]) if name in _INDEXES else (args, kwargs))
        there = [t for t in given if self.is_there(t)]
        here = [t for t in given if not self.is_there(t) and (t.ndim or name in _JOINS)]
        assert not (there and here) or name in _COPIES, f"{name} of tensors on two devices"
        result = function(*args, **kwargs)
        return self.send(result) if there and name not in _COPIES else result


class _Functions(TorchFunctionMode):
    """What the dispatcher does not see: copies that the one device there is needs not, explicit devices, reading."""

    def __init__(self, apart: Apart) -> None:
        super().__init__()
        self.apart = apart

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, is_there = kwargs or {}, self.apart.is_there
        if function not in _TOLD and "device" not in kwargs:
            return function(*args, **kwargs)
        if function in _READS:
            assert not is_there(args[0]), "a GPU's memory is read"
        if function == _DEVICE and is_there(args[0]):
            return torch.device(THERE)
        result = function(*args, **kwargs)
        if function in _KEEP and is_there(args[0]):
            return self.apart.send(result)
        place = kwargs.get("device")
        if function is Tensor.cpu:
            place = "cpu"
        elif function is Tensor.to and len(args) > 1:
            if isinstance(args[1], Tensor):
                place = THERE if is_there(args[1]) else "cpu"
            elif isinstance(args[1], str | torch.device):
                place = args[1]
        if place is None or torch.device(place).type != "cpu" or not isinstance(result, Tensor):
            return result
        there = torch.device(place) == torch.device(THERE)
        if function in (Tensor.to, Tensor.cpu) and is_there(result) != there:
            result = result.clone()
        return self.apart.send(result, there)


@contextmanager
def two_devices() -> Iterator[Apart]:
    """:class:`Apart`, and what is stored meanwhile has to come from the processor."""
    mode, save = Apart(), torch.save

    def saved(value: Any, path: Any) -> None:
        assert not any(mode.is_there(t) for t in tensors(value)), "no other machine could read it"
        save(value, path)

    with mock.patch.object(torch, "save", saved), mode:
        yield mode
