"""The paper's reference codec: ``cheng2020-attn`` of CompressAI, with weights of the user's.

Weights are CompressAI's own downloads or files trained further, saved as ``<models>/cheng2020-attn/q1.pth`` to
``q6.pth`` (also ``.pth.tar`` and ``.safetensors``). The paper's reference is quality 1 trained further at a tenth of
its λ. Payload: length of z's stream as a LEB128 number, z's stream, y's stream.

Its probabilities come from float32 networks. Reader and writer must therefore agree on them to the last bit, which
the same weights on another machine do not promise: use ``av1`` for files that travel.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from .registry import CodecError, check_image, check_quality, check_size

_SUFFIXES = (".pth", ".pth.tar", ".safetensors")
# CompressAI asks for numpy<2 and runs with NumPy 2: without --no-deps it would take a newer one away.
INSTALL = 'pip install "sedic[cheng2020]", then pip install --no-deps "compressai>=1.2.8"'
_STRIDE = 64  # of z: both transforms together shrink by this
_TABLES = ("_offset", "_quantized_cdf", "_cdf_length")  # of both entropy models; empty until update() was called
_CONSTANTS = (".bound", ".mask", ".target")  # buffers that the architecture fixes
# The entropy bottleneck's parameters have had three names: "_matrices.0" in the first downloads, "_matrix0" in
# CompressAI 1.2.4, "matrices.0" in 1.2.8; "biases" and "factors" likewise.
_BOTTLENECK = re.compile(r"^(entropy_bottleneck\.)_?(matri|bias|factor)(?:x|ces|es|s)?\.?(\d)$")
_PLURAL = {"matri": "matrices", "bias": "biases", "factor": "factors"}


class Cheng2020Attention:
    """CompressAI's Cheng2020Attention as a real stream; ``quality`` 1..6 chooses the file of weights."""

    name = "cheng2020-attn"
    id = 2
    default_quality = 1
    qualities = range(1, 7)

    def __init__(self, models: Path | None = None) -> None:
        """``models`` is the folder that holds ``cheng2020-attn/``; it is looked into when weights are needed."""
        self._folder = None if models is None else Path(models) / self.name
        self._loaded: dict[int, Any] = {}

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        """``image``, (H, W, 3) uint8, as z's and y's range-coded streams.

        Raises:
            CodecError: picture or quality out of range, CompressAI or the weights missing or unusable.
        """
        import torch

        check_image(image)
        model = self._model(quality)
        padding = [(0, -n % _STRIDE) for n in image.shape[:2]]
        padded = np.pad(image, [*padding, (0, 0)], mode="edge")
        pixels = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255  # H,W,3 -> 1,3,H,W
        with torch.no_grad():
            (y,), (z,) = model.compress(pixels)["strings"]
        return _varint(len(z)) + z + y

    def decode(self, data: bytes, size: tuple[int, int], quality: int) -> np.ndarray:
        """The picture at ``size`` = (width, height), as (H, W, 3) uint8.

        The streams carry no redundancy: damaged ones of a right shape give a wrong picture, which the check values
        of the file are there to prevent.

        Raises:
            CodecError: damaged bytes, or what :meth:`encode` raises.
        """
        import torch

        check_size(size)
        model = self._model(quality)
        z, y = _split(data)
        width, height = size
        rows, columns = -(-height // _STRIDE), -(-width // _STRIDE)
        channels = model.state_dict()["entropy_bottleneck.quantiles"].shape[0]
        strings = [[_guarded(y, 16 * channels * rows * columns)], [_guarded(z, channels * rows * columns)]]
        try:
            with torch.no_grad():
                decoded = model.decompress(strings, (rows, columns))["x_hat"][0]
        except (RuntimeError, ValueError, IndexError) as error:
            raise CodecError(f"The reference's streams are damaged ({error}); fetch the file again.") from error
        pixels = (decoded[:, :height, :width].nan_to_num(0.5) * 255).round().clamp(0, 255)
        return pixels.byte().permute(1, 2, 0).numpy()  # 3,H,W -> H,W,3

    def least_quality(self, image: np.ndarray) -> int:
        """The first: every picture fits."""
        return self.qualities[0]

    def most_bytes(self, quality: int, size: tuple[int, int]) -> None:
        """Only encoding tells."""

    def fingerprint(self, quality: int) -> bytes:
        """First four bytes of the SHA-256 over all weights and probability tables, in the order of their names."""
        state = {_canonical(key): value for key, value in self._model(quality).state_dict().items()}
        digest = hashlib.sha256()
        for key in sorted(state):
            if not key.endswith(_CONSTANTS):
                digest.update(state[key].contiguous().numpy().tobytes())
        return digest.digest()[:4]

    def _model(self, quality: int) -> Any:
        check_quality(self, quality)
        if quality not in self._loaded:
            network()  # whether CompressAI is there is told before missing weights are
            self._loaded[quality] = load(self._path(quality))
        return self._loaded[quality]

    def _path(self, quality: int) -> Path:
        folder = self._folder or Path("MODELS") / self.name
        for suffix in _SUFFIXES:
            if (folder / f"q{quality}{suffix}").is_file():
                return folder / f"q{quality}{suffix}"
        given = "" if self._folder else " (no folder of models was given)"
        raise CodecError(
            f"The reference codec {self.name} has no weights{given}: save those of quality {quality} as "
            f"{folder / f'q{quality}.pth'} (or {', '.join(_SUFFIXES[1:])}), "
            "from CompressAI's model zoo or your own training."
        )


def network() -> Any:
    """CompressAI's class.

    Raises:
        CodecError: CompressAI is not installed.
    """
    try:
        from compressai.models import Cheng2020Attention as Network
    except ImportError as error:
        raise CodecError(
            f"The reference codec {Cheng2020Attention.name} needs CompressAI ({error}): {INSTALL}."
        ) from error
    return Network


def load(path: Path) -> Any:
    """CompressAI's model with all the weights of a file and nothing else in it, ready to code.

    Raises:
        CodecError: CompressAI is not installed, or the weights are unusable.
    """
    return _load(network(), _read(path), path)


def _read(path: Path) -> dict[str, Any]:
    """The tensors of a file of weights; nothing in it is executed."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CodecError(f"The weights {path} cannot be read ({reason}); save a plain state dict there.") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]  # a checkpoint of CompressAI's training script
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CodecError(f"The weights {path} are no state dict of tensors; save model.state_dict() there.")
    return state


def _load(network: Any, tensors: dict[str, Any], path: Path) -> Any:
    """A ``network`` with all ``tensors`` and nothing else in it, ready to code.

    Raises:
        CodecError: a tensor is missing, left over, or of another shape.
    """
    state = {_canonical(key): value for key, value in tensors.items()}
    first = state.get("g_a.0.conv1.weight")
    if first is None or first.ndim != 4:
        raise CodecError(f"The weights {path} are not those of cheng2020-attn: they have no g_a.0.conv1.weight.")
    model = network(N=first.shape[0]).eval()
    own = model.state_dict()
    tables = [key for key in own if key.endswith((*_TABLES, "scale_table"))]
    complete = all(key in state and state[key].numel() for key in tables)
    if not complete:  # saved without update(): the tables are worked out from the weights below
        state = {key: value for key, value in state.items() if key not in tables}
        state |= {key: own[key] for key in tables}
    names = {_canonical(key): key for key in own}
    missing, surplus = sorted(names.keys() - state.keys()), sorted(state.keys() - names.keys())
    if missing or surplus or len(state) < len(tensors):
        found = "; ".join(
            f"{what} {len(keys)}: {', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}"
            for what, keys in (("missing", missing), ("left over", surplus))
            if keys
        )
        raise CodecError(
            f"The weights {path} do not fit cheng2020-attn ({found or 'some tensors are there twice'}); "
            "save the state dict of CompressAI's Cheng2020Attention."
        )
    try:
        model.load_state_dict({names[key]: value for key, value in state.items()}, strict=True)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CodecError(f"The weights {path} do not fit cheng2020-attn ({reason}).") from error
    if not complete:
        model.update(force=True)
    return model


def _canonical(key: str) -> str:
    """A weight's name in CompressAI 1.2.8, whichever version (or DataParallel) it was saved by."""
    key = key.removeprefix("module.").replace(".downsample.", ".skip.")
    match = _BOTTLENECK.match(key)
    return f"{match[1]}{_PLURAL[match[2]]}.{match[3]}" if match else key


def _guarded(stream: bytes, symbols: int) -> bytes:
    """``stream`` with zeros behind it, as many as ``symbols`` can consume.

    CompressAI's decoder reads 32-bit words without looking for the end, so that a short stream would show it the
    memory behind. A symbol takes a word, or, escaped, a unary count of nibbles and the nibbles: at most 64 bytes once
    the words are zeros, 64 for each byte that is none.
    """
    if len(stream) < 4 or len(stream) % 4:
        raise CodecError("The reference's streams are damaged (no whole words); fetch the file again.")
    return stream + bytes(64 * (symbols + len(stream)))


def _varint(value: int) -> bytes:
    """LEB128."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _split(data: bytes) -> tuple[bytes, bytes]:
    """z's and y's streams."""
    length = 0
    for i, byte in enumerate(data[:4]):
        length |= (byte & 127) << 7 * i
        if byte < 128:
            body = data[i + 1 :]
            if length <= len(body):
                return body[:length], body[length:]
            break
    raise CodecError("The reference's streams are damaged (lengths); fetch the file again.")
