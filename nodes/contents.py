"""What a stage's inputs hold, as a key: where two keys are equal, sampling would give the same result.

ComfyUI knows a node's inputs by their ancestry, so that a file that changed in one word gives new objects everywhere.
Here tensors, numbers and texts are known by their content, and models by the object that they are, with what has been
patched into them. Other people's functions and objects are known by both, as what they do cannot be read.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import pathlib
import types
import uuid
from collections.abc import Iterable
from typing import Any

import comfy.controlnet
import comfy.hooks
import comfy.model_patcher
import comfy.sd
import numpy as np
import torch
from torch import Tensor, nn

MOST_PARTS = 100_000  # of a stage's inputs; beyond it reading them takes longer than it saves

# Set while sampling, or by where a model lies: they say nothing of the result.
_OF_A_PATCHER = {
    "model", "size", "patches", "patches_uuid", "parent", "pinned", "backup", "backup_buffers", "object_patches_backup",
    "is_injected", "skip_injection", "hook_patches", "hook_patches_backup", "hook_backup", "cached_hook_patches",
    "current_hooks", "cached_patcher_init", "clone_base_uuid", "non_dynamic_delegate_model",
}  # fmt: skip
_OF_A_RUN: dict[type, set[str]] = {
    comfy.controlnet.ControlBase: {"cond_hint", "extra_concat", "timestep_range", "model_sampling_current",
                                   "control_input"},
    comfy.hooks.Hook: {"_skip_adding"},
    comfy.hooks.HookKeyframe: {"start_t"},
    comfy.hooks.HookKeyframeGroup: {"_current_keyframe", "_current_used_steps", "_current_index", "_current_strength",
                                    "_curr_t", "curr_t"},
    comfy.sd.VAE: {"size"},
}  # fmt: skip
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

# ComfyUI copies these for every conditioning that they are applied to: known by what they hold.
_COPIED = (
    comfy.controlnet.ControlBase, comfy.hooks.Hook, comfy.hooks.HookGroup, comfy.hooks.HookKeyframe,
    comfy.hooks.HookKeyframeGroup,
)  # fmt: skip
_OWN = __name__.rpartition(".nodes.")[0] + "."


class Unknowable(Exception):
    """Among the inputs is something whose content cannot be told."""


class Contents:
    """One reading of a stage's inputs.

    Attributes:
        held: what is known by being the object that it is, by its id: the key holds as long as these live.
    """

    def __init__(self) -> None:
        self.held: dict[int, Any] = {}
        self._read: dict[int, tuple[Any, bytes]] = {}  # with the object itself, so that no other gets its id meanwhile
        self._open: list[int] = []

    def of(self, value: Any) -> bytes:
        """The key of a value and all that it holds.

        Raises:
            Unknowable: it, or a part of it, has a state that nothing shows.
        """
        simple = _simple(value)
        if simple is not None:
            return simple
        if id(value) in self._read:
            return self._read[id(value)][1]
        if id(value) in self._open:
            return _joined("again", [str(self._open[::-1].index(id(value))).encode()])
        if len(self._read) > MOST_PARTS:
            raise Unknowable(f"more than {MOST_PARTS} parts")
        self._open.append(id(value))
        key = self._key(value)
        self._open.pop()
        self._read[id(value)] = value, key
        return key

    def _key(self, value: Any) -> bytes:
        if isinstance(value, Tensor):
            return _of_tensor(value)
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            return _joined("array", [str((value.dtype, value.shape)).encode(), value.tobytes()])
        if isinstance(value, comfy.model_patcher.ModelPatcher):
            return self._of_patcher(value)
        if isinstance(value, nn.Module):
            return self._of_module(value)
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            return self._of_container(value)
        if isinstance(value, types.MethodType):
            return _joined("method", [self.of(value.__func__), self.of(value.__self__)])
        if isinstance(value, functools.partial):
            return _joined("partial", [self.of(part) for part in (value.func, value.args, value.keywords)])
        if isinstance(value, types.FunctionType):
            cells = [_content(cell) for cell in value.__closure__ or ()]
            parts = [cells, value.__defaults__, value.__kwdefaults__, vars(value)]
            return _joined("function", [self._identity(value), *(self.of(part) for part in parts)])
        if isinstance(value, types.BuiltinFunctionType):
            return _joined(f"builtin {value.__name__}", [self.of(value.__self__)])
        if isinstance(value, type):
            return _joined("class", [self._identity(value)])
        if isinstance(value, types.ModuleType):
            return _joined("module", [value.__name__.encode()])
        return self._of_object(value)

    def _identity(self, value: Any) -> bytes:
        if not getattr(type(value), "__weakrefoffset__", 0):
            raise Unknowable(f"a {_name(value)}, which cannot be told from another one")
        self.held[id(value)] = value
        return str(id(value)).encode()

    def _of_container(self, value: Any) -> bytes:
        if isinstance(value, dict):
            parts = [part for pair in dict.items(value) for part in pair]
        elif isinstance(value, (set, frozenset)):
            return _joined(_name(value), [*sorted(self.of(part) for part in value), self._attributes(value)])
        else:
            parts = list(value)
        return _joined(_name(value), [*(self.of(part) for part in parts), self._attributes(value)])

    def _of_object(self, value: Any) -> bytes:
        own = dataclasses.is_dataclass(value) and type(value).__module__.startswith(_OWN)
        copied = own or isinstance(value, _COPIED)
        if not copied and _hides_something(value):
            raise Unknowable(f"a {_name(value)}, whose state nothing shows")
        return _joined(_name(value), [b"" if copied else self._identity(value), self._attributes(value)])

    def _attributes(self, value: Any, without: Iterable[str] = ()) -> bytes:
        """What an object's attributes hold; one that is None counts like one that is not there."""
        left_out = {*without, *(name for kind, some in _OF_A_RUN.items() if isinstance(value, kind) for name in some)}
        shown = {name: getattr(value, name) for name in _slots(value) if hasattr(value, name)}
        shown |= getattr(value, "__dict__", {})
        parts = []
        for name in sorted(name for name, one in shown.items() if one is not None and name not in left_out):
            weights = isinstance(value, comfy.hooks.WeightHook) and name in ("weights", "weights_clip")
            parts += [name.encode(), self._of_weights(shown[name]) if weights else self.of(shown[name])]
        return _joined("attributes", parts)

    def _of_weights(self, value: Any) -> bytes:
        """Another model's weights, as a hook applies them: too many to be read for every stage, and never changed."""
        if isinstance(value, Tensor):
            return _joined("weight", [self._identity(value), str((value.dtype, value.shape)).encode()])
        if isinstance(value, dict):
            return _joined("weights", [part for k, v in value.items() for part in (self.of(k), self._of_weights(v))])
        if isinstance(value, (list, tuple)):
            return _joined("weights", [self._of_weights(part) for part in value])
        return self.of(value)

    def _of_patcher(self, patcher: Any) -> bytes:
        """A MODEL: the network, and what has been put into it.

        ComfyUI gives patched weights a new number each time; also where a hook patches them for the length of a run,
        which the conditioning tells.
        """
        strengths = [
            (key, [[part for place, part in enumerate(patch) if place != 1] for patch in patches])
            for table in (patcher.patches, *patcher.hook_patches.values())
            for key, patches in table.items()
        ]  # 1: the weights themselves
        seen = []
        for name in ("diffusion_model", "model_sampling"):
            try:
                seen.append(patcher.get_model_object(name))
            except AttributeError:
                seen.append(patcher.model)
        parts = [patcher.patches_uuid if patcher.patches else None, strengths, list(patcher.hook_patches), *seen]
        keys = [self._identity(patcher.model), *(self.of(part) for part in parts)]
        return _joined(_name(patcher), [*keys, self._attributes(patcher, _OF_A_PATCHER)])

    def _of_module(self, module: nn.Module) -> bytes:
        """A network: the object that it is, its layers' kinds and precisions, and whatever hangs on them."""
        parts = [self._identity(module)]
        for name, layer in module.named_modules():
            stored = [
                (key, str(one.dtype), tuple(one.shape)) for key, one in layer._parameters.items() if one is not None
            ]
            parts.append(repr((name, _name(layer), stored)).encode())
            if not _name(layer).startswith(
                ("comfy.", "torch.")
            ):  # theirs say how they are loaded, others' what they do
                told = [(key, _simple(one)) for key, one in sorted(vars(layer).items())]
                parts += [_joined(key, [one]) for key, one in told if one is not None]
            parts += [self.of(buffer) for buffer in layer._buffers.values() if buffer is not None]
            parts += [self.of(hook) for table in _HOOKS for hook in (getattr(layer, table, None) or {}).values()]
            if "forward" in vars(layer) and not isinstance(layer, torch._dynamo.OptimizedModule):
                parts.append(self.of(vars(layer)["forward"]))
        return _joined("network", parts)


def _simple(value: Any) -> bytes | None:
    """The key of what is nothing but its content; None for everything else."""
    if isinstance(value, enum.Enum):
        return f"{_name(value)}.{value.name}".encode()
    if isinstance(value, np.generic) and not value.dtype.hasobject:
        return f"{value.dtype} ".encode() + value.tobytes()
    if isinstance(value, str):
        return b"text " + value.encode("utf-8", "surrogatepass")
    if isinstance(value, (bytes, bytearray)):
        return b"bytes " + bytes(value)
    if value is None or isinstance(value, (bool, int, float, complex, range, slice, uuid.UUID, pathlib.PurePath)):
        return f"{type(value).__name__} {value!r}".encode()
    if isinstance(value, (torch.dtype, torch.device, torch.layout, torch.memory_format)):
        return f"{_name(value)} {value}".encode()
    return None


def _of_tensor(value: Tensor) -> bytes:
    if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided or value.device.type == "meta":
        raise Unknowable(f"a {_name(value)} of {value.layout} on {value.device}")
    content = value.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)
    return _joined("tensor", [str((value.dtype, tuple(value.shape))).encode(), content.numpy()])


def _joined(kind: str, parts: Iterable[Any]) -> bytes:
    """One key of several, each with its length before it, so that no two rows of parts read alike."""
    key = hashlib.blake2b(kind.encode(), digest_size=32)
    for part in parts:
        key.update(f" {len(part)} ".encode())
        key.update(part)
    return key.digest()


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return types.CellType


def _slots(value: Any) -> list[str]:
    """The names of an object's slots, as they are reached from outside."""
    found = []
    for kind in type(value).__mro__:
        named = vars(kind).get("__slots__", ())
        for name in (named,) if isinstance(named, str) else named:
            private = name.startswith("__") and not name.endswith("__")
            found.append(f"_{kind.__name__.lstrip('_')}{name}" if private else name)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _hides_something(value: Any) -> bool:
    """Whether an object has more in it than its attributes, as one written in C may have."""
    slots, pointer = _slots(value), object.__basicsize__ // 2
    hidden = type(value).__basicsize__ - object.__basicsize__ - pointer * len(slots)
    return not (hasattr(value, "__dict__") or slots) or hidden > 2 * pointer  # its dictionary, and weak references


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
