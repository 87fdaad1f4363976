"""The recipe of ``dino_original.json``: a small Grounding DINO of the original package, its shapes and its answer.

The package breaks with transformers 5 and is not a dependency. One command makes the file again::

    python -m tests.understanding.dino_recipe

It makes an environment for the package, whose torch is the one of the Python that runs the command, asks the package
there, and says how far the answer is from the recorded one before it replaces it. ``--check`` replaces nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sysconfig
import tempfile
import venv
import zlib
from pathlib import Path

import numpy as np
import torch

FILE = Path(__file__).with_name("dino_original.json")
PACKAGES = ("groundingdino-py==0.4.0", "transformers==4.46.3")
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
    """Makes the environment, asks the package in it, and writes the file."""
    parser = argparse.ArgumentParser(description="Records Grounding DINO's own answer again.")
    parser.add_argument("--check", action="store_true", help="only say how far the answer is from the recorded one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = environment(Path(folder, "environment"))
        answered = Path(folder, "answer.json")
        subprocess.run(
            [python, "-c", f"import {__package__}.dino_recipe as r; r.answer({str(answered)!r})"], check=True
        )
        text = answered.read_text(encoding="utf-8")
    print(f"Largest difference to the recorded answer: {difference(json.loads(text)):.1g}")
    if not options.check:
        FILE.write_text(text, encoding="utf-8")
        print(f"Written: {FILE}")


def environment(folder: Path) -> str:
    """Makes a virtual environment with the package and its old transformers; returns its Python.

    Packages that it has not got it borrows from the Python that runs this, torch above all, which is gigabytes.
    """
    venv.create(folder, with_pip=True)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout.strip()
    # A .pth file's folders come after the environment's own, so that its own transformers is found first.
    Path(own, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    # Its output is for failures alone: pip complains of every borrowed package that wants newer ones.
    pip = [python, "-m", "pip", "install", "--progress-bar", "off", *PACKAGES]
    done = subprocess.run(pip, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return python


def difference(answer: dict) -> float:
    """The largest one between an answer's numbers and the recorded one's; infinity where the shapes are others."""
    known = json.loads(FILE.read_text(encoding="utf-8"))
    if answer["shapes"] != known["shapes"]:
        return math.inf
    return max(float(np.abs(np.subtract(answer[key], known[key])).max()) for key in ("logits", "boxes"))


def answer(path: str) -> None:
    """Asks the package, which must be there, and writes shapes and answer to ``path``."""
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
        said = model(picture(), captions=["red barn roof."])
    tokens = len(TOKENS[0])
    Path(path).write_text(
        json.dumps(
            {
                "shapes": shapes,
                "logits": said["pred_logits"][0, :, :tokens].tolist(),
                "boxes": said["pred_boxes"][0].tolist(),
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
