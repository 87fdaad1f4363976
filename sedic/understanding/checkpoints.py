"""Reading the files of detectors and segmenters: what kind a path is, and its tensors. Nothing downloads.

What transformers prints while it loads (bars, reports of keys) stays away: what matters of it is told in a sentence.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SedicError
from . import impostors

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

SUFFIXES = (".pth", ".pt", ".safetensors")
# What torch's restricted unpickler stumbles over in bytes that are no checkpoint.
_BAD_BYTES = (ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error)


class ModelError(SedicError):
    """A model's file or folder is missing or cannot be used."""


def model_type(folder: Path) -> str:
    """``model_type`` of the config.json of a transformers folder; "" where there is none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(config.get("model_type", "")) if isinstance(config, dict) else ""


def models_in(folder: Path, types: tuple[str, ...], files: bool = True, depth: int = 1) -> list[str]:
    """Names of the models inside a folder: checkpoint files right in it, and transformers folders of these types.

    Args:
        folder: where to look.
        types: values of ``model_type``.
        files: whether such a model may be a single file.
        depth: 2 also looks for folders in its folders, which are then named ``outer/inner``.
    """
    if not folder.is_dir():
        return []
    found = []
    for entry in sorted(folder.iterdir()):
        if (files and entry.suffix.lower() in SUFFIXES and entry.is_file()) or model_type(entry) in types:
            found.append(entry.name)
        elif depth > 1 and entry.is_dir():
            found += [f"{entry.name}/{e.name}" for e in sorted(entry.iterdir()) if model_type(e) in types]
    return found


def require(path: Path, what: str, source: str, otherwise: str = "give masks or boxes instead") -> None:
    """Raises :class:`ModelError`, which names file, folder, source and a way without, unless the path exists.

    What lies there in place of a model (a web page, a refusal, a pointer) is named, too.
    """
    if not path.exists():
        raise ModelError(
            f"{what} {path.name} is not in {path.parent.absolute()}; get it from {source} and put it there, "
            f"or {otherwise}."
        )
    found = impostors.impostor(path)
    if found:
        raise ModelError(f"{found}.")


@contextmanager
def silence() -> Iterator[None]:
    """Keeps transformers' bars and reports off the terminal for the length of a ``with``."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def read_tensors(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint file, with the wrappers that training scripts leave around them taken off.

    Raises:
        ModelError: not a checkpoint, damaged, or one that would run code when loaded.
    """
    import torch

    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                tensors: Any = load_file(path)
            except SafetensorError as error:
                raise ModelError(_damaged(path, what)) from error
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, *_BAD_BYTES) as error:
        raise ModelError(_damaged(path, what)) from error
    for wrapper in ("model", "state_dict"):
        if isinstance(tensors, dict) and isinstance(tensors.get(wrapper), dict):
            tensors = tensors[wrapper]
    if not isinstance(tensors, dict) or not all(isinstance(t, torch.Tensor) for t in tensors.values()):
        raise ModelError(_damaged(path, what))
    tensors = {str(k).removeprefix("module."): t for k, t in tensors.items()}
    found = impostors.relative(tensors)
    if found:
        raise ModelError(f"{path} holds {found}.")
    return tensors


def load_folder(kind: Any, folder: Path, what: str, spare: bool = False, **changes: object) -> PreTrainedModel:
    """The model of a transformers folder, from its local files only, in evaluation mode.

    Args:
        kind: the model's class, or an Auto class.
        folder: with config.json and weights.
        what: named in errors.
        spare: whether the folder may hold weights that the class does not use (parts for training, for instance);
            they are then kept in the precision in which they are stored.
        changes: attributes to set on the configuration.

    Raises:
        ModelError: a file is missing or damaged, or some weights are.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig

    try:
        # The class's own configuration, not the one that the folder names: it may be that of a larger whole.
        described: Any = getattr(kind, "config_class", None) or AutoConfig
        config = described.from_pretrained(folder, local_files_only=True)
        for key, value in changes.items():
            setattr(config, key, value)
        # Transformers 5 keeps the stored precision by itself and calls the setting dtype; it takes the old name too.
        stored = {"torch_dtype": "auto"} if spare else {}
        with silence():
            model, told = kind.from_pretrained(
                folder, config=config, local_files_only=True, output_loading_info=True, **stored
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError, pickle.UnpicklingError) as error:
        raise ModelError(_unreadable(folder, what, error)) from error
    if impostors.quantised(folder) and _lost(told, spare):
        raise ModelError(_unreadable(folder, what, ValueError("weights do not fit")))
    _whole(told, folder, what, spare)
    return model.eval()


def _unreadable(folder: Path, what: str, error: BaseException) -> str:
    """Why a folder cannot be read: what it is, or else what transformers says of it."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    unread = f"The folder {folder} cannot be read as {what}"
    method = impostors.quantised(folder)
    if method:
        return (
            f"{unread}: its weights are quantised by {method}, which cannot be run here ({reason}); take the folder "
            "that is not quantised, or install what it needs."
        )
    if impostors.without_weights(folder):
        return (
            f"{unread}: it holds no weights; fetch the whole folder, and where the model is gated accept its licence "
            "on its page and log in first (hf auth login)."
        )
    return f"{unread} ({reason}); fetch it again."


def load_tensors(kind: Any, config: object, tensors: dict[str, Tensor], path: Path, what: str) -> PreTrainedModel:
    """A model from tensors under the names of its transformers folder, in evaluation mode, on the CPU.

    Raises:
        ModelError: a tensor is missing, left over, or of another shape.
    """
    try:
        with silence():
            model, told = kind.from_pretrained(None, config=config, state_dict=tensors, output_loading_info=True)
    except RuntimeError as error:
        raise ModelError(_damaged(path, what)) from error
    _whole(told, path, what)
    return model.eval()


def fill(model: Module, tensors: dict[str, Tensor], path: Path, what: str) -> None:
    """Makes the tensors, in float32, the weights of a model whose weights are on the meta device.

    Raises:
        ModelError: a tensor is missing, left over, or of another shape.
    """
    own = {name: weight.shape for name, weight in model.state_dict().items()}
    told = {
        "missing_keys": sorted(own.keys() - tensors.keys()),
        "unexpected_keys": sorted(tensors.keys() - own.keys()),
        "mismatched_keys": [name for name, shape in own.items() if name in tensors and tensors[name].shape != shape],
    }
    _whole(told, path, what)
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    except RuntimeError as error:
        raise ModelError(_damaged(path, what)) from error


# Grounding DINO never reads the last norm of its Swin backbone: the class has it, original checkpoints do not. Where a
# window's positions lie follows from its size; only transformers 4 counts that among the weights.
_COUNTED = (".swin.layernorm.", ".relative_position_index")


def _whole(told: dict, path: Path, what: str, spare: bool = False) -> None:
    """Weights that do not land are an error, never silence: transformers fills gaps with random numbers."""
    lost = _lost(told, spare)
    if lost:
        raise ModelError(
            f"{path} is not a whole {what}: {len(lost)} weights do not fit, first {lost[0]}; fetch it again."
        )


def _lost(told: dict, spare: bool) -> list[str]:
    """Names of the weights that found no place, or are missing."""
    faults = ("missing_keys", "mismatched_keys") if spare else ("missing_keys", "unexpected_keys", "mismatched_keys")
    lost = [str(key) for fault in faults for key in told[fault]]
    return [key for key in lost if not any(part in key for part in _COUNTED)]


def _damaged(path: Path, what: str) -> str:
    return f"{path} cannot be read as a checkpoint of {what}; it is damaged or of another kind: fetch it again."
