"""Grounded SAM: a mask for each object."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ...sedic.errors import SedicError
from ...sedic.semantics import SceneObject, Semantics
from ...sedic.understanding.embedded.look import GUESS, known
from ...sedic.understanding.embedded.view import View
from ...sedic.understanding.masks.grounding import BOX_THRESHOLD, TEXT_THRESHOLD
from ...sedic.understanding.masks.locate import SEVERAL, Corners, locate, read_boxes
from ...sedic.understanding.masks.overlay import overlay
from ..images import heard, mask_for, to_image, to_mask, to_pixels
from ..lists import each_picture, only
from ..said import says
from ..schema import advanced, schema
from ..sockets import BoundingBoxSocket, SemanticsSocket
from .boxes import corners_of
from .models import DETECTORS, NONE, SEGMENTERS, logged

Masks = list[np.ndarray | None]


class GroundedSAM(io.ComfyNode):
    """A mask for each object: painted, from a box, or found by Grounding DINO and Segment Anything."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Sockets and widgets."""
        return schema(
            node_id="SEDIC_GroundedSAM",
            search_aliases=("segment", "mask", "detect", "grounding dino", "segment anything"),
            says=True,
            is_input_list=True,
            display_name="Grounded SAM (SEDIC)",
            category="SEDIC/encode",
            description="Gives every object its mask and drops objects that the picture does not show.",
            inputs=[
                io.Image.Input("image", tooltip="The picture; each of several by itself, with masks of its own."),
                SemanticsSocket.Input("semantics", tooltip="The words, from LMM Textualize."),
                io.Combo.Input(
                    "mode",
                    options=["auto", "masks", "boxes", "models", "embedded", "detected"],
                    default="auto",
                    tooltip="Where masks come from. auto: for each object its mask, else its box, else the models; "
                    "masks, boxes and models use one of these alone. embedded: the pack's own small eyes, "
                    "which know everyday names. detected: masks that another node has looked for; an object "
                    "whose mask is empty is dropped.",
                ),
                io.Combo.Input(
                    "detector",
                    options=DETECTORS.choices(),
                    default=NONE,
                    tooltip="What finds objects by their names: Grounding DINO in models/grounding-dino, a .pth "
                    "checkpoint or a transformers folder.",
                ),
                io.Combo.Input(
                    "segmenter",
                    options=SEGMENTERS.choices(),
                    default=NONE,
                    tooltip="What outlines them: Segment Anything in models/sams, a .pth checkpoint or a "
                    "transformers folder. none: outlines are found by colour (GrabCut).",
                ),
                io.String.Input(
                    "boxes",
                    multiline=True,
                    default="",
                    placeholder="x0 y0 x1 y1",
                    tooltip="For each object a line x0 y0 x1 y1, in pixels of the picture; - for an object without a "
                    "box.",
                ),
                *(
                    io.Mask.Input(f"mask_{j}", optional=True, tooltip=f"Mask of object {j}, white inside.")
                    for j in range(1, 4)
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="A batch of masks in the objects' order, for objects without a mask of their own above; "
                    "an empty one counts as none.",
                ),
                advanced(
                    io.Float.Input(
                        "box_threshold",
                        default=BOX_THRESHOLD,
                        min=0.0,
                        max=1.0,
                        step=0.01,
                        optional=True,
                        tooltip="How sure the detector must be of a box. Higher drops more objects as hallucinations.",
                    )
                ),
                advanced(
                    io.Float.Input(
                        "text_threshold",
                        default=TEXT_THRESHOLD,
                        min=0.0,
                        max=1.0,
                        step=0.01,
                        optional=True,
                        tooltip="How sure it must be that a box shows the noun of the name.",
                    )
                ),
                advanced(
                    io.Combo.Input(
                        "several",
                        options=list(SEVERAL),
                        default=SEVERAL[0],
                        optional=True,
                        tooltip="What to do where a name is found at several places. merge: all make one mask. best: "
                        "the surest alone.",
                    )
                ),
                BoundingBoxSocket.Input(
                    "bounding_boxes",
                    optional=True,
                    tooltip="Boxes from ComfyUI's own nodes, in the objects' order, for objects without a line in "
                    "boxes.",
                    extra_dict={"forceInput": True},  # newer windows would draw a box of their own, and send it
                ),
            ],
            outputs=[
                SemanticsSocket.Output(
                    display_name="semantics", tooltip="The objects that are there, with masks.", is_output_list=True
                ),
                io.Mask.Output(
                    display_name="masks", tooltip="The masks as a batch, in the objects' order.", is_output_list=True
                ),
                io.Image.Output(
                    display_name="preview",
                    tooltip="The picture with masks, boxes and names over it.",
                    is_output_list=True,
                ),
                io.String.Output(
                    display_name="notes", tooltip="What was dropped or is odd, a line each.", is_output_list=True
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, detector: Any) -> bool | str:
        """A detector that is not there is told with its folder and source, instead of as a value not in a list.

        The core reports one answer on every input that is named here: the segmenter is looked for when it is needed.
        """
        return DETECTORS.lacking(only(detector)) or True

    @classmethod
    @each_picture("image", masks=("mask_1", "mask_2", "mask_3"), boxes=("bounding_boxes",))
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
        masks: Tensor | None = None,
        box_threshold: float = BOX_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
        several: str = SEVERAL[0],
        bounding_boxes: Any = None,
    ) -> io.NodeOutput:
        """Finds the masks; the node shows them over the picture, and what was dropped."""
        count = len(semantics.objects)
        given: Masks = []
        corners: list[Corners | None] = []
        notes: list[str] = []
        with heard(notes):
            pixels = to_pixels(image)
            if mode in ("auto", "masks", "detected"):
                given = _given((mask_1, mask_2, mask_3), masks, (pixels.shape[0], pixels.shape[1]))
        if mode == "detected":
            semantics, given = _found(semantics, given, notes)
            count = len(semantics.objects)
        elif mode not in ("auto", "masks"):
            semantics = replace(semantics, objects=tuple(replace(o, mask=None) for o in semantics.objects))
        if mode in ("auto", "boxes"):
            with heard(notes):
                corners = _joined(read_boxes(boxes), corners_of(bounding_boxes))
        for what, row in (("masks", given), ("boxes", corners)):
            if any(entry is not None for entry in row[count:]):
                notes.append(f"{len(row)} {what} for {count} objects: those after the last object are not used.")
        if mode == "models" and detector == NONE:
            raise SedicError(
                f"The mode models needs a detector; choose one of {DETECTORS.places()[0]}, or get {DETECTORS.source}."
            )
        wanted = _lacking(semantics, given, corners)
        finder = DETECTORS.ready(detector) if mode in ("auto", "models") and "model" in wanted else None
        if mode == "embedded":
            finder, box_threshold = View(pixels), GUESS
            semantics, strange = known(semantics)
            notes += strange
        outliner = SEGMENTERS.ready(segmenter) if wanted and mode not in ("masks", "detected") else None
        found = locate(pixels, semantics, finder, outliner, given, corners, box_threshold, text_threshold, several)
        notes += found.notes
        objects = found.semantics.objects
        preview = to_image(overlay(pixels, objects, found.boxes))
        batch = [to_mask(o.mask) for o in objects if o.mask is not None]
        # MASK has no empty batch: without objects it is one mask with nothing inside.
        stacked = torch.cat(batch) if batch else torch.zeros(1, *pixels.shape[:2])
        text = "\n".join(logged(notes))
        shown = says(text, **ui.PreviewImage(preview).as_dict()).as_dict()
        return io.NodeOutput(found.semantics, stacked, preview, text, ui=shown)


def _given(own: tuple[Tensor | None, ...], batch: Tensor | None, size: tuple[int, int]) -> Masks:
    """The masks that a person gave: each object's own, else that of the batch unless it is empty."""
    rows = [] if batch is None else batch.reshape(-1, *batch.shape[-2:])
    read = [mask_for(row, size, f"Mask {j} of masks") for j, row in enumerate(rows, 1)]
    result: Masks = [row if row.any() else None for row in read]
    result += [None] * (len(own) - len(result))
    for j, mask in enumerate(own):
        if mask is not None:
            result[j] = mask_for(mask, size, f"mask_{j + 1}")
    return result


def _found(semantics: Semantics, masks: Masks, notes: list[str]) -> tuple[Semantics, Masks]:
    """The objects that another node has found, with their masks; the others are hallucinations."""
    kept: list[tuple[SceneObject, np.ndarray]] = []
    for o, mask in zip_longest(semantics.objects, masks):
        if o is not None and mask is not None and mask.any():
            kept.append((o, mask))
        elif o is not None:
            notes.append(f"Hallucination: {o.name!r} is nowhere in the picture (its mask is empty), dropped.")
        elif mask is not None and mask.any():
            notes.append(f"{len(masks)} masks for {len(semantics.objects)} objects: those after the last are not used.")
            break
    return replace(semantics, objects=tuple(o for o, _ in kept)), [mask for _, mask in kept]


def _joined(typed: list[Corners | None], wired: list[Corners | None]) -> list[Corners | None]:
    """Each object's box: the typed one, else the one that comes through the wire."""
    return [own or other for own, other in zip_longest(typed, wired)]


def _lacking(semantics: Semantics, masks: Masks, corners: list[Corners | None]) -> set[str]:
    """What objects without a mask need: a "box" has to be outlined, a "model" has to look for the rest."""
    wanted = set()
    for j, o in enumerate(semantics.objects):
        if (j < len(masks) and masks[j] is not None) or (o.mask is not None and not (j < len(corners) and corners[j])):
            continue
        wanted.add("box" if j < len(corners) and corners[j] is not None else "model")
    return wanted
