"""The original Segment Anything checkpoints (``sam_vit_b/l/h``) on transformers' own class.

The network is the one of the ``segment-anything`` package under other names: the tensors are renamed, and no further
package is needed. The kind (ViT-B, -L, -H) and all sizes are read from the tensors' shapes, never from a file name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoints import ModelError, load_tensors

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, SamConfig

DECODER_HEADS = 8  # the same in all published checkpoints, and not to be seen in any shape

_NAMES = [
    (r"^image_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.neck\.0\.", "vision_encoder.neck.conv1."),
    (r"^image_encoder\.neck\.1\.", "vision_encoder.neck.layer_norm1."),
    (r"^image_encoder\.neck\.2\.", "vision_encoder.neck.conv2."),
    (r"^image_encoder\.neck\.3\.", "vision_encoder.neck.layer_norm2."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"^prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"(hypernetworks_mlps\.\d+|iou_prediction_head)\.layers\.0\.", r"\1.proj_in."),
    (r"(hypernetworks_mlps\.\d+|iou_prediction_head)\.layers\.1\.", r"\1.layers.0."),
    (r"(hypernetworks_mlps\.\d+|iou_prediction_head)\.layers\.2\.", r"\1.proj_out."),
    (r"\.norm(\d|_final_attn)\.", r".layer_norm\1."),
]
_POSITIONS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"


def load_original(tensors: dict[str, Tensor], path: Path) -> PreTrainedModel:
    """The segmenter of an original checkpoint, float32, in evaluation mode, on the CPU.

    Args:
        tensors: of the checkpoint.
        path: named in errors.

    Raises:
        ModelError: the tensors are not those of a Segment Anything model, or do not all find their place.
    """
    from transformers import SamModel

    try:
        config = config_of(tensors)
        renamed = rename(tensors)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            f"{path} is no checkpoint of Segment Anything ({error} is missing); "
            "take sam_vit_b, sam_vit_l or sam_vit_h, or SAM 2 as a transformers folder."
        ) from error
    return load_tensors(SamModel, config, renamed, path, "Segment Anything")


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of transformers' class."""
    result = {}
    for name, tensor in tensors.items():
        for pattern, new in _NAMES:
            name = re.sub(pattern, new, name)
        result[name] = tensor
    positions = result.pop(_POSITIONS)
    for place in ("shared_image_embedding", "prompt_encoder.shared_embedding"):
        result[f"{place}.positional_embedding"] = positions.clone()
    return result


def config_of(tensors: dict[str, Tensor]) -> SamConfig:
    """The network's sizes, from the tensors' shapes; KeyError names a tensor that is not there."""
    from transformers import SamConfig, SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

    width, _, patch, _ = tensors["image_encoder.patch_embed.proj.weight"].shape
    grid = tensors["image_encoder.pos_embed"].shape[1]
    depth = len([name for name in tensors if re.fullmatch(r"image_encoder\.blocks\.\d+\.attn\.rel_pos_h", name)])
    # Relative positions, (2·window − 1, channels of a head): a layer with global attention has the whole grid's.
    tables = [tensors[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)]
    everywhere = [i for i, table in enumerate(tables) if table[0] == 2 * grid - 1]
    windows = [(table[0] + 1) // 2 for i, table in enumerate(tables) if i not in everywhere]
    embedding = tensors["prompt_encoder.no_mask_embed.weight"].shape[1]
    vision = SamVisionConfig(
        hidden_size=width,
        output_channels=tensors["image_encoder.neck.0.weight"].shape[0],
        num_hidden_layers=depth,
        num_attention_heads=width // tables[0][1],
        image_size=grid * patch,
        patch_size=patch,
        window_size=windows[0] if windows else 0,
        global_attn_indexes=everywhere,
        num_pos_feats=tensors[_POSITIONS].shape[1],
        mlp_dim=tensors["image_encoder.blocks.0.mlp.lin1.weight"].shape[0],
    )
    prompt = SamPromptEncoderConfig(
        hidden_size=embedding,
        image_size=grid * patch,
        patch_size=patch,
        mask_input_channels=tensors["prompt_encoder.mask_downscaling.3.weight"].shape[0],
    )
    decoder = SamMaskDecoderConfig(
        hidden_size=embedding,
        mlp_dim=tensors["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
        num_attention_heads=DECODER_HEADS,
        iou_head_hidden_dim=tensors["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
    )
    return SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
