"""The recipe of ``dino_original.json``: a small Grounding DINO of the original package, its shapes and its answer.

The package needs transformers 4 and is not a dependency; to make the file again, in an environment of its own::

    pip install groundingdino-py==0.4.0 "transformers==4.46.3"
    python tests/understanding/dino_recipe.py
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

FILE = Path(__file__).with_name("dino_original.json")
TOKENS = [[101, 1030, 1031, 1032, 1012, 102]]  # [CLS] red barn roof . [SEP]


def weights(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """Every tensor from its name and shape alone, the same on every machine."""
    result = {}
    for name, shape in shapes.items():
        # One head stands under several names.
        shared = re.sub(r"^(transformer\.decoder\.)?bbox_embed\.\d+", "bbox_embed", name)
        values = np.random.RandomState(zlib.crc32(shared.encode())).standard_normal(shape)
        if len(shape) > 1:
            values *= 0.7 / math.sqrt(math.prod(shape[1:]))
        else:
            values = values * 0.1 + name.endswith("weight")
        result[name] = torch.from_numpy(np.asarray(values, np.float32))
    return result


def picture() -> torch.Tensor:
    """(1, 3, 96, 128) float32."""
    return torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, 96, 128)).astype(np.float32))


def vocabulary() -> str:
    """A vocab.txt with BERT's special tokens where BERT has them, and three words."""
    words = [f"[unused{i}]" for i in range(1030)] + ["red", "barn", "roof"]
    for place, token in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: "."}.items():
        words[place] = token
    words[1029] = "?"
    return "\n".join(words)


def main() -> None:
    """Writes the file."""
    import groundingdino
    from groundingdino.models import build_model
    from groundingdino.models.GroundingDINO.backbone import backbone, swin_transformer
    from groundingdino.util.slconfig import SLConfig
    from transformers import BertConfig, BertModel, BertTokenizerFast

    def small_swin(modelname, pretrain_img_size, **options):
        return swin_transformer.SwinTransformer(
            pretrain_img_size=224, embed_dim=16, depths=[1, 2, 1, 1], num_heads=[1, 2, 2, 4], window_size=7, **options
        )

    backbone.build_swin_transformer = small_swin
    args = SLConfig.fromfile(str(Path(groundingdino.__file__).parent / "config" / "GroundingDINO_SwinT_OGC.py"))
    args.device, args.enc_layers, args.dec_layers, args.num_queries, args.dim_feedforward = "cpu", 1, 2, 12, 32
    args.use_checkpoint = args.use_transformer_ckpt = False
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "vocab.txt").write_text(vocabulary())
        BertTokenizerFast(vocab_file=os.path.join(folder, "vocab.txt")).save_pretrained(folder)
        text = BertConfig(
            vocab_size=1033,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=48,
            max_position_embeddings=16,
        )
        BertModel(text).save_pretrained(folder)
        args.text_encoder_type = folder
        model = build_model(args).eval()
    shapes = {k: list(v.shape) for k, v in model.state_dict().items() if v.is_floating_point()}
    model.load_state_dict(weights(shapes), strict=False)
    with torch.no_grad():
        answer = model(picture(), captions=["red barn roof."])
    tokens = len(TOKENS[0])
    FILE.write_text(
        json.dumps(
            {
                "shapes": shapes,
                "logits": answer["pred_logits"][0, :, :tokens].tolist(),
                "boxes": answer["pred_boxes"][0].tolist(),
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
