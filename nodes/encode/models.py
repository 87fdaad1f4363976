"""The eyes' models in ComfyUI: found in its model folders, loaded and freed by its model management."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP

from ...sedic.errors import SedicError
from ...sedic.understanding import checkpoints
from ...sedic.understanding.masks import grounding, segment
from ...sedic.understanding.words import local

NONE = "none"
WORKING_MEMORY = 2 * 1024**3  # bytes beside the weights that a model needs for one picture


class Kind:
    """One kind of models: where ComfyUI keeps them, and how they are read.

    Attributes:
        folders: names of model folders, also of ``extra_model_paths.yaml``, the one to recommend first.
        what, source: for the sentence about a missing model.
        files: whether such a model may be a single file.
        depth: 2 where people sort such models into folders of folders.
    """

    def __init__(
        self,
        folders: Sequence[str],
        types: Callable[[], tuple[str, ...]],
        load: Callable[[Path], Any],
        what: str,
        source: str,
        files: bool = True,
        depth: int = 1,
    ) -> None:
        """Makes ComfyUI know the folders; see the class."""
        self.folders, self.types, self.load, self.what, self.source = folders, types, load, what, source
        self.files, self.depth = files, depth
        self._kept: tuple[Any, Any, ModelPatcher] | None = None
        for name in folders:
            folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))

    def places(self) -> list[Path]:
        """Every folder where such a model may lie."""
        return [Path(place) for name in self.folders for place in folder_paths.get_folder_paths(name)]

    def choices(self) -> list[str]:
        """``none`` and what there is."""
        looking = self.types(), self.files, self.depth
        names = [name for place in self.places() for name in checkpoints.models_in(place, *looking)]
        return [NONE, *dict.fromkeys(names)]

    def path(self, name: str) -> Path | None:
        """Where the chosen model is; None for none.

        Raises:
            ModelError: it is not there. A name is never more than a name: no way out of the folders.
        """
        if name == NONE:
            return None
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")][-self.depth :]
        found = [place.joinpath(*parts) for place in self.places()]
        path = next((p for p in found if p.exists()), found[0])
        checkpoints.require(path, self.what, self.source)
        return path

    def lacking(self, name: str | None) -> str:
        """The sentence about a model that is not there; empty where it is, or where a wire will bring its name."""
        try:
            self.path(NONE if name is None else name)
        except SedicError as error:
            return str(error)
        return ""

    def ready(self, name: str) -> Any:
        """The chosen model, loaded by ComfyUI onto its device; None for none.

        It stays there until ComfyUI wants the room, or its user unloads the models or chooses another one: then its
        weights are given up, and read again when they are needed.

        Raises:
            SedicError: it is missing or cannot be used.
        """
        path = self.path(name)
        if path is None:
            return None
        stamp = (path, path.stat().st_mtime_ns)
        if self._kept is None or self._kept[0] != stamp:
            self._kept = None
            held = self.load(path)
            patcher = manage(held.model)
            patcher.add_callback(CallbacksMP.ON_DETACH, self._forget)
            self._kept = stamp, held, patcher
        _, held, patcher = self._kept
        # In full: ComfyUI splits only networks that are made of its own layers.
        model_management.load_models_gpu([patcher], memory_required=WORKING_MEMORY, force_full_load=True)
        return held

    def _forget(self, patcher: ModelPatcher, unpatch_all: bool) -> None:
        """Called when ComfyUI unloads a model; ``unpatch_all`` is False where it only loads it again."""
        if unpatch_all and self._kept is not None and self._kept[2] is patcher:
            # The weights alone: ComfyUI is going through its list of models and must find this one still alive.
            patcher.model.to("meta")
            self._kept = None, *self._kept[1:]


class Shell(torch.nn.Module):
    """A transformers model for ComfyUI, which writes a ``device`` into what it manages; transformers' is read-only."""

    def __init__(self, model: torch.nn.Module) -> None:
        """See the class."""
        super().__init__()
        self.model = model
        self.device: torch.device | None = None


def manage(model: torch.nn.Module) -> ModelPatcher:
    """The handle by which ComfyUI loads, offloads and frees a model."""
    device = model_management.get_torch_device()
    if model_management.vram_state == model_management.VRAMState.NO_VRAM:
        device = torch.device("cpu")  # nothing may stay on the GPU there, and these models do not load layer by layer
    return ModelPatcher(Shell(model), load_device=device, offload_device=model_management.unet_offload_device())


def logged(notes: list[str]) -> list[str]:
    """The notes, also in ComfyUI's log."""
    for note in notes:
        logging.warning("SEDIC: %s", note)
    return notes


DETECTORS = Kind(
    ("grounding-dino",),
    lambda: grounding.TYPES,
    grounding.load_detector,
    "The Grounding DINO checkpoint",
    grounding.SOURCE,
)
SEGMENTERS = Kind(
    ("sams",), lambda: segment.TYPES, segment.load_segmenter, "The Segment Anything checkpoint", segment.SOURCE
)
DESCRIBERS = Kind(
    ("LLM", "VLM"), local.types, local.load_local, "The vision-language model", local.SOURCE, files=False, depth=2
)
