"""``.sedic`` files to pictures; models are loaded once."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import codec
from ..bitstream import SedicFile
from ..bitstream.container import MOST_FILE
from ..picture import picture_bytes
from .encoding import size_of
from .work import Made, files_fingerprint

if TYPE_CHECKING:
    from ..restoration.settings import Settings

MEMORY = 3 << 29  # bytes of a worker with the embedded models
Switch = Callable[[Mapping[str, Any], "Settings"], "Settings"]


def _as_they_are(switches: Mapping[str, Any], settings: Settings) -> Settings:
    return settings


@dataclass(frozen=True)
class Decoding:
    """How files are decoded, as the options of ``sedic decode`` say it; see :func:`sedic.codec.decode`.

    Attributes:
        models: ``embedded`` or a folder.
        precision: of :func:`sedic.codec.load_models`.
        lora: its ``loras``: pairs of a file and its strength.
        until: ``reference``, ``object`` or ``final``.
        weights: folder of reference codecs' weights.
        switches: what the person chose of the decoder's settings.
        switch: applies ``switches`` to a file's settings; a function of a module's own.
    """

    models: str = "embedded"
    precision: str = "float32"
    lora: Sequence[tuple[Path, float]] = ()
    until: str = "final"
    weights: Path | None = None
    switches: Mapping[str, Any] = field(default_factory=dict)
    switch: Switch = _as_they_are
    command: str = "decode"

    def begin(self, device: str = "cpu") -> Decoder:
        """See :class:`.work.Work`."""
        return Decoder(self, device)

    def settings(self) -> Mapping[str, Any]:
        """See :class:`.work.Work`; the device is none of them: a run continues on another one."""
        from ..models.embedded import WEIGHTS

        models = None if self.until == "reference" else WEIGHTS if self.models == "embedded" else self.models
        return {
            "until": self.until,
            "precision": self.precision,
            "switches": dict(self.switches),
            "models": files_fingerprint(models),
            "loras": [(files_fingerprint(path), strength) for path, strength in self.lora],
            "weights": files_fingerprint(self.weights),
            "defaults": repr(codec.default_settings(self.models)),
        }

    def memory(self) -> int:
        """See :class:`.work.Work`."""
        return MEMORY + (0 if self.models == "embedded" else 2 * size_of(Path(self.models)))

    def spread(self, workers: int) -> Decoding:
        """See :class:`.work.Work`."""
        return self


class Decoder:
    """Decodes files as a :class:`Decoding` says."""

    def __init__(self, how: Decoding, device: str = "cpu") -> None:
        """Loads the models.

        Raises:
            SedicError: they, or the device, cannot be used.
        """
        self.how = how
        self.models = (
            None if how.until == "reference" else codec.load_models(how.models, device, how.precision, how.lora)
        )

    def make(self, source: io.BytesIO, semantics: Path | None = None) -> Made:
        """See :class:`.work.Maker`; the picture is a PNG."""
        data = source.read(MOST_FILE + 1)
        file = SedicFile.from_bytes(data)
        if file.missing:
            warnings.warn(file.missing, stacklevel=2)
        how = self.how
        picture = codec.reference_of(file).picture(how.weights)
        if self.models is not None:
            settings = how.switch(how.switches, codec.settings_of(file, codec.default_settings(how.models)))
            stage = None
            for stage in codec.decode(file, self.models, settings, how.until, weights=how.weights):
                picture = codec.to_pixels(stage.image)
            if stage is None:
                warnings.warn("No object has a mask, so the picture is the reference.", stacklevel=2)
        return Made(picture_bytes(picture, "PNG"), len(data), file.width, file.height)
