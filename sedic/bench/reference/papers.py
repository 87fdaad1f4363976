"""The paper's codec beside ours: CompressAI's cheng2020-attn, with weights of the user's or random ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...models.precision import autocast
from ...reference import CodecError, codec_by_name
from ...reference.cheng2020 import network
from .points import PAPERS

QUALITY = 1
_CHANNELS = 128  # of qualities 1 to 3
# Random networks' latents would all round to 0 and their scales all be the smallest; enlarged, both are spread about as
# trained ones are. The first is for the last convolution before y, the second for the entropy model's scales.
_LATENTS, _SCALES = 2, 30


def available() -> bool:
    """Whether CompressAI is installed."""
    try:
        network()
    except CodecError:  # a half installed one fails, too
        return False
    return True


def weights_folder(given: Path | None, out: Path) -> tuple[Path, str]:
    """The folder that holds ``cheng2020-attn/q1``, and what its weights are: random ones where none is given."""
    if given is not None:
        return given, "given weights"
    folder = out / "random"
    path = folder / PAPERS / f"q{QUALITY}.pth"
    if not path.is_file():
        import torch

        torch.manual_seed(0)
        model = network()(N=_CHANNELS).eval()
        with torch.no_grad():
            model.g_a[-2].weight.mul_(_LATENTS)
            for parameter in model.entropy_parameters[-1].parameters():
                parameter[:_CHANNELS].mul_(_SCALES)
        model.update(force=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(model.state_dict(), partial)
        partial.replace(path)
    return folder, "random weights"


class Symbols:
    """cheng2020-attn as a codec whose symbols can be looked at, as ``compact``'s can."""

    def __init__(self, models: Path) -> None:
        self._codec = codec_by_name(PAPERS, models)

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        """As the codec's."""
        with _transforms(self._codec._model(quality)):  # type: ignore[attr-defined]
            return self._codec.encode(image, quality)

    def symbols(self, data: bytes, size: tuple[int, int], quality: int) -> tuple[np.ndarray, ...]:
        """All whole numbers in ``data``, in the order in which they are read.

        Raises:
            CodecError: damaged bytes.
        """
        model = self._codec._model(quality)  # type: ignore[attr-defined]
        seen: list[np.ndarray] = []
        models = model.gaussian_conditional, model.entropy_bottleneck
        for entropy in models:
            entropy.dequantize = _recording(entropy.dequantize, seen)
        try:
            with _transforms(model):
                self._codec.decode(data, size, quality)
        finally:
            for entropy in models:
                del entropy.dequantize
        return tuple(seen)


def _recording(dequantize: Any, seen: list[np.ndarray]) -> Any:
    def record(inputs: Any, *rest: Any, **options: Any) -> Any:
        seen.append(inputs.detach().numpy().astype(np.int64))
        return dequantize(inputs, *rest, **options)

    return record


@contextmanager
def _transforms(model: Any) -> Iterator[None]:
    """Leaves autocast, where it is on, to the transforms: what decides probabilities stays in float32, as ours does."""
    import torch

    on = torch.is_autocast_enabled("cpu")
    kept = {name: getattr(model, name).forward for name in ("g_a", "h_a", "g_s")}

    def lowered(forward: Any) -> Any:
        def run(x: Any) -> Any:
            with autocast(on=on):
                return forward(x).float()

        return run

    for name, forward in kept.items():
        getattr(model, name).forward = lowered(forward)
    try:
        with autocast(on=False):
            yield
    finally:
        for name in kept:
            del getattr(model, name).forward
