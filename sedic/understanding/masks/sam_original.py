"""The published Segment Anything checkpoints (``sam_vit_b/l/h``) on the ``segment-anything`` package's own classes.

The kind (ViT-B, -L, -H) and all sizes are read from the tensors' shapes, never from a file name; what a file holds is
never executed, which the package's own loader does not promise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from segment_anything import SamPredictor
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.image_encoder import add_decomposed_rel_pos
from torch import Tensor

from ..checkpoints import ModelError, fill

DECODER_HEADS = 8  # the same in all published checkpoints, and not to be seen in any shape
_MISFITS = (LookupError, ValueError, TypeError, ZeroDivisionError, AssertionError, RuntimeError)


class OriginalSegmenter:
    """A loaded published checkpoint; a :class:`.segment.Segmenter`.

    Attributes:
        model: the package's ``Sam``, in evaluation mode; the caller may move it to a device.
    """

    def __init__(self, model: Sam) -> None:
        """See the class."""
        self.model = model

    def mask(self, image: np.ndarray, boxes: Sequence[Sequence[float]]) -> np.ndarray:
        """The union of the boxes' masks, (H, W) bool; see :class:`.segment.Segmenter`."""
        predictor = SamPredictor(self.model)
        predictor.set_image(image)
        scaled = predictor.transform.apply_boxes(np.array(boxes, float), image.shape[:2])
        corners = torch.from_numpy(scaled).to(predictor.device, torch.float32)  # boxes, 4
        # A box leaves no doubt which of part and whole is meant.
        masks, _, _ = predictor.predict_torch(None, None, corners, multimask_output=False)  # boxes, 1, H, W
        return masks[:, 0].any(dim=0).cpu().numpy()


def load_original(tensors: dict[str, Tensor], path: Path) -> OriginalSegmenter:
    """The segmenter of a published checkpoint, float32, in evaluation mode, on the CPU.

    Args:
        tensors: of the checkpoint; they become the model's weights without a copy.
        path: named in errors.

    Raises:
        ModelError: the tensors are not those of a Segment Anything model, or do not all find their place.
    """
    try:
        with torch.device("meta"):  # a shape takes no memory; the weights come from the file
            model = build(tensors)
    except _MISFITS as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else "its tensors have other shapes"
        raise ModelError(
            f"{path} is no checkpoint of Segment Anything ({reason}); "
            "take sam_vit_b, sam_vit_l or sam_vit_h, or SAM 2 as a transformers folder."
        ) from error
    fill(model, tensors, path, "Segment Anything")
    usual = Sam(torch.nn.Identity(), torch.nn.Identity(), torch.nn.Identity())
    model.pixel_mean, model.pixel_std = usual.pixel_mean, usual.pixel_std  # the only values that no checkpoint holds
    for block in model.image_encoder.blocks:
        if block.window_size == 0:
            block.attn = HeadByHead(block.attn)
    return OriginalSegmenter(model.eval())


def build(tensors: dict[str, Tensor]) -> Sam:
    """The package's network in the sizes of these tensors, which it does not hold yet.

    Raises:
        KeyError: names a tensor that is not there.
        ValueError, TypeError, LookupError, ZeroDivisionError, AssertionError, RuntimeError: the shapes make no network.
    """
    width, _, patch, _ = tensors["image_encoder.patch_embed.proj.weight"].shape
    grid = tensors["image_encoder.pos_embed"].shape[1]
    depth = _count(tensors, r"image_encoder\.blocks\.\d+\.attn\.rel_pos_h")
    # Relative positions, (2·window − 1, channels of a head): a layer with global attention has the whole grid's.
    tables = [tensors[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(max(1, depth))]
    everywhere = [i for i, table in enumerate(tables) if table[0] == 2 * grid - 1]
    windows = [(table[0] + 1) // 2 for i, table in enumerate(tables) if i not in everywhere]
    embedding = tensors["prompt_encoder.no_mask_embed.weight"].shape[1]
    iou_head = "mask_decoder.iou_prediction_head.layers"
    return Sam(
        ImageEncoderViT(
            img_size=grid * patch,
            patch_size=patch,
            embed_dim=width,
            depth=depth,
            num_heads=width // tables[0][1],
            mlp_ratio=tensors["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / width,
            out_chans=tensors["image_encoder.neck.0.weight"].shape[0],
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=windows[0] if windows else 0,
            global_attn_indexes=tuple(everywhere),
        ),
        PromptEncoder(
            embed_dim=embedding,
            image_embedding_size=(grid, grid),
            input_image_size=(grid * patch, grid * patch),
            mask_in_chans=tensors["prompt_encoder.mask_downscaling.3.weight"].shape[0],
        ),
        MaskDecoder(
            transformer_dim=embedding,
            transformer=TwoWayTransformer(
                depth=_count(tensors, r"mask_decoder\.transformer\.layers\.\d+\.mlp\.lin1\.weight"),
                embedding_dim=embedding,
                num_heads=DECODER_HEADS,
                mlp_dim=tensors["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
            ),
            num_multimask_outputs=tensors["mask_decoder.mask_tokens.weight"].shape[0] - 1,
            iou_head_depth=_count(tensors, re.escape(iou_head) + r"\.\d+\.weight"),
            iou_head_hidden_dim=tensors[f"{iou_head}.0.weight"].shape[0],
        ),
    )


class HeadByHead(torch.nn.Module):
    """The package's attention over the whole picture, one head after another, with the same result.

    All heads at once, as the package does it, hold three tensors of 64 MB a head at the same time (4096² float32).
    """

    def __init__(self, attention: Any) -> None:
        """``attention``: the package's, with relative positions."""
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """``x``, B,H,W,C, to the same shape."""
        own = self.attention
        batch, *size, _ = x.shape
        packed = own.qkv(x).reshape(batch, size[0] * size[1], 3, own.num_heads, -1)
        heads = []
        for query, key, value in zip(*packed.permute(2, 3, 0, 1, 4), strict=True):  # B, H·W, channels of a head
            attention = (query * own.scale) @ key.transpose(-2, -1)
            attention = add_decomposed_rel_pos(attention, query, own.rel_pos_h, own.rel_pos_w, size, size)
            heads.append(attention.softmax(dim=-1) @ value)
        return own.proj(torch.cat(heads, dim=-1).reshape(batch, *size, -1))


def _count(tensors: dict[str, Tensor], pattern: str) -> int:
    """How many tensors have such a name."""
    return sum(re.fullmatch(pattern, name) is not None for name in tensors)
