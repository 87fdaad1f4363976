"""What guidance asks of a family of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from ....sedic.restoration.denoiser import AttentionMap


class Run(NamedTuple):
    """A stretch of a conditioning's tokens: which tokenizer's they are, and where its first one stands.

    ``start`` is negative where the text encoder leaves the first tokens out. ``wrapped``: it is a language model's,
    which puts the text into a sentence of its own and tells a word at the beginning from one behind a space.
    """

    tokenizer: str
    start: int
    wrapped: bool = False


@dataclass(frozen=True)
class Read:
    """One guided pass.

    Attributes:
        network: the MODEL's.
        controls: networks of the ControlNets that act; ``through``: those of them that gradients go through.
        layers: some of the library's names, see :data:`~sedic.restoration.settings.ATTENTION_LAYERS`.
        latent: (h, w); ``sigma``: its noise level.
        text: tokens of the conditioning.
        columns: positions among them whose attention is wanted; None: all.
        references: whether the conditioning brings pictures of its own, which stand behind the latent's.
        checkpoint: whether few activations are kept and the others computed twice.
    """

    network: nn.Module
    controls: Sequence[nn.Module]
    through: Sequence[nn.Module]
    layers: Sequence[str]
    latent: tuple[int, int]
    sigma: Tensor
    text: int
    columns: tuple[int, ...] | None = None
    references: bool = False
    checkpoint: bool = False


class Family(Protocol):
    """One family: which networks belong to it, where their attention is read, and how a gradient survives there.

    Attributes:
        name: as people call it.
        stride: by which η is multiplied, so that η = 40 moves a latent as far, relative to its norm, as 40 moves that
            of Stable Diffusion; 1 there. Measured on random models of a quarter of the true width, by
            ``python -m headless.bench_strides``: on true weights nobody has measured it yet.
        tokenizers: the sets of names that the family's CLIPs call their tokenizers by.
    """

    @property
    def name(self) -> str: ...

    @property
    def stride(self) -> float: ...

    @property
    def tokenizers(self) -> frozenset[frozenset[str]]: ...

    def fits(self, network: Any) -> bool:
        """Whether a network is of this family, by its class and what it consists of."""
        ...

    def size(self, model: Any) -> int:
        """The side in pixels that a MODEL was made for, a multiple of 64."""
        ...

    def runs(self, clip: Any, rows: Mapping[str, Sequence[Sequence[Any]]]) -> list[Run]:
        """Where a prompt's tokens stand in what ``clip`` encodes, by each tokenizer's rows of them."""
        ...

    def expected(self, read: Read) -> list[Any]:
        """What ``read`` will read, one for each map, in the order in which the network runs it.

        Raises:
            SedicError: there are no such layers; names those that there are.
        """
        ...

    def recording(self, read: Read, maps: list[AttentionMap]) -> AbstractContextManager[None]:
        """While it lasts, a forward pass adds its attention to ``maps`` and ends with ``Stop`` behind the last.

        The pass has a gradient, and so has what is computed anew on the way back, after it has ended.
        """
        ...

    def patches(self, control: bool) -> dict[str, Callable]:
        """ComfyUI's patches that a guided pass needs behind the person's own, by kind.

        Args:
            control: whether a ControlNet acts.
        """
        ...
