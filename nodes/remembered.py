"""Stages that were sampled before: second thoughts about one object cost that object's stage and those behind it."""

from __future__ import annotations

import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import comfy.model_management
from torch import Tensor

from ..sedic.restoration.fusion import Trajectory
from .contents import Contents, Unknowable

MOST_BYTES = 3 << 29
"""1.5 GiB: five stages of a phone's picture (12 megapixels); no more than an eighth of the machine's memory."""


@dataclass(frozen=True)
class Restored:
    """What a stage leaves behind.

    Attributes:
        latent: (1, C, h, w); ``picture``: (1, H, W, 3) in [0, 1].
        trajectory: its latents at every noise level.
        notes: what the person who waits was told.
    """

    latent: Tensor
    trajectory: Trajectory
    picture: Tensor
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """What it takes."""
        tensors = (self.latent, self.picture, self.trajectory.sigmas, *self.trajectory.latents)
        return sum(tensor.nbytes for tensor in tensors)

    def to(self, device: Any) -> Restored:
        """With latent and picture there; a trajectory lies in the machine's memory anyhow."""
        return replace(self, latent=self.latent.to(device), picture=self.picture.to(device))


class _Kept:
    """One result, for as long as all live that its key knows by identity alone."""

    def __init__(self, restored: Restored, held: Iterable[Any]) -> None:
        self.device, self.seal, self.bytes = restored.latent.device, Contents().of(restored), restored.bytes
        self.restored: Restored | None = restored.to("cpu")
        self._held = [weakref.ref(one, self.forget) for one in held]

    def forget(self, _: Any = None) -> None:
        """Lets the result go. Python calls this at any time, wherever something dies, so it changes no table."""
        self.restored, self.bytes, self._held = None, 0, []

    def recall(self) -> Restored | None:
        """The result, if it is there and nobody has written into it."""
        restored = self.restored
        return restored if restored is not None and Contents().of(restored) == self.seal else None


class Stages:
    """Results by what they were computed from; those that were not asked for longest go first.

    Args:
        most: bytes of all of them together.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def restored(self, inputs: Any, sample: Callable[[], Restored]) -> Restored:
        """What ``sample`` gives, or gave when it was last asked on inputs of the same content.

        Args:
            inputs: all that decides the result. Where they cannot be told from others, nothing is kept.
            sample: does the work.
        """
        contents = Contents()
        try:
            key = contents.of(inputs)
        except (Unknowable, RecursionError) as reason:
            logging.debug("This stage is not remembered: its inputs hold %s.", reason)
            return sample()
        kept = self._kept.get(key)
        before = None if kept is None else kept.recall()
        if kept is not None and before is not None:
            self._kept.move_to_end(key)
            logging.info("This stage was sampled before on the same inputs; its result is taken again.")
            return before.to(kept.device)
        if kept is not None:
            kept.forget()
        restored = sample()
        self._forget_the_dead()
        if restored.bytes <= self.most:
            self._kept[key] = _Kept(restored, contents.held.values())
            self._kept.move_to_end(key)
        while self.bytes > self.most:
            _, oldest = self._kept.popitem(last=False)
            oldest.forget()
        return restored

    @property
    def bytes(self) -> int:
        """What all results take."""
        return sum(kept.bytes for kept in self._kept.values())

    def _forget_the_dead(self) -> None:
        for key in [key for key, kept in self._kept.items() if kept.restored is None]:
            del self._kept[key]


STAGES = Stages(min(MOST_BYTES, int(comfy.model_management.total_ram * 2**20) // 8))
