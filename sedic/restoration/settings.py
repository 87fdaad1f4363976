"""How to restore: every switch of the decoder, with its default. Nothing here needs PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from ..bitstream.header import MOST_SEED
from ..errors import SedicError
from .solvers import solver_named
from .words import ORDERS, TOKENS, in_order

NEGATIVE = "low quality, blurry, low-resolution, noisy, unsharp, weird textures"
CONDITIONS = ("progressive", "reference")
STARTS = ("noise", "low frequencies", "noised picture")
ATTENTION_LAYERS = ("first up block", "second up block", "middle block", "control net")
"""Choices for the cross-attention that guidance reads.

``first up block``: the first block of the upsampling branch that has cross-attention (LDM output blocks 3-5 of
SD 1.5); ``second up block``: the one after it (output blocks 6-8), the other reading of the paper's "middle block of
the upsampling branch"; ``middle block``: the bottleneck; ``control net``: the ControlNet's own, in its last down block
that has any and in its middle block.
"""
CONTROL_LAYERS = ATTENTION_LAYERS[-1]
THIRDS = ("early third", "middle third", "late third")
"""Choices in transformers: of the blocks in which picture and text attend together (Flux: its double blocks)."""
OWN_LAYERS = "model's own"
"""What the network's family reads by itself: of UNets the first up block, of transformers one of the thirds."""
REDUCTIONS = ("mean", "max", "sum")
"""Of the energies of several tokens: ``mean``; ``max``, of each head's token that strays furthest; ``sum``, as if each
token had a step of its own, so that a longer name is guided harder."""
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
"""Of the network and its ControlNet, the command line's default first; ``auto`` is bfloat16 on a processor that
computes in it, else float32."""
PREVIEW = 0.4
"""Share of the steps that is enough for a quick look: 4 and 8 of 10 and 20."""


def block_number(name: str) -> int | None:
    """The number in the name of a single block, ``block 7``, counted from 0; None for another name."""
    word, _, number = name.partition(" ")
    return int(number) if word == "block" and number.isdecimal() else None


@dataclass(frozen=True)
class GuidanceSettings:
    """How strongly and how long to guide; the one place for these defaults.

    Attributes:
        eta: step size η of Eq. 3 (the paper: 30 to 50 work well, 40 by default).
        t_prime: T′ as a fraction of T; guided while t / T > T′. The paper does not give it; the first fifth of
            the steps follows ref. [41].
        updates: most inner updates a step (ref. [41]: 5).
        threshold: inner updates end when the energy falls to it (ref. [41]: 0.2).
        layers: which attention is read, some of :data:`ATTENTION_LAYERS`; in transformers of :data:`THIRDS`, or
            ``block`` and a number; :data:`OWN_LAYERS` on any.
        through_control: whether the gradient also goes through the ControlNet; without it an update costs less.
        reduction: of the energies of several tokens, one of :data:`REDUCTIONS`.

    Raises:
        SedicError: a choice that does not exist, or the ControlNet's layers without a gradient through it.
    """

    eta: float = 40.0
    t_prime: float = 0.8
    updates: int = 5
    threshold: float = 0.2
    layers: tuple[str, ...] = ATTENTION_LAYERS[:1]
    through_control: bool = True
    reduction: str = REDUCTIONS[0]

    def __post_init__(self) -> None:
        known = (*ATTENTION_LAYERS, OWN_LAYERS, *THIRDS)
        unknown = [name for name in self.layers if name not in known and block_number(name) is None]
        if unknown or not self.layers:
            raise SedicError(f"There are no layers {unknown}; choose one or more of {', '.join(known)}.")
        if self.reduction not in REDUCTIONS:
            raise SedicError(f"There is no energy reduction {self.reduction!r}; use one of {', '.join(REDUCTIONS)}.")
        if not 0 <= self.eta < float("inf"):
            raise SedicError(f"The step size eta is {self.eta}; it must be 0 or more.")
        if not 0 <= self.t_prime <= 1:
            raise SedicError(f"The fraction t_prime is {self.t_prime}; it must lie between 0 and 1.")
        if math.isnan(self.threshold):
            raise SedicError("The threshold of the energy is no number; give one, say 0.2.")
        if CONTROL_LAYERS in self.layers and not self.through_control:
            raise SedicError(
                "The ControlNet's own layers are read with a gradient through the ControlNet; turn that on, or leave "
                "those layers out."
            )

    def active(self, step: int, steps: int) -> bool:
        """Whether ``step`` of ``steps`` is guided; t / T counts down from 1 with the steps, whatever the schedule."""
        return self.eta > 0 and (steps - step) / steps > self.t_prime

    def guided_steps(self, steps: int) -> int:
        """How many of ``steps`` are guided: the first ones."""
        return sum(self.active(step, steps) for step in range(steps))


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
        color_fix: whether every stage's picture gets the reference's coarse colours back, see :mod:`.color_fix`; the
            paper does not.
        detail: share in [0, 1] of the structure that a stage paints finer than those colours that is kept, where
            ``color_fix`` is on: 1 keeps it all, 0 the reference alone.
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
    color_fix: bool = False
    detail: float = 1.0

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
        if not 0 <= self.seed <= MOST_SEED:
            raise SedicError(f"The seed is {self.seed}; it must be 0 to {MOST_SEED}.")
        for scale in (self.object_scale, self.overall_scale, *self.object_scales):
            if not math.isfinite(scale):
                raise SedicError(f"The scale of classifier-free guidance is {scale}; give a number, say 3.5.")
        if not 0 < self.strength <= 1:
            raise SedicError(f"The strength {self.strength} is out of range; it lies above 0 and is at most 1.")
        if not 0 <= self.detail <= 1:
            raise SedicError(f"The share of detail that is kept is {self.detail}; it must be 0 to 1.")
        if self.soft_edge < 0:
            raise SedicError(f"The soft edge {self.soft_edge} is negative; give a number of latent cells, or 0.")
        if self.working_size < 0 or self.working_size % 64:
            raise SedicError(f"The working size {self.working_size} is no multiple of 64; give one, or 0.")

    def scale_of(self, place: int) -> float:
        """Classifier-free guidance scale of the object that is restored in this place, counted from 1."""
        return self.object_scales[place - 1] if place <= len(self.object_scales) else self.object_scale


FEW_STEPS = 8
"""Steps of a stage up to which they are few."""
FEW_GUIDANCE: dict[str, Any] = {"t_prime": 0.0, "updates": 1}
"""What suits Eq. 3 where a stage has few steps: all of them are guided, once each (docs/embedded.md)."""


def guidance_in(steps: int, guidance: GuidanceSettings) -> GuidanceSettings:
    """``guidance`` where somebody chose it, else the defaults of a stage of so many steps."""
    plain, few = GuidanceSettings(), GuidanceSettings(**FEW_GUIDANCE)
    if guidance not in (plain, few):
        return guidance
    return few if steps <= FEW_STEPS else plain


def few_steps(settings: Settings, steps: int = 4) -> Settings:
    """``settings`` for models that were made for few steps without classifier-free guidance: LCM, Turbo and the like.

    Each stage has so many; what it is guided with is that of few steps, the embedded models' own stays.
    """
    return replace(
        settings, object_steps=steps, overall_steps=steps, object_scale=1.0, overall_scale=1.0, object_scales=(),
        sampler="lcm", scheduler="sgm_uniform", guidance=guidance_in(steps, settings.guidance),
    )  # fmt: skip
