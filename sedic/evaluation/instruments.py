"""The libraries behind the figures, each loaded once and asked with (H, W, 3) uint8 pictures.

Every function here takes a device and whether the library may download its weights, and returns what measures; it
raises :class:`.weights.Missing` where a package or weights are missing.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from PIL import Image

from ..metrics.fidelity import MetricError
from .weights import Missing, Weights, clip_folder, hub, missing, pyiqa_folder

Pair = Callable[[np.ndarray, np.ndarray], float]
Alone = Callable[[np.ndarray], float]
Features = Callable[[np.ndarray], np.ndarray]

ALEXNET = Weights("alexnet-owt-7be5be79.pth", 233, hub)
VGG16 = Weights("vgg16-397923af.pth", 528, hub)
INCEPTION = Weights("weights-inception-2015-12-05-6726825d.pth", 91, hub)
NIQE = Weights("niqe_modelparameters.mat", 1, pyiqa_folder)
CLIP_RN50 = Weights("RN50.pt", 244, clip_folder)
CLIP = "openai/clip-vit-base-patch32"
EXTRA = "pip install 'sedic[metrics]'"
PYIQA = "pip install pyiqa, in an environment of its own: it asks for transformers 5"
PATCH = 256
_LEAST_SSIMULACRA2 = 8
_BATCH = 32  # patches that Inception sees at once


def ssimulacra2(device: str, download: bool) -> Pair:
    """SSIMULACRA2, which needs no weights."""
    with missing(EXTRA):
        from ssimulacra2 import compute_ssimulacra2

    def file(pixels: np.ndarray) -> io.BytesIO:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PPM")
        return buffer

    def compare(a: np.ndarray, b: np.ndarray) -> float:
        if min(a.shape[:2]) < _LEAST_SSIMULACRA2:
            raise MetricError(f"SSIMULACRA2 needs {_LEAST_SSIMULACRA2} pixels a side; give larger pictures.")
        return float(compute_ssimulacra2(file(a), file(b)))

    return compare


def lpips(net: Literal["alex", "vgg"], weights: Weights) -> Callable[[str, bool], Pair]:
    """LPIPS with the linear layers of its version 0.1 on a network of torchvision's."""

    def load(device: str, download: bool) -> Pair:
        weights.require(download)
        with missing(EXTRA, weights.name):
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            return _paired(LearnedPerceptualImagePatchSimilarity(net, normalize=True), device)

    return load


def dists(device: str, download: bool) -> Pair:
    """DISTS."""
    VGG16.require(download)
    with missing(EXTRA, VGG16.name):
        from torchmetrics.image.dists import DeepImageStructureAndTextureSimilarity

        return _paired(DeepImageStructureAndTextureSimilarity(), device)


def clipsim(device: str, download: bool) -> Pair:
    """Cosine of CLIP's embeddings of two pictures."""
    import torch

    with missing(EXTRA, CLIP):
        from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

        try:
            processor = CLIPImageProcessor.from_pretrained(CLIP, local_files_only=not download)
        except OSError as error:
            if download:
                raise
            where = "Hugging Face's cache, which HF_HOME moves"
            raise Missing(f"{CLIP} (605 MB) is not in {where}; put it there, or add --download.") from error
        network: Any = CLIPVisionModelWithProjection.from_pretrained(CLIP, local_files_only=not download)
        network = network.to(device).eval()

    @torch.no_grad()
    def compare(a: np.ndarray, b: np.ndarray) -> float:
        seen = network(**processor([a, b], return_tensors="pt").to(device)).image_embeds
        return torch.nn.functional.cosine_similarity(seen[:1], seen[1:]).item()

    return compare


def niqe(device: str, download: bool) -> Alone:
    """NIQE with its authors' pristine model."""
    return _alone("niqe", device, NIQE, download)


def clip_iqa(device: str, download: bool) -> Alone:
    """CLIP-IQA with its authors' prompts."""
    return _alone("clipiqa", device, CLIP_RN50, download)


def inception(device: str, download: bool) -> Features:
    """Inception's 2,048 features of a whole picture, (1, 2048), squeezed to its 299 pixels."""
    look = _inception(device, download)
    return lambda pixels: look([pixels])


def inception_patches(device: str, download: bool) -> Features:
    """Inception's features of a picture's :func:`patches`, (N, 2048)."""
    look = _inception(device, download)
    return lambda pixels: look(patches(pixels))


def patches(pixels: np.ndarray, side: int = PATCH) -> list[np.ndarray]:
    """Squares side by side, and those between them, moved by half a side both ways (Mentzer et al. 2020)."""
    height, width = pixels.shape[:2]
    found = []
    for shift in (0, side // 2):
        for top in range(shift, height - side + 1, side):
            for left in range(shift, width - side + 1, side):
                found.append(pixels[top : top + side, left : left + side])
    return found


def perceived_distance(device: str, download: bool) -> Pair:
    """The distance of :mod:`sedic.metrics.perception`."""
    return _perception().distance


def windows(device: str, download: bool) -> Features:
    """Its features of windows."""
    return _perception().window_features


def natural_patches(device: str, download: bool) -> Features:
    """The features of :mod:`sedic.metrics.naturalness`."""
    from ..metrics.naturalness import PATCH as SIDE
    from ..metrics.naturalness import patch_features

    def look(pixels: np.ndarray) -> np.ndarray:
        if min(pixels.shape[:2]) < SIDE:
            raise MetricError(f"Pictures below {SIDE} pixels a side have no patches; give larger pictures.")
        return patch_features(pixels)

    return look


def _perception() -> Any:
    from ..errors import SedicError
    from ..metrics.perception import perception

    try:
        return perception()
    except SedicError as error:
        raise Missing(str(error)) from error


def _inception(device: str, download: bool) -> Callable[[list[np.ndarray]], np.ndarray]:
    import torch

    with missing(EXTRA, INCEPTION.name):
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        INCEPTION.require(download)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).to(device).eval()

    @torch.no_grad()
    def look(pictures: list[np.ndarray]) -> np.ndarray:
        found = [np.zeros((0, 2048), np.float32)]
        for start in range(0, len(pictures), _BATCH):
            batch = np.stack(pictures[start : start + _BATCH])
            found.append(network(torch.from_numpy(batch).permute(0, 3, 1, 2).to(device))[0].cpu().numpy())
        return np.concatenate(found)

    return look


def _paired(metric: Any, device: str) -> Pair:
    """A metric of torchmetrics that takes pictures in [0, 1]."""
    import torch

    metric = metric.to(device).eval()

    @torch.no_grad()
    def compare(a: np.ndarray, b: np.ndarray) -> float:
        value = metric(_image(a, device), _image(b, device))
        metric.reset()
        return float(value)

    return compare


def _alone(name: str, device: str, weights: Weights, download: bool) -> Alone:
    """A metric of pyiqa's that looks at one picture."""
    import torch

    with missing(PYIQA, weights.name):
        import pyiqa

        weights.require(download)
        metric = pyiqa.create_metric(name, device=torch.device(device))

    @torch.no_grad()
    def look(pixels: np.ndarray) -> float:
        return float(metric(_image(pixels, device)))

    return look


def _image(pixels: np.ndarray, device: str) -> Any:
    from ..codec import to_image

    return to_image(pixels).to(device)
