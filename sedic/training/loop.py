"""The loop every training shares: schedule, averaged weights, log, checkpoints, resuming."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SedicError
from .device import CPU, Device


class LossError(SedicError, FloatingPointError):
    """A loss is no number any more."""


class Run:
    """A resumable training run in a folder.

    The schedule follows the clock: the learning rate warms up, then falls along a cosine that ends with the
    time budget, so that a run given N minutes ends well whatever the machine's speed.

    Args:
        folder: receives ``checkpoint.pt`` and ``log.jsonl``; a checkpoint found there is resumed, from whatever device.
        model: what is trained; averaged weights are kept in ``self.average``.
        minutes: the run's budget over all its resumptions.
        rate: peak learning rate.
        decay: of the exponential moving average of the weights, per step.
        weight_decay: AdamW's.
        clip: largest norm of the gradient.
        warm_up: steps in which the learning rate rises.
        optimizer: instead of AdamW; ``share`` in a group multiplies its learning rate.
        device: where the model goes.
    """

    def __init__(
        self,
        folder: Path,
        model: Any,
        minutes: float,
        rate: float,
        decay: float = 0.998,
        weight_decay: float = 1e-4,
        clip: float = 1.0,
        warm_up: int = 200,
        optimizer: torch.optim.Optimizer | None = None,
        device: Device = CPU,
    ):
        self.device = device
        device.place(model)
        self.folder, self.model, self.minutes, self.rate, self.decay = folder, model, minutes, rate, decay
        self.clip, self.warm_up = clip, warm_up
        self.optimizer = optimizer or torch.optim.AdamW(
            model.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True
        )
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = folder / "checkpoint.pt"
        if self.checkpoint.is_file():
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(self.device.home(state), partial)
        partial.replace(self.checkpoint)

    def _learning_rate(self) -> float:
        progress = min(1.0, self.seconds / (60 * self.minutes))
        warm = min(1.0, (self.step + 1) / self.warm_up)
        return self.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))

    def train(
        self,
        losses: Callable[[], dict[str, Tensor]],
        validate: Callable[[Any], dict[str, float]],
        every_minutes: float = 3.0,
    ) -> None:
        """Runs until the budget is spent.

        Args:
            losses: one batch's named losses; their sum is minimised.
            validate: figures of the averaged model, logged and printed at every checkpoint.
            every_minutes: time between checkpoints.

        Raises:
            LossError: a loss is infinite, or no number.
        """
        due = self.seconds + 60 * every_minutes
        while self.seconds < 60 * self.minutes:
            started = time.monotonic()
            for group in self.optimizer.param_groups:
                group["lr"] = self._learning_rate() * group.get("share", 1.0)
            terms = losses()
            total = torch.stack(list(terms.values())).sum()
            if not torch.isfinite(total):
                raise LossError(f"Step {self.step}: the loss is {total.item()}; lower the learning rate and resume.")
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
            decay = min(self.decay, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                    mean.lerp_(value, 1 - decay)
                for counted, counter in zip(self.average.buffers(), self.model.buffers(), strict=True):
                    counted.copy_(counter)
            self.step += 1
            self.seconds += time.monotonic() - started
            if self.step % 50 == 0:
                self.log({name: value.item() for name, value in terms.items()})
            if self.seconds >= due or self.seconds >= 60 * self.minutes:
                due = self.seconds + 60 * every_minutes
                self.save()
                self.log(validate(self.average))

    def log(self, figures: dict[str, float]) -> None:
        """Appends ``figures`` to the log and prints them."""
        row = {"step": self.step, "minutes": round(self.seconds / 60, 2)}
        row |= {name: round(value, 5) for name, value in figures.items()}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
