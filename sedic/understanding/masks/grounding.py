"""Grounding DINO: where in a picture is the thing that a name names? (Paper, section III-A; arXiv:2303.05499.)

Two forms of checkpoints: a folder of transformers (``config.json``, weights, tokenizer) and the original
``groundingdino_swint_ogc.pth``, which needs BERT's vocabulary beside it.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..checkpoints import ModelError, load_folder, model_type, read_tensors, require
from . import dino_weights
from .phrases import Span, heads_of, words_of

BOX_THRESHOLD = 0.3
TEXT_THRESHOLD = 0.25
SAME_BOX = 0.8  # two boxes with a larger IoU show the same thing
TYPES = ("grounding-dino", "mm-grounding-dino")
SOURCE = (
    "github.com/IDEA-Research/GroundingDINO (groundingdino_swint_ogc.pth) or as a folder "
    "from huggingface.co/IDEA-Research/grounding-dino-tiny"
)
TOKENIZER = "bert-base-uncased"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as in training


class PartialMatch(UserWarning):
    """A name of which the picture shows only some words, or shows them not surely."""


@dataclass(frozen=True)
class Box:
    """A found thing: corners in pixels, x to the right, y down, and how sure the detector is, in [0, 1]."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float = 1.0

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1)."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def visible(self) -> bool:
        """Whether it is at least two pixels wide and high."""
        return self.x1 - self.x0 >= 2 and self.y1 - self.y0 >= 2


class Detector:
    """A loaded Grounding DINO.

    Attributes:
        model: transformers' class, in evaluation mode; the caller may move it to a device.
        tokenizer: BERT's.
        size: shortest and longest edge of what the model sees, in pixels.
    """

    def __init__(self, model: Any, tokenizer: Any, size: tuple[int, int] = (800, 1333)) -> None:
        """See the class."""
        self.model, self.tokenizer, self.size = model, tokenizer, size

    def boxes(
        self,
        image: np.ndarray,
        name: str,
        box_threshold: float = BOX_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
    ) -> list[Box]:
        """Where the picture shows ``name``, surest first; empty where it does not.

        A box must show the noun that the name is about, not one of its adjectives alone. What is matched only in part
        is told with :func:`warnings.warn`, as :class:`PartialMatch`.

        Args:
            image: (H, W, 3) uint8.
            name: a noun phrase.
            box_threshold: least score of a box, in [0, 1].
            text_threshold: least score of the name's noun in a box, in [0, 1].
        """
        import torch

        # Full stop and question mark would end the phrase for the detector.
        phrase = " ".join(name.lower().replace(".", " ").replace("?", " ").split())
        text = self.tokenizer([f"{phrase}."], return_tensors="pt", return_offsets_mapping=True)
        device, dtype = self.model.device, self.model.dtype
        inputs = {k: text[k].to(device) for k in ("input_ids", "attention_mask", "token_type_ids") if k in text}
        with torch.no_grad():
            found = self.model(pixel_values=_pixels(image, self.size).to(device, dtype), **inputs)
        scores = found.logits[0].float().sigmoid().cpu().numpy()  # queries, tokens
        best = scores.max(axis=1)
        sure = best > box_threshold
        places = text["offset_mapping"][0].tolist()
        words = {phrase[a:b]: _score(scores, places, (a, b)) for a, b in words_of(phrase)}
        heads = [_score(scores, places, span) for span in heads_of(phrase)]
        named = sure & (np.max(heads, axis=0) > text_threshold) if heads else sure
        # A detector takes the words of a phrase one by one: a red car is "red" of "red barn".
        partly = sure & ~named & (np.max([*words.values(), *heads], axis=0) > text_threshold if words else False)
        if partly.any():
            seen = [word for word, score in words.items() if (score[partly] > text_threshold).any()]
            _note(name, f"{_several(int(partly.sum()))} no more of it than {_quoted(seen)}, and left out")
        corners = _corners(found.pred_boxes[0].float().cpu().numpy(), image.shape[:2])
        order = [i for i in np.argsort(-best, kind="stable") if named[i]]
        unseen = [word for word, score in words.items() if order and score[order[0]] <= text_threshold]
        if unseen:
            _note(name, f"the surest place found shows the thing, but not surely {_quoted(unseen)}")
        return _distinct([Box(*map(float, (*corners[i], best[i]))) for i in order])


def _score(scores: np.ndarray, places: list[list[int]], span: Span) -> np.ndarray:
    """How sure each query is of a word, (queries,): of the surest of its tokens."""
    tokens = [i for i, (start, end) in enumerate(places) if start < span[1] and end > span[0]]
    return scores[:, tokens].max(axis=1) if tokens else np.zeros(len(scores))


def _note(name: str, what: str) -> None:
    warnings.warn(f"{name!r} is matched only in part: {what}.", PartialMatch, stacklevel=3)


def _several(count: int) -> str:
    return f"{count} places show" if count > 1 else "one place shows"


def _quoted(words: list[str]) -> str:
    return ", ".join(map(repr, words))


def load_detector(path: Path, tokenizer: Path | None = None) -> Detector:
    """Loads a detector onto the CPU, from local files only.

    Args:
        path: a transformers folder, or an original ``.pth`` or ``.safetensors`` checkpoint.
        tokenizer: folder with BERT's vocabulary for an original checkpoint; None looks for ``bert-base-uncased``
            beside the checkpoint and beside its folder.

    Raises:
        ModelError: something is missing (file, folder and source are named) or damaged.
    """
    require(path, "The Grounding DINO checkpoint", SOURCE)
    if not path.is_dir():
        words = _tokenizer(_tokenizer_folder(path) if tokenizer is None else tokenizer)
        return Detector(dino_weights.load_original(read_tensors(path, "Grounding DINO"), path), words)
    if model_type(path) not in TYPES:
        raise ModelError(f"The folder {path} holds no Grounding DINO; get one from {SOURCE}.")
    from transformers import AutoModelForZeroShotObjectDetection

    # Without custom kernels nothing is compiled when the model first runs on a GPU.
    model = load_folder(AutoModelForZeroShotObjectDetection, path, "Grounding DINO", disable_custom_kernels=True)
    return Detector(model, _tokenizer(path), _size(path))


def _tokenizer_folder(checkpoint: Path) -> Path:
    folder = checkpoint.absolute().parent
    for place in (folder / TOKENIZER, folder.parent / TOKENIZER, folder):
        if _has_vocabulary(place):
            return place
    raise ModelError(
        f"{checkpoint.name} needs BERT's vocabulary, and there is no {TOKENIZER} folder with tokenizer.json or "
        f"vocab.txt in {folder} or {folder.parent}; get it from huggingface.co/google-bert/{TOKENIZER}."
    )


def _has_vocabulary(folder: Path) -> bool:
    return any((folder / file).is_file() for file in ("tokenizer.json", "vocab.txt"))


def _tokenizer(folder: Path) -> Any:
    # The fast class also reads a folder that has a bare vocab.txt, in transformers 4 and 5 alike.
    from transformers import BertTokenizerFast

    sentence = (
        f"The folder {folder} holds no BERT tokenizer (tokenizer.json or vocab.txt); "
        f"get one from huggingface.co/google-bert/{TOKENIZER}."
    )
    if not _has_vocabulary(folder):  # transformers 5 would make an empty one
        raise ModelError(sentence)
    try:
        return BertTokenizerFast.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(sentence) from error


def _size(folder: Path) -> tuple[int, int]:
    try:
        size = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))["size"]
        return int(size["shortest_edge"]), int(size["longest_edge"])
    except (OSError, ValueError, KeyError, TypeError):
        return 800, 1333  # what all published checkpoints were trained for


def _pixels(image: np.ndarray, size: tuple[int, int]) -> Any:
    """The picture, (H, W, 3) uint8, as the model wants it: (1, 3, h, w) float32, normalised."""
    import torch

    height, width = image.shape[:2]
    scale = min(size[0] / min(height, width), size[1] / max(height, width))
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    picture = np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BILINEAR), dtype=np.float32) / 255
    picture = (picture - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())


def _corners(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Centre and size in [0, 1], (N, 4), to corners in pixels inside the picture, (N, 4)."""
    height, width = shape
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    corners = np.concatenate([centre - half, centre + half], axis=1) * (width, height, width, height)
    return corners.clip(0, (width, height, width, height))


def _distinct(boxes: list[Box]) -> list[Box]:
    """Boxes without the less sure ones of nearly the same place."""
    result: list[Box] = []
    for box in boxes:
        if all(_iou(box, other) <= SAME_BOX for other in result):
            result.append(box)
    return result


def _iou(a: Box, b: Box) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    common = max(0.0, width) * max(0.0, height)
    union = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - common
    return common / union if union > 0 else 0.0
