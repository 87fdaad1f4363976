"""One look at a picture: how probable each name is, and where its evidence lies.

EfficientNet-Lite0 (Apache-2.0; its ImageNet weights, 19 MB, come as a package) knows no size of picture: its last
features are pooled over every window of 7×7 cells, each of which is what the network was trained to see whole. The
class activation (Zhou et al., arXiv:1512.04150) of a name is the part that each cell has in its score.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from ...metrics.perception import read_network
from ..masks.grounding import Box
from .faces import faces, person
from .names import membership, named, names

SIDES = (224, 320)  # shorter sides that are looked at: the whole, and what fills two thirds of it
WINDOW = 7  # cells a side, of 32 pixels: the 224 of the training
LONGEST = 6  # times the shorter side; what is longer is squeezed
EVIDENCE = 0.35  # of the strongest cell's evidence, from which on a cell belongs to the thing
HEAD = 2.2  # sides of a face: what is shown to the classifier to ask whether somebody is there
VOUCHERS = ("person", "hat", "helmet", "mask", "sunglasses", "worn")
VOUCHED = 0.15  # least probability of these together
PERSON = "person"


class View:
    """A picture as the embedded eyes see it; finds names as a detector does.

    Attributes:
        scores: of each name of :func:`.names.names`, in [0, 1]: the mean over two sizes of the most probable window.
        faces: frames of people whose faces were found; None where nothing could look for faces.

    Raises:
        SedicError: the classifier's packages are missing.
    """

    def __init__(self, image: np.ndarray) -> None:
        """Looks at ``image``, (H, W, 3) uint8."""
        self.shape: tuple[int, ...] = image.shape[:2]
        self._features = [_features(image, side) for side in SIDES]
        self._probabilities = [_windows(features) for features in self._features]
        best = [(membership() @ p.reshape(len(p), -1)).max(1) for p in self._probabilities]
        self.scores: np.ndarray = np.mean(best, axis=0)
        self.faces = _people(image)

    def boxes(self, image: np.ndarray, name: str, box_threshold: float = 0.0, text_threshold: float = 0.0) -> list[Box]:
        """Where the picture shows ``name``, as :meth:`.grounding.Detector.boxes` says it; empty where it does not.

        Args:
            image: the picture that this is a view of.
            name: a noun phrase, which ends in one of the names that the eyes know.
            box_threshold: least score of the name, in [0, 1].
            text_threshold: not used: a name is known as a whole.
        """
        if image.shape[:2] != self.shape:
            raise ValueError(f"A view of a picture of {self.shape} was asked about one of {image.shape[:2]}.")
        number = named(name)
        if number is None:
            return []
        if names()[number].text == PERSON and self.faces:
            return self.faces
        return [self.place(number)] if self.scores[number] >= box_threshold else []

    def place(self, number: int) -> Box:
        """The frame of the connected pixels that speak for a name, around the strongest of its most probable window."""
        import cv2

        evidence, window = self._evidence(number)
        height, width = self.shape
        full = cv2.resize(evidence, (width, height), interpolation=cv2.INTER_LINEAR)
        inside = cv2.resize(window.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        strongest = np.unravel_index(np.where(inside, full, -np.inf).argmax(), full.shape)
        over = (full >= EVIDENCE * full[strongest]) if full[strongest] > 0 else inside
        _, labels, stats, _ = cv2.connectedComponentsWithStats(over.astype(np.uint8), connectivity=4)
        x, y, w, h = (int(stats[labels[strongest], i]) for i in range(4))
        return Box(x, y, x + w, y + h, float(self.scores[number]))

    def _evidence(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Each cell's part in a name's score against its rivals', and the cells of the most probable window; (h, w)."""
        features, probabilities = self._features[-1], self._probabilities[-1]
        member = membership()[number]
        share = np.tensordot(member, probabilities, 1)  # h-6,w-6
        y, x = np.unravel_index(share.argmax(), share.shape)
        own, rivals = probabilities[:, y, x] * member, probabilities[:, y, x] * (1 - member)
        weights = _network()._fc.weight.numpy()  # classes,channels
        direction = (own / own.sum() - rivals / rivals.sum()) @ weights
        evidence = np.tensordot(direction, features, 1)
        window = np.zeros(evidence.shape, bool)
        window[y : y + WINDOW, x : x + WINDOW] = True
        return evidence.astype(np.float32), window


@cache
def _network() -> Any:
    return read_network(0, "", "the embedded eyes name things")


def _features(image: np.ndarray, side: int) -> np.ndarray:
    """The last features of the picture at a size, (1280, h, w) float32, h and w at least 7."""
    import torch

    height, width = image.shape[:2]
    scale = side / min(height, width)
    cells = [min(LONGEST * side // 32, max(WINDOW, round(length * scale / 32))) for length in (width, height)]
    picture = Image.fromarray(image).resize((32 * cells[0], 32 * cells[1]), Image.Resampling.BICUBIC)
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        found = _network().extract_features((x - 127) / 128)  # as the weights' makers did
    return found[0].numpy()


def _windows(features: np.ndarray) -> np.ndarray:
    """Probability of each class in each window, (1000, h-6, w-6) float32."""
    import torch
    from torch.nn import functional as F

    layer = _network()._fc
    with torch.inference_mode():
        pooled = F.avg_pool2d(torch.from_numpy(features)[None], WINDOW, 1)
        return F.conv2d(pooled, layer.weight[:, :, None, None], layer.bias).softmax(1)[0].numpy()


def _people(image: np.ndarray) -> list[Box] | None:
    """Frames of people: where the cascade sees a face and the classifier something that people wear."""
    found = faces(image)
    if found is None:
        return None
    height, width = image.shape[:2]
    rows = [number for number, name in enumerate(names()) if name.text in VOUCHERS]
    people = []
    for face in found:
        reach = (HEAD - 1) / 2 * face.side
        left, top = max(0, int(face.x0 - reach)), max(0, int(face.y0 - reach))
        right, bottom = int(face.x0 + face.side + reach), int(face.y0 + face.side + reach)
        head = image[top:bottom, left:right]
        score = float((membership()[rows] @ _windows(_features(head, SIDES[0])).max((1, 2))).sum())
        if score >= VOUCHED:
            people.append(Box(*person(face, width, height), min(1.0, 0.5 + score / 2)))
    return sorted(people, key=lambda box: -box.score)
