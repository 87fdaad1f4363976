"""Where a training computes: the one place in which the processor and a GPU differ.

Pictures are read, examples drawn and first values found on the processor. Networks then go through
:meth:`Device.place`, every batch through :meth:`Device.batch`, and what is stored, or made integers of, comes back
through :meth:`Device.home`. All between follows the tensors that it is given.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..codec import require_device

Network = TypeVar("Network", bound=nn.Module)
Batch = TypeVar("Batch", Tensor, "dict[str, Tensor]")


@dataclass(frozen=True)
class Device:
    """The processor, or one GPU.

    Args:
        name: as PyTorch names it: ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        SedicError: there is none of this name here.
    """

    name: str = "cpu"

    def __post_init__(self) -> None:
        require_device(self.name)

    def place(self, network: Network) -> Network:
        """Moves a network here, its parameters staying those that an optimizer knows."""
        return network.to(self.name)

    def batch(self, values: Batch) -> Batch:
        """Tensors of the processor, here: to a GPU from pinned memory, while the processor goes on."""
        if isinstance(values, dict):
            return {name: self.batch(value) for name, value in values.items()}
        pinned = torch.device(self.name).type == "cuda"
        return (values.pin_memory() if pinned else values).to(self.name, non_blocking=pinned)

    def home(self, value: Any) -> Any:
        """A network's copy, a tensor, or a state with all that is in it, on the processor; what is given stays here."""
        if isinstance(value, nn.Module):
            return copy.deepcopy(value).cpu()
        if isinstance(value, Tensor):
            return value.cpu()
        if isinstance(value, dict):
            found = copy.copy(value)  # with what a network's state says of its versions
            found.update({name: self.home(inner) for name, inner in value.items()})
            return found
        return [self.home(inner) for inner in value] if isinstance(value, list) else value


CPU = Device()
