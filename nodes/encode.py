"""The encoder's eyes as nodes: words for a picture, and a mask for each object that they name."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from comfy import model_management
from comfy_api.latest import io, ui
from torch import Tensor

from ..sedic.errors import SedicError
from ..sedic.semantics import Limits, Semantics
from ..sedic.understanding import checkpoints, endpoints, grounding, segment
from ..sedic.understanding.locate import locate, overlay, read_boxes
from ..sedic.understanding.textualize import textualize, typed
from .images import to_image, to_mask, to_pixels
from .sockets import SemanticsSocket

LIMITS = Limits()
DETECTORS, SEGMENTERS = "grounding-dino", "sams"  # folders under models/, as other packs name them
DETECTOR = ("The Grounding DINO checkpoint", grounding.SOURCE)
SEGMENTER = ("The Segment Anything checkpoint", segment.SOURCE)
NONE = "none"
WORKING_MEMORY = 2 * 1024**3  # bytes beside the weights that a detector needs for one picture

for _name in (DETECTORS, SEGMENTERS):
    folder_paths.add_model_folder_path(_name, str(Path(folder_paths.models_dir) / _name))


class LMMTextualize(io.ComfyNode):
    """Words for a picture: typed, or from a vision-language model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Sockets and widgets."""
        return io.Schema(
            node_id="SEDIC_LMMTextualize",
            display_name="LMM Textualize (SEDIC)",
            category="SEDIC/encode",
            description="Describes a picture: its main objects, details of each, and the whole.",
            inputs=[
                io.Image.Input("image", tooltip="The picture to describe; of a batch, the first."),
                io.Combo.Input(
                    "mode",
                    options=["typed", "endpoint"],
                    default="typed",
                    tooltip="typed: the words below. endpoint: ask a vision-language model.",
                ),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    placeholder="red barn: weathered boards, white doors\noverall: a red barn beside a pond",
                    tooltip="For typed: one line an object (name: detail), one line overall: text; or Semantics JSON.",
                ),
                io.String.Input(
                    "endpoint",
                    default="local",
                    tooltip="For endpoint: a profile of user/__sedic/endpoints.toml or ~/.config/sedic/endpoints.toml. "
                    "Keys belong into that file or the environment, never here.",
                ),
                io.Int.Input(
                    "objects",
                    default=LIMITS.objects,
                    min=1,
                    max=7,
                    tooltip="Most objects (J). Each costs bits and a stage of the decoder.",
                ),
                io.Int.Input(
                    "detail_words",
                    default=LIMITS.detail_words,
                    min=1,
                    max=200,
                    tooltip="Most words of an object's detail (l_d); longer ones are cut.",
                ),
                io.Int.Input(
                    "overall_words",
                    default=LIMITS.overall_words,
                    min=1,
                    max=200,
                    tooltip="Most words of the overall text (l_all); a longer one is cut.",
                ),
            ],
            outputs=[SemanticsSocket.Output(display_name="semantics", tooltip="The words, still without masks.")],
        )

    @classmethod
    def execute(
        cls, image: Tensor, mode: str, text: str, endpoint: str, objects: int, detail_words: int, overall_words: int
    ) -> io.NodeOutput:
        """Asks or reads, then cuts to the limits; the node shows the words and what was cut."""
        limits = Limits(objects, LIMITS.name_words, detail_words, overall_words)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            if mode == "endpoint":
                profile = endpoints.read_endpoint(endpoint.strip(), endpoints_file())
                semantics = textualize(to_pixels(image), profile, limits)
            else:
                semantics = typed(text).limited(limits)
        notes = [str(w.message) for w in told if issubclass(w.category, UserWarning)]
        return io.NodeOutput(semantics, ui=ui.PreviewText("\n".join([*_lines(semantics), *_logged(notes)])))


class GroundedSAM(io.ComfyNode):
    """A mask for each object: painted, from a box, or found by Grounding DINO and Segment Anything."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Sockets and widgets."""
        return io.Schema(
            node_id="SEDIC_GroundedSAM",
            display_name="Grounded SAM (SEDIC)",
            category="SEDIC/encode",
            description="Gives every object its mask and drops objects that the picture does not show.",
            inputs=[
                io.Image.Input("image", tooltip="The picture; of a batch, the first."),
                SemanticsSocket.Input("semantics", tooltip="The words, from SEDIC Textualize."),
                io.Combo.Input(
                    "mode",
                    options=["auto", "masks", "boxes", "models"],
                    default="auto",
                    tooltip="auto: for each object its mask, else its box, else the models. The others use one alone.",
                ),
                io.Combo.Input(
                    "detector",
                    options=[NONE, *_choices(DETECTORS, grounding.TYPES)],
                    default=NONE,
                    tooltip="Grounding DINO in models/grounding-dino: a .pth checkpoint or a transformers folder.",
                ),
                io.Combo.Input(
                    "segmenter",
                    options=[NONE, *_choices(SEGMENTERS, segment.TYPES)],
                    default=NONE,
                    tooltip="Segment Anything in models/sams: a .pth checkpoint or a transformers folder. "
                    "none: boxes are refined by colour (GrabCut).",
                ),
                io.String.Input(
                    "boxes",
                    multiline=True,
                    default="",
                    placeholder="x0 y0 x1 y1",
                    tooltip="A line x0 y0 x1 y1 an object, in pixels of the picture; - for an object without a box.",
                ),
                *(
                    io.Mask.Input(f"mask_{j}", optional=True, tooltip=f"Mask of object {j}, white inside.")
                    for j in range(1, 4)
                ),
            ],
            outputs=[
                SemanticsSocket.Output(display_name="semantics", tooltip="The objects that are there, with masks."),
                io.Mask.Output(display_name="masks", tooltip="The masks as a batch, in the objects' order."),
                io.Image.Output(display_name="preview", tooltip="The picture with masks, boxes and names over it."),
            ],
        )

    @classmethod
    def validate_inputs(cls, detector: str, segmenter: str) -> bool | str:
        """A model that is not there is told with its folder and source, instead of as a value not in a list."""
        try:
            _path(DETECTORS, detector, *DETECTOR)
            _path(SEGMENTERS, segmenter, *SEGMENTER)
        except SedicError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        image: Tensor,
        semantics: Semantics,
        mode: str,
        detector: str,
        segmenter: str,
        boxes: str,
        mask_1: Tensor | None = None,
        mask_2: Tensor | None = None,
        mask_3: Tensor | None = None,
    ) -> io.NodeOutput:
        """Finds the masks; the node shows them over the picture, and what was dropped."""
        pixels = to_pixels(image)
        masks: list[np.ndarray | None] = []
        corners: list[tuple[float, float, float, float] | None] = []
        if mode in ("auto", "masks"):
            masks = [None if m is None else _mask(m, pixels.shape[:2]) for m in (mask_1, mask_2, mask_3)]
        else:
            semantics = replace(semantics, objects=tuple(replace(o, mask=None) for o in semantics.objects))
        if mode in ("auto", "boxes"):
            corners = read_boxes(boxes)
        if mode == "models" and detector == NONE:
            folder = folder_paths.get_folder_paths(DETECTORS)[0]
            raise SedicError(f"The mode models needs a detector; choose one of {folder}, or get {grounding.SOURCE}.")
        finder = outliner = None
        if mode in ("auto", "models") and _lacking(semantics, masks, corners):
            path = _path(DETECTORS, detector, *DETECTOR)
            finder = None if path is None else grounding.load_detector(path)
        if mode != "masks":
            path = _path(SEGMENTERS, segmenter, *SEGMENTER)
            outliner = None if path is None else segment.load_segmenter(path)
        with on_device(*(held.model for held in (finder, outliner) if held is not None)):
            found, notes = locate(pixels, semantics, finder, outliner, masks, corners)
        preview = to_image(overlay(pixels, found.objects))
        batch = [to_mask(o.mask) for o in found.objects if o.mask is not None]
        # MASK has no empty batch: without objects it is one mask with nothing inside.
        stacked = torch.cat(batch) if batch else torch.zeros(1, *pixels.shape[:2])
        shown = {**ui.PreviewImage(preview).as_dict(), **ui.PreviewText("\n".join(_logged(notes))).as_dict()}
        return io.NodeOutput(found, stacked, preview, ui=shown)


def endpoints_file() -> Path:
    """The endpoints' file in ComfyUI's user folder, or the one of the command line where that does not exist.

    ``__sedic`` begins with two underscores because ComfyUI serves such a folder to no browser.
    """
    own = Path(folder_paths.get_user_directory()) / "__sedic" / "endpoints.toml"
    return own if own.is_file() or not endpoints.default_path().is_file() else endpoints.default_path()


@contextmanager
def on_device(*models: Any) -> Iterator[None]:
    """The models on ComfyUI's device within the block and on the CPU after it.

    They are not wrapped for ComfyUI's model management, which patches and splits its own kind of modules; it is asked
    for room instead.
    """
    device = model_management.get_torch_device()
    if models:
        weights = sum(model_management.module_size(model) for model in models)
        model_management.free_memory(weights + WORKING_MEMORY, device)
    try:
        for model in models:
            model.to(device)
        yield
    finally:
        for model in models:
            model.to("cpu")
        if models:
            model_management.soft_empty_cache()


def _choices(kind: str, types: tuple[str, ...]) -> list[str]:
    folders = folder_paths.get_folder_paths(kind)
    return list(dict.fromkeys(name for f in folders for name in checkpoints.models_in(Path(f), types)))


def _path(kind: str, name: str, what: str, source: str) -> Path | None:
    """Where the chosen model is; None for none. A name is never more than a name: no way out of the folders."""
    if name == NONE:
        return None
    places = [Path(f) / Path(name).name for f in folder_paths.get_folder_paths(kind)]
    path = next((p for p in places if p.exists()), places[0])
    checkpoints.require(path, what, source)
    return path


def _lacking(semantics: Semantics, masks: list, corners: list) -> bool:
    """Whether some object has neither mask nor box, so that it must be looked for."""
    given = [
        any(j < len(row) and row[j] is not None for row in (masks, corners)) for j in range(len(semantics.objects))
    ]
    return any(o.mask is None and not own for o, own in zip(semantics.objects, given, strict=True))


def _mask(mask: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """First of a MASK batch as (H, W) bool of the picture's size."""
    first = mask.reshape(-1, 1, *mask.shape[-2:])[:1].float().cpu()
    if tuple(first.shape[-2:]) != tuple(shape):
        first = torch.nn.functional.interpolate(first, tuple(shape), mode="bilinear")
    return (first[0, 0] > 0.5).numpy()


def _lines(semantics: Semantics) -> list[str]:
    """The words in the form in which they can be typed."""
    return [*(f"{o.name}: {o.detail}" for o in semantics.objects), f"overall: {semantics.overall}"]


def _logged(notes: list[str]) -> list[str]:
    for note in notes:
        logging.warning("SEDIC: %s", note)
    return notes


NODES = [LMMTextualize, GroundedSAM]
