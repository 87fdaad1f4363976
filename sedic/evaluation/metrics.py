"""The registry of figures: what each is, who computes it, by which weights.

>>> METRICS["psnr"].better
'higher'
>>> [key for key in METRICS if METRICS[key].features == "inception"]
['fid', 'kid']
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from .. import __version__
from ..errors import SedicError
from ..metrics import fidelity, naturalness, realism
from ..metrics.perception import FEATURES as WINDOW_FEATURES
from ..metrics.perception import NAME, WINDOW
from . import instruments
from .weights import Missing, Weights

HIGHER, LOWER = "higher", "lower"
Loader = Callable[[str, bool], Callable[..., Any]]
"""Given a device and whether weights may be downloaded, returns what measures; raises Missing."""


@dataclass(frozen=True)
class Looking:
    """Features of a picture, by which sets are compared.

    Attributes:
        load: returns a function of a picture, (H, W, 3) uint8, that gives (N, D).
        package: that computes them; this project's own where it is empty.
        weights: files that are read.
    """

    load: Loader
    package: str = ""
    weights: tuple[Weights, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A figure.

    Attributes:
        label: its name, with the network where there are several.
        better: :data:`HIGHER` or :data:`LOWER`.
        digits: behind the point.
        how: what it is, in a sentence.
        load: of a figure of each picture: a function of (original, decoded), or of the decoded one where ``alone``.
        alone: whether it looks at the decoded picture only.
        features: of a figure of sets: a name in :data:`LOOKING`.
        distance: of a figure of sets: between two arrays (N, D), the original's and the decoded's.
        package: that computes it; this project's own where it is empty.
        weights: files that are read; ``model`` names those that lie elsewhere.
        published: whether its figures compare with other people's.
    """

    label: str
    better: str
    digits: int
    how: str
    load: Loader | None = None
    alone: bool = False
    features: str = ""
    distance: Callable[[np.ndarray, np.ndarray], float] | None = None
    package: str = ""
    weights: tuple[Weights, ...] = ()
    model: str = ""
    published: bool = True


LOOKING: dict[str, Looking] = {
    "windows": Looking(instruments.windows, "efficientnet-lite-pytorch"),
    "patches": Looking(instruments.natural_patches),
    "inception": Looking(instruments.inception, "torch-fidelity", (instruments.INCEPTION,)),
    "inception_256": Looking(instruments.inception_patches, "torch-fidelity", (instruments.INCEPTION,)),
}
"""By name; add to it, and to :data:`METRICS`, what else is to be measured."""


def _of_sets(a: np.ndarray, b: np.ndarray) -> float:
    return realism.frechet_distance(a, b, fewer=True)


_LPIPS = "Distance of features, calibrated on people's judgements (Zhang et al. 2018), version 0.1, on "
_WHOLE = "over Inception's 2,048 features of whole pictures, squeezed to 299 pixels"
_PARTS = "over Inception's 2,048 features of patches of 256 pixels, side by side and moved by 128 (Mentzer et al. 2020)"
_KERNEL = "Unbiased squared maximum mean discrepancy (Bińkowski et al. 2018) of all samples at once, "
_FRECHET = "Fréchet distance (Heusel et al. 2017) "
_OWN = (
    f"over {WINDOW_FEATURES} EfficientNet-Lite2 features of windows of {WINDOW} pixels; compares with nothing published"
)

METRICS: dict[str, Metric] = {
    "psnr": Metric("PSNR, dB", HIGHER, 2, "Over all pixels and channels of RGB, mean over pictures.",
                   lambda device, download: fidelity.psnr),
    "ms_ssim": Metric("MS-SSIM", HIGHER, 3, "Five scales, mean over the channels of RGB (Wang et al. 2003).",
                      lambda device, download: fidelity.ms_ssim),
    "ssimulacra2": Metric("SSIMULACRA2", HIGHER, 2, "Up to 100; 30 is low quality, 90 cannot be told from the original "
                          "(Sneyers 2022). It needs no weights.", instruments.ssimulacra2, package="ssimulacra2"),
    "lpips_alex": Metric("LPIPS (AlexNet)", LOWER, 4, f"{_LPIPS}AlexNet.",
                         instruments.lpips("alex", instruments.ALEXNET), package="torchmetrics",
                         weights=(instruments.ALEXNET,)),
    "lpips_vgg": Metric("LPIPS (VGG16)", LOWER, 4, f"{_LPIPS}VGG16.", instruments.lpips("vgg", instruments.VGG16),
                        package="torchmetrics", weights=(instruments.VGG16,)),
    "dists": Metric("DISTS", LOWER, 4, "Structure and texture of VGG16's features (Ding et al. 2020).",
                    instruments.dists, package="torchmetrics", weights=(instruments.VGG16,)),
    "clipsim": Metric("CLIPSIM", HIGHER, 4, f"Cosine of both pictures' embeddings by {instruments.CLIP}.",
                      instruments.clipsim, package="transformers", model=instruments.CLIP),
    "niqe": Metric("NIQE", LOWER, 3, "Distance from pristine statistics (Mittal et al. 2013), its authors' model.",
                   instruments.niqe, True, package="pyiqa", weights=(instruments.NIQE,)),
    "clip_iqa": Metric("CLIP-IQA", HIGHER, 4, "CLIP asked whether a picture is good (Wang et al. 2023), on RN50.",
                       instruments.clip_iqa, True, package="pyiqa", weights=(instruments.CLIP_RN50,)),
    "fid": Metric("FID, whole", LOWER, 2, f"{_FRECHET}{_WHOLE}.", features="inception", distance=_of_sets),
    "kid": Metric("KID, whole", LOWER, 5, f"{_KERNEL}{_WHOLE}.", features="inception",
                  distance=realism.kernel_distance),
    "fid_256": Metric("FID, patches of 256", LOWER, 2, f"{_FRECHET}{_PARTS}.", features="inception_256",
                      distance=_of_sets),
    "kid_256": Metric("KID, patches of 256", LOWER, 5, f"{_KERNEL}{_PARTS}.", features="inception_256",
                      distance=realism.kernel_distance),
    "distance": Metric(NAME, LOWER, 3, "Built as LPIPS is and not calibrated; compares with nothing published.",
                       instruments.perceived_distance, package="efficientnet-lite-pytorch", published=False),
    "frechet": Metric("Fréchet distance", LOWER, 2, f"{_FRECHET}{_OWN}.", features="windows",
                      distance=realism.frechet_distance, published=False),
    "kernel": Metric("kernel distance", LOWER, 2, f"{_KERNEL}{_OWN}.", features="windows",
                     distance=realism.kernel_distance, published=False),
    "natural": Metric("NIQE, own pristine model", LOWER, 2, "NIQE's features over all pictures' patches together, "
                      "from a model of our own; compares with nothing published.", features="patches",
                      distance=lambda original, decoded: naturalness.naturalness(decoded), published=False),
}  # fmt: skip
"""All figures, by key, in the order of reports."""


class Tools:
    """What can be measured here.

    Attributes:
        keys: of :data:`METRICS`, in their order.
        about: of each key, and of each name of :data:`LOOKING`, the library's version and the weights.
        left_out: of each key that was asked for and cannot be measured, why.
    """

    def __init__(self, keys: Sequence[str] | None = None, device: str = "cpu", download: bool = False) -> None:
        """Loads ``keys``, all of :data:`METRICS` by default.

        Raises:
            SedicError: there is no such figure.
        """
        wanted = list(METRICS if keys is None else keys)
        unknown = [key for key in wanted if key not in METRICS]
        if unknown:
            raise SedicError(f"There is no figure {unknown[0]!r}; take some of {', '.join(METRICS)}.")
        self.about: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.compare: dict[str, Callable[..., float]] = {}
        self.features: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        self._told: set[str] = set()
        for key in METRICS:
            if key not in wanted:
                continue
            try:
                self._load(METRICS[key], key, device, download)
            except Missing as error:
                self.left_out[key] = str(error)
        self.keys = [key for key in METRICS if key in wanted and key not in self.left_out]

    def figures(self, original: np.ndarray, decoded: np.ndarray, only: Collection[str] | None = None) -> dict[str, Any]:
        """All of one picture, (H, W, 3) uint8 both: numbers by key, nan where it cannot be said; features by name.

        ``only`` chooses some of both.
        """
        found: dict[str, Any] = {}
        for key, compare in self.compare.items():
            if only is not None and key not in only:
                continue
            seen = (decoded,) if METRICS[key].alone else (original, decoded)
            value = self._asked(METRICS[key].label, compare, *seen)
            found[key] = math.nan if value is None else value
        return found | self.looks(decoded, only)

    def looks(self, pixels: np.ndarray, only: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """Features of a picture, by name, of all or ``only`` some; (0, 0) where it has none."""
        wanted = [name for name in self.features if only is None or name in only]
        found = {name: self._asked(name, self.features[name], pixels) for name in wanted}
        return {
            name: np.zeros((0, 0)) if rows is None else np.asarray(rows, np.float32) for name, rows in found.items()
        }

    def _asked(self, what: str, ask: Callable[..., Any], *pictures: np.ndarray) -> Any:
        """What an instrument says; None, told once, where it cannot look at such a picture."""
        try:
            return ask(*pictures)
        except SedicError as error:
            if str(error) not in self._told:
                self._told.add(str(error))
                warnings.warn(f"{what} is left out of some pictures: {error}", stacklevel=2)
            return None

    def _load(self, metric: Metric, key: str, device: str, download: bool) -> None:
        if metric.load is not None:
            self.compare[key] = metric.load(device, download)
            self.about[key] = _about(metric.package, metric.weights, metric.model)
            return
        name, looking = metric.features, LOOKING[metric.features]
        if name not in self.features:
            self.features[name] = looking.load(device, download)
        self.about[name] = self.about[key] = _about(looking.package, looking.weights)


def _about(package: str, weights: Sequence[Weights], model: str = "") -> str:
    try:
        parts = [f"{package} {version(package)}" if package else f"sedic {__version__}"]
    except PackageNotFoundError:  # copied there without pip
        parts = [package]
    return ", ".join([*parts, *(each.told() for each in weights), *([model] if model else [])])
