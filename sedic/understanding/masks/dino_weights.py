"""The original Grounding DINO checkpoints (``groundingdino_swint_ogc.pth``) on transformers' own class.

The original package (``groundingdino-py``) breaks with transformers 5 and brings a dozen others; its network is the
one that transformers has, under other names. So the tensors are renamed, and no further package is needed. All sizes
are read from the tensors' shapes, so that Swin-T and Swin-B load alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoints import ModelError, load_tensors

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GroundingDinoConfig, PreTrainedModel

LEVELS, HEADS = 4, 8  # the same in all published checkpoints, and not to be seen in any shape
BERT_HEAD = 64  # channels of one attention head of BERT

_SWIN = "model.backbone.conv_encoder.model."
# Applied in order, each to what the one before left. Names as on the Hugging Face hub: transformers itself renames
# those further where its version wants so.
_NAMES: list[tuple[str, str | Callable[[re.Match], str]]] = [
    (r"^backbone\.0\.patch_embed\.proj\.", _SWIN + "embeddings.patch_embeddings.projection."),
    (r"^backbone\.0\.patch_embed\.norm\.", _SWIN + "embeddings.norm."),
    (r"^backbone\.0\.norm(\d)\.", lambda m: f"{_SWIN}hidden_states_norms.stage{int(m[1]) + 1}."),
    (r"^backbone\.0\.layers\.", _SWIN + "encoder.layers."),
    (r"(encoder\.layers\.\d+\.blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(encoder\.layers\.\d+\.blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"\.attn\.relative_position_bias_table$", ".attention.self.relative_position_bias_table"),
    (r"(blocks\.\d+)\.attn\.proj\.", r"\1.attention.output.dense."),
    (r"(blocks\.\d+)\.attn\.(query|key|value)\.", r"\1.attention.self.\2."),
    (r"(blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"(blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
    (r"^transformer\.encoder\.layers\.(\d+)\.", r"model.encoder.layers.\1.deformable_layer."),
    (r"^transformer\.encoder\.text_layers\.(\d+)\.", r"model.encoder.layers.\1.text_enhancer_layer."),
    (r"^transformer\.encoder\.fusion_layers\.(\d+)\.", r"model.encoder.layers.\1.fusion_layer."),
    (r"deformable_layer\.norm1\.", "deformable_layer.self_attn_layer_norm."),
    (r"deformable_layer\.norm2\.", "deformable_layer.final_layer_norm."),
    (r"text_enhancer_layer\.norm1\.", "text_enhancer_layer.layer_norm_before."),
    (r"text_enhancer_layer\.norm2\.", "text_enhancer_layer.layer_norm_after."),
    (r"fusion_layer\.gamma_v$", "fusion_layer.vision_param"),
    (r"fusion_layer\.gamma_l$", "fusion_layer.text_param"),
    (r"fusion_layer\.layer_norm_v\.", "fusion_layer.layer_norm_vision."),
    (r"fusion_layer\.layer_norm_l\.", "fusion_layer.layer_norm_text."),
    (r"(fusion_layer\.attn\.(?:values_|out_)?)v_proj\.", r"\1vision_proj."),
    (r"(fusion_layer\.attn\.(?:values_|out_)?)l_proj\.", r"\1text_proj."),
    (r"^transformer\.decoder\.layers\.", "model.decoder.layers."),
    (r"(decoder\.layers\.\d+)\.cross_attn\.", r"\1.encoder_attn."),
    (r"(decoder\.layers\.\d+)\.ca_text\.", r"\1.encoder_attn_text."),
    (r"(decoder\.layers\.\d+)\.catext_norm\.", r"\1.encoder_attn_text_layer_norm."),
    (r"(decoder\.layers\.\d+)\.norm1\.", r"\1.encoder_attn_layer_norm."),
    (r"(decoder\.layers\.\d+)\.norm2\.", r"\1.self_attn_layer_norm."),
    (r"(decoder\.layers\.\d+)\.norm3\.", r"\1.final_layer_norm."),
    (r"\.linear([12])\.", r".fc\1."),
    (r"^transformer\.decoder\.norm\.", "model.decoder.layer_norm."),
    (r"^transformer\.decoder\.ref_point_head\.", "model.decoder.reference_points_head."),
    (r"^transformer\.decoder\.bbox_embed\.", "model.decoder.bbox_embed."),
    (r"^transformer\.enc_out_bbox_embed\.", "model.encoder_output_bbox_embed."),
    (r"^transformer\.tgt_embed\.", "model.query_position_embeddings."),
    (r"^transformer\.(level_embed|enc_output)", r"model.\1"),
    (r"^bert\.", "model.text_backbone."),
    (r"^feat_map\.", "model.text_projection."),
    (r"^input_proj\.", "model.input_proj_vision."),
]
# What transformers counts itself, and BERT's pooler, which is never read.
_UNUSED = re.compile(r"attn_mask$|position_ids$|relative_position_index$|^bert\.pooler\.|^label_enc\.")


def load_original(tensors: dict[str, Tensor], path: Path) -> PreTrainedModel:
    """The detector of an original checkpoint, float32, in evaluation mode, on the CPU.

    Args:
        tensors: of the checkpoint, without ``module.`` before their names.
        path: named in errors.

    Raises:
        ModelError: the tensors are not those of a Grounding DINO, or do not all find their place.
    """
    from transformers import GroundingDinoForObjectDetection

    try:
        config = config_of(tensors)
        renamed = rename(tensors)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{path} is no checkpoint of Grounding DINO ({error} is missing); fetch it again.") from error
    return load_tensors(GroundingDinoForObjectDetection, config, renamed, path, "Grounding DINO")


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of transformers' class; stacked query, key and value become three."""
    result = {}
    for name, tensor in tensors.items():
        if _UNUSED.search(name):
            continue
        for part, piece in _unstack(name, tensor):
            for pattern, new in _NAMES:
                part = re.sub(pattern, new, part)
            result[part] = piece
    return result


def _unstack(name: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
    stacked = re.fullmatch(r"(.*\.)(?:qkv\.|in_proj_)(weight|bias)", name)
    if not stacked:
        return [(name, tensor)]
    pieces = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
    return [(f"{stacked[1]}{part}.{stacked[2]}", piece.clone()) for part, piece in pieces]


def config_of(tensors: dict[str, Tensor]) -> GroundingDinoConfig:
    """The network's sizes, from the tensors' shapes; KeyError names a tensor that is not there."""
    from transformers import BertConfig, GroundingDinoConfig, SwinConfig

    def count(pattern: str) -> int:
        found = [int(m[1]) for m in map(re.compile(pattern).match, tensors) if m]
        return max(found) + 1 if found else 0

    tables = [
        tensors[f"backbone.0.layers.{i}.blocks.0.attn.relative_position_bias_table"].shape  # (2w−1)², heads
        for i in range(count(r"backbone\.0\.layers\.(\d+)\.blocks"))
    ]
    backbone = SwinConfig(
        embed_dim=tensors["backbone.0.patch_embed.proj.weight"].shape[0],
        depths=[count(rf"backbone\.0\.layers\.{i}\.blocks\.(\d+)\.") for i in range(len(tables))],
        num_heads=[table[1] for table in tables],
        window_size=(math.isqrt(tables[0][0]) + 1) // 2,
        out_indices=[2, 3, 4],
    )
    vocabulary, hidden = tensors["bert.embeddings.word_embeddings.weight"].shape
    text = BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=count(r"bert\.encoder\.layer\.(\d+)\."),
        num_attention_heads=max(1, hidden // BERT_HEAD),
        intermediate_size=tensors["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
        max_position_embeddings=tensors["bert.embeddings.position_embeddings.weight"].shape[0],
    )
    queries, width = tensors["transformer.tgt_embed.weight"].shape
    points = {
        part: tensors[f"transformer.{part}_attn.sampling_offsets.weight"].shape[0] // (HEADS * LEVELS * 2)
        for part in ("encoder.layers.0.self", "decoder.layers.0.cross")
    }
    return GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        num_queries=queries,
        d_model=width,
        encoder_layers=count(r"transformer\.encoder\.layers\.(\d+)\."),
        decoder_layers=count(r"transformer\.decoder\.layers\.(\d+)\."),
        encoder_ffn_dim=tensors["transformer.encoder.layers.0.linear1.weight"].shape[0],
        decoder_ffn_dim=tensors["transformer.decoder.layers.0.linear1.weight"].shape[0],
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        num_feature_levels=LEVELS,
        encoder_n_points=points["encoder.layers.0.self"],
        decoder_n_points=points["decoder.layers.0.cross"],
        disable_custom_kernels=True,
    )
