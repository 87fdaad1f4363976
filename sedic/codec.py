"""From a picture and its semantics to a ``.sedic`` file and back: joins the file, the reference and the decoder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .bitstream import BitstreamError, Hints, SedicFile
from .bitstream.mask import MaskChoice
from .budget import fit
from .errors import SedicError
from .handed import words_of
from .picture import read_picture
from .qualities import OnlyOne, Qualities
from .reference.registry import DEFAULT_CODEC, CodecError, ReferenceCodec, codec_by_id, parse_reference
from .semantics import Limits, Semantics

if TYPE_CHECKING:
    from .restoration.denoiser import Models
    from .restoration.settings import Settings
    from .restoration.stages import Stage

EMBEDDED_SETTINGS = {
    "object_steps": 2, "overall_steps": 1, "object_scale": 1.0, "overall_scale": 1.0, "working_size": 1024,
    "color_fix": True, "detail": 0.7,
}  # fmt: skip
"""What suits the embedded models: taught to restore in one or two steps, with the reference's colours and part of their
own detail; too little trained for classifier-free guidance; small enough to see a photograph whole."""
EMBEDDED_GUIDANCE = {"eta": 1600.0, "t_prime": 0.5, "updates": 1}
"""Likewise, of Eq. 3: one update in the first half of the steps, with the η that halves the mean energy of Eq. 2 over
the 35 objects of sixteen held-out pictures (docs/embedded.md)."""


@dataclass(frozen=True)
class Reference:
    """An encoded reference, Ĩ0: which codec at which quality, its bytes, and the picture's size."""

    codec_id: int
    quality: int
    data: bytes
    width: int
    height: int
    fingerprint: bytes = b""

    def picture(self, models: Path | None = None) -> np.ndarray:
        """Decodes it at the picture's size, (H, W, 3) uint8; ``models`` holds weights, for codecs that need any.

        Raises:
            CodecError: damaged bytes, or other weights than those it was written with.
        """
        codec = codec_by_id(self.codec_id, models)
        own = codec.fingerprint(self.quality)
        if own != self.fingerprint:
            raise CodecError(
                f"The reference was written with {codec.name} weights {self.fingerprint.hex() or 'none'}, found are "
                f"{own.hex() or 'none'}; use the weights that the sender used."
            )
        return codec.decode(self.data, (self.width, self.height), self.quality)


def encode_reference(image: np.ndarray, reference: str = DEFAULT_CODEC, models: Path | None = None) -> Reference:
    """Encodes a picture, (H, W, 3) uint8, with a codec named ``NAME[:QUALITY]``."""
    return _encode(image, *parse_reference(reference, models))


def reference_within(image: np.ndarray, name: str, most_bytes: int, models: Path | None = None) -> Reference:
    """The best reference of at most so many bytes by the codec called ``name``; its smallest where none is as small."""
    return _references(image, parse_reference(name, models)[0]).within(most_bytes)


def _encode(image: np.ndarray, codec: ReferenceCodec, quality: int) -> Reference:
    data = codec.encode(image, quality)
    return Reference(codec.id, quality, data, image.shape[1], image.shape[0], codec.fingerprint(quality))


def pack(
    reference: Reference, semantics: Semantics, hints: Hints = Hints(), masks: MaskChoice = MaskChoice()
) -> SedicFile:
    """Joins a reference and semantics to a file; ``masks`` says how finely masks are written."""
    return SedicFile(
        reference.width,
        reference.height,
        codec_id=reference.codec_id,
        quality=reference.quality,
        reference=reference.data,
        semantics=semantics,
        fingerprint=reference.fingerprint,
        hints=hints,
        mask_choice=masks,
    )


def check_request(reference: str, target_bpp: float | None, models: Path | None = None) -> None:
    """Told before the work: a reference codec that does not exist, or a quality beside a budget that chooses it.

    Raises:
        SedicError: one of these.
    """
    codec, _ = parse_reference(reference, models)
    if target_bpp is not None and ":" in reference:
        raise SedicError(
            f"The budget of {target_bpp} bpp (--target-bpp) chooses the reference's quality, and {reference} names "
            f"one; write {codec.name} alone, or leave the budget out."
        )


def encode(
    image: Any,
    semantics: Any = Semantics(),
    reference: str = DEFAULT_CODEC,
    limits: Limits = Limits(),
    target_bpp: float | None = None,
    hints: Hints = Hints(),
    models: Path | None = None,
    masks: MaskChoice = MaskChoice(),
) -> SedicFile:
    """Encodes a picture.

    Args:
        image: a path, a PIL picture, or (H, W, 3) uint8; see :func:`.picture.read_picture`.
        semantics: words, and masks of the picture's size: a string, a dict or Semantics, see :func:`.handed.words_of`;
            cut to the limits with a warning.
        reference: ``NAME[:QUALITY]``.
        limits: most objects and words.
        target_bpp: of the whole file at most; objects and words that bring less than they cost are left out, with a
            warning, and what the others leave is spent on the reference. None takes its quality as it is.
        hints: for the decoder, where they differ from its defaults.
        models: folder of reference codecs' weights.
        masks: cells and smoothing of the masks, where the coder's own choice is not wanted.

    Raises:
        SedicError: the picture, the semantics or the budget cannot be used.
    """
    check_request(reference, target_bpp, models)
    image = read_picture(image)
    size = image.shape[1], image.shape[0]
    semantics = words_of(semantics, size).limited(limits).with_masks(size)
    codec, quality = parse_reference(reference, models)
    if target_bpp is None:
        return pack(_encode(image, codec, quality), semantics, hints, masks)
    return fit(semantics, target_bpp, _references(image, codec), lambda r, s: pack(r, s, hints, masks))


def _references(image: np.ndarray, codec: ReferenceCodec, known: Reference | None = None) -> Qualities[Reference]:
    """The references of a picture by a codec, of which one may be coded already."""
    least, size = codec.least_quality(image), (image.shape[1], image.shape[0])
    return Qualities(
        lambda quality: _encode(image, codec, quality),
        range(least, codec.qualities[-1] + 1),
        max(least, codec.default_quality),
        lambda quality: codec.most_bytes(quality, size),
        {known.quality: known} if known else None,
    )


def pack_within(
    target_bpp: float,
    reference: Reference,
    semantics: Semantics,
    hints: Hints = Hints(),
    image: np.ndarray | None = None,
    models: Path | None = None,
    masks: MaskChoice = MaskChoice(),
) -> SedicFile:
    """As :func:`pack`, at most ``target_bpp``: leaves out objects and words, tells which, and chooses the reference.

    Args:
        target_bpp: bits per pixel of the whole file.
        reference: from :func:`encode_reference`; its codec is kept.
        semantics: words and masks, the most important object first.
        hints: for the decoder.
        image: the picture, (H, W, 3) uint8, to encode its reference at another quality; None keeps the one there is.
        models: folder of reference codecs' weights.
        masks: as of :func:`pack`.

    Raises:
        BudgetError: not even the smallest file fits; says what does.
    """
    references: Qualities[Reference] | OnlyOne[Reference] = OnlyOne(reference)
    if image is not None:
        codec = codec_by_id(reference.codec_id, models)
        known = reference if reference.fingerprint == codec.fingerprint(reference.quality) else None
        references = _references(image, codec, known)
    return fit(semantics, target_bpp, references, lambda r, s: pack(r, s, hints, masks))


def reference_of(file: SedicFile) -> Reference:
    """The reference inside a file.

    Raises:
        BitstreamError: it has not arrived.
    """
    if file.reference is None:
        raise BitstreamError(
            "The file's reference is missing, of which no codec shows a part, so there is no picture yet. "
            + file.missing
        )
    return Reference(file.codec_id, file.quality, file.reference, file.width, file.height, file.fingerprint)


def default_settings(models: str = "embedded") -> Settings:
    """The decoder's settings where nobody chose any: those that suit the embedded models, or the folder ``models``."""
    from .restoration.settings import GuidanceSettings, Settings, few_steps

    if models != "embedded":
        from .restoration.diffusers_backend.folder import made_for_few_steps

        return few_steps(Settings()) if models and made_for_few_steps(Path(models)) else Settings()
    return Settings(**EMBEDDED_SETTINGS, guidance=GuidanceSettings(**EMBEDDED_GUIDANCE))  # type: ignore[arg-type]


def settings_of(file: SedicFile, settings: Settings) -> Settings:
    """``settings`` with the file's hints applied."""
    from .restoration.settings import guidance_in

    hints: dict[str, Any] = {"seed": file.hints.seed, "guide": settings.guide and file.hints.guidance}
    steps = {name: getattr(file.hints, name) for name in ("object_steps", "overall_steps")}
    found = replace(settings, **hints, **{name: chosen for name, chosen in steps.items() if chosen is not None})
    return replace(found, guidance=guidance_in(found.object_steps, found.guidance))


def decode(
    file: SedicFile | str | os.PathLike[str],
    models: Models | None = None,
    settings: Settings | None = None,
    until: str = "final",
    progress: Any = None,
    weights: Path | None = None,
) -> Iterator[Stage]:
    """Algorithm 1 on a file, with whatever words and masks have arrived; see :func:`.restoration.stages.decode`.

    Args:
        file: or its path.
        models: from :func:`load_models`; None takes the embedded ones, as quick as they are on this processor.
        settings: None takes those that suit the models, with the file's hints.
        until: ``object`` or ``final``.
        progress: given a stage's name, returns what is told about its steps.
        weights: folder of reference codecs' weights.

    Returns:
        The stages as they are done; :func:`to_pixels` makes pixels of a stage's ``image``.

    Raises:
        SedicError: the file, or what it needs, cannot be used.
    """
    from .restoration import stages

    if until not in ("object", "final"):
        raise SedicError(f"A file is restored until 'object' or 'final', not {until!r}; the reference is what Pillow's "
                         "Image.open shows of it.")  # fmt: skip
    if not isinstance(file, SedicFile):
        file = SedicFile.read(file)
    image = to_image(reference_of(file).picture(weights))
    if models is None:
        models = load_models(precision="auto")
    if settings is None:
        settings = settings_of(file, default_settings(getattr(models, "where", "")))
    return stages.decode(models, image, file.semantics, settings, until, progress)


def to_image(pixels: np.ndarray) -> Any:
    """(H, W, 3) uint8 as a stage takes it, (1, 3, H, W) in [0, 1]; undone by :func:`to_pixels`."""
    import torch

    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def to_pixels(image: Any) -> np.ndarray:
    """A stage's picture, (1, 3, H, W) in [0, 1], as (H, W, 3) uint8."""
    return image[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()


def require_device(device: str) -> None:
    """Raises SedicError unless PyTorch can use the device."""
    import torch

    try:
        torch.zeros(1, device=device).item()  # which a device without numbers, ``meta``, cannot say
    except (RuntimeError, AssertionError, ImportError) as error:
        raise SedicError(f"There is no device {device!r} here ({str(error).splitlines()[0]}); try cpu.") from error


def load_models(where: str = "embedded", device: str = "cpu", precision: str = "float32", loras: Any = ()) -> Models:
    """The embedded models, or those of a folder, see :mod:`.restoration.diffusers_backend.folder`.

    Args:
        where: ``embedded`` or a folder.
        device: as PyTorch names it.
        precision: of the network and its ControlNet, one of :data:`.restoration.settings.PRECISIONS`; the embedded
            autoencoder goes with them into bfloat16.
        loras: pairs of a LoRA's file and its strength, added to the weights one after the other.

    Raises:
        SedicError: missing or unfit files.
    """
    import torch

    from .models import embedded
    from .models.precision import named
    from .restoration.diffusers_backend import folder, lora
    from .restoration.diffusers_backend.denoiser import DiffusersModels

    require_device(device)
    if where != "embedded":
        models = folder.read_folder(Path(where), device)
    else:
        # Convolutions on the processor read cells whole: a sixth quicker in the autoencoder.
        layout = torch.channels_last if torch.device(device).type == "cpu" else torch.preserve_format
        parts = {part: embedded.load(part).to(device, memory_format=layout) for part in embedded.PARTS}
        models = DiffusersModels(**parts, tokenizer=embedded.tokenizer(), prediction=embedded.PREDICTION,
                                 latent_condition=True, where="embedded")  # fmt: skip
    for path, strength in loras:
        lora.add(models, path, strength)
    return models.in_precision(named(precision, device))
