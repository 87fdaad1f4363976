"""How to restore: every switch of the decoder, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import SedicError
from .guidance import GuidanceSettings
from .solvers import solver_named
from .words import ORDERS, TOKENS, in_order

NEGATIVE = "low quality, blurry, low-resolution, noisy, unsharp, weird textures"
CONDITIONS = ("progressive", "reference")
STARTS = ("noise", "low frequencies", "noised picture")


@dataclass(frozen=True)
class Settings:
    """How to restore; the one place for these defaults (design: the released code's where the paper is silent).

    Attributes:
        object_steps, overall_steps: solver steps of an object's stage and of the last one.
        object_scale, overall_scale: classifier-free guidance scale of each.
        negative: the negative prompt of all stages.
        sampler: a key of :data:`~.solvers.SOLVERS`.
        scheduler: spacing of the noise levels; ``simple`` and ``karras`` on every denoiser.
        guide: whether Eq. 3 is applied; ``guidance`` says how.
        fuse: whether Eq. 4 is applied.
        condition: of the last stage; ``progressive``: E(I_J), the picture restored so far; ``reference``: E(I_0).
        start: the last stage begins from pure ``noise``, around the ``low frequencies`` of the picture so far, or from
            that ``noised picture``, as far up the noise levels as ``strength`` says.
        seed: of the noise; with the stage's number it gives the same start on every machine.
        object_scales: scales of the first, second … object's stage, where they differ from ``object_scale``.
        tokens: the words that are guided, one of :data:`~.words.TOKENS`; ``words`` are those chosen.
        soft_edge: latent cells over which an object fades into the stage before, outwards from its mask.
        order: of the objects, see :func:`~.words.in_order`.
        strength: of ``noised picture``, in (0, 1]: 1 keeps nothing of the picture.
        working_size: longest side in pixels that the network sees at once, a multiple of 64; what is beyond it is
            restored in overlapping tiles. 0: the model's own.

    Raises:
        SedicError: a value that does not exist or is out of range.
    """

    object_steps: int = 10
    overall_steps: int = 20
    object_scale: float = 3.5
    overall_scale: float = 7.0
    negative: str = NEGATIVE
    sampler: str = "euler"
    scheduler: str = "simple"
    guide: bool = True
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    fuse: bool = True
    condition: str = CONDITIONS[0]
    start: str = STARTS[0]
    seed: int = 0
    object_scales: tuple[float, ...] = ()
    tokens: str = TOKENS[0]
    words: tuple[str, ...] = ()
    soft_edge: int = 0
    order: str = ORDERS[0]
    strength: float = 0.6
    working_size: int = 0

    def __post_init__(self) -> None:
        solver_named(self.sampler)
        in_order((), self.order)
        for name, value, choices in (
            ("condition", self.condition, CONDITIONS),
            ("start", self.start, STARTS),
            ("tokens", self.tokens, TOKENS),
        ):
            if value not in choices:
                raise SedicError(f"The {name} {value!r} does not exist; use one of {', '.join(choices)}.")
        if not 0 < self.strength <= 1:
            raise SedicError(f"The strength {self.strength} is out of range; it lies above 0 and is at most 1.")
        if self.soft_edge < 0:
            raise SedicError(f"The soft edge {self.soft_edge} is negative; give a number of latent cells, or 0.")
        if self.working_size < 0 or self.working_size % 64:
            raise SedicError(f"The working size {self.working_size} is no multiple of 64; give one, or 0.")

    def scale_of(self, place: int) -> float:
        """Classifier-free guidance scale of the object that is restored in this place, counted from 1."""
        return self.object_scales[place - 1] if place <= len(self.object_scales) else self.object_scale
