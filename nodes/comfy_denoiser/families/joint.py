"""Transformers in which picture and text attend together: reading that attention, and a gradient through it.

**Energy.** A layer's softmax runs over all keys of the joint sequence: A_{m,k} = exp(q_m·k_k / √d) / Z_m, where Z_m
sums over the text's keys and the picture's own. Eq. 2 wants, for every token k by itself, which share of Σ_m A_{m,k}
lies inside the mask. It is a quotient of two sums over the same k: whatever multiplies a token's whole column, such as
how much of the attention goes to the text at all, or to a longer word, is in both and cancels. So nothing is normalised
further. Z_m stays, for it differs from place to place: a place that looks at the picture rather than at the text counts
less, as one that looks at other words does.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import comfy.model_management
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from ....sedic.errors import SedicError
from ....sedic.restoration.denoiser import AttentionMap
from ....sedic.restoration.settings import OWN_LAYERS, THIRDS, block_number
from ..casting import transient_weights
from ..kernels import Stop, use_pytorch
from .protocol import Read, Run

AT_ONCE = 2**24
"""Products of a query and a key that are held at once, over all heads: 64 MB in float32."""


class Joint(ABC):
    """A family of such transformers, but for what is said in its own file."""

    name: str
    stride: float
    tokenizers: frozenset[frozenset[str]]
    side = 1024
    own_layers = THIRDS[0]
    """Which third is read where nothing else is asked for: the guided pass ends within a third of all blocks."""
    adds_in_place = False
    """Whether its blocks write into what autograd has saved, by ``+=``."""

    @abstractmethod
    def blocks(self, network: Any) -> Sequence[nn.Module]:
        """The blocks whose attention can be read, in the order in which they run."""

    def others(self, network: Any) -> Sequence[nn.Module]:
        """Blocks before them, which are not read."""
        return ()

    def places(self, read: Read, length: int) -> tuple[int, int]:
        """Where in a joint sequence of so many tokens the text begins, and where the picture's own cells do."""
        return 0, read.text

    def size(self, model: Any) -> int:
        return self.side

    def runs(self, clip: Any, rows: Mapping[str, Sequence[Sequence[Any]]]) -> list[Run]:
        return [Run(next(iter(rows)), 0)]

    def patches(self, control: bool) -> dict[str, Callable]:
        return {}

    def expected(self, read: Read) -> list[int]:
        count, found = len(self.blocks(read.network)), set()
        for name in read.layers:
            name = self.own_layers if name == OWN_LAYERS else name
            number = block_number(name)
            if name in THIRDS:
                third = THIRDS.index(name)
                found |= set(range(third * count // 3, (third + 1) * count // 3))
            elif number is not None and number < count:
                found.add(number)
            else:
                raise SedicError(
                    f"{self.name} has no {name} to read; choose from {', '.join((OWN_LAYERS, *THIRDS))}, or a block "
                    f"from 0 to {count - 1}."
                )
        return sorted(found)

    @contextmanager
    def recording(self, read: Read, maps: list[AttentionMap]) -> Iterator[None]:
        chosen = self.expected(read)
        blocks = self.blocks(read.network)
        with ExitStack() as stack:
            stack.enter_context(training())
            for network in read.through:
                for block in _blocks_of(self, network):
                    stack.enter_context(self._run(block, read, None, maps, last=False))
            for block in self.others(read.network):
                stack.enter_context(self._run(block, read, None, maps, last=False))
            for number, block in enumerate(blocks[: chosen[-1] + 1]):
                reader = self._reader(read) if number in chosen else None
                stack.enter_context(self._run(block, read, reader, maps, last=number == chosen[-1]))
            yield

    def _reader(self, read: Read) -> Callable[[Tensor, Tensor, int, Any, bool], Tensor]:
        """Of an attention's queries and keys, the weights that are wanted."""
        grid = _grid(read)

        def of(query: Tensor, key: Tensor, heads: int, mask: Any, split: bool) -> Tensor:
            query, key = (_heads_first(one, heads, split) for one in (query, key))
            text, picture = self.places(read, key.shape[1])
            columns = range(read.text) if read.columns is None else read.columns
            rows = slice(picture, picture + grid[0] * grid[1])
            return attention_to(query, key, rows, [text + column for column in columns], _bias(mask, rows))

        return of

    @contextmanager
    def _run(self, block: Any, read: Read, reader: Any, maps: list[AttentionMap], last: bool) -> Iterator[None]:
        """While it lasts, ``block`` has a way back, tells its attention, and ends the pass if it is the ``last``."""
        plain = block.forward
        told = "transformer_options" in _names(plain)

        def forward(how: dict[str, Any], *arguments: Any, **options: Any) -> tuple[Any, Any]:
            found: list[tuple[Tensor, Tensor]] = []

            def attend(_: Any, *positional: Any, **named: Any) -> Tensor:
                if reader is not None and not found:
                    heads = positional[3] if len(positional) > 3 else named["heads"]
                    mask = positional[4] if len(positional) > 4 else named.get("mask")
                    how.update(heads=heads, mask=mask, split=bool(named.get("skip_reshape")))
                    found.append(positional[:2])
                    if last:
                        raise Stop
                return use_pytorch(_, *positional, **named)

            if told:
                own = {**options.get("transformer_options", {}), "optimized_attention_override": attend}
                options = {**options, "transformer_options": own}
            with ExitStack() as stack:
                stack.enter_context(training())  # also where it runs again, outside the guided pass
                stack.enter_context(transient_weights(block))
                if self.adds_in_place:
                    stack.enter_context(PlainAdditions())
                try:
                    result = plain(*arguments, **options)
                except Stop:
                    result = None
            return result, found[0] if found else None

        # The weights are made outside: inside, their products would be computed three times.
        def run(*arguments: Any, **options: Any) -> Any:
            # ComfyUI writes the place of the running block into these dictionaries: a second run needs the first's.
            options = {name: dict(o) if isinstance(o, dict) else o for name, o in options.items()}
            how: dict[str, Any] = {}
            if read.checkpoint:
                result, both = checkpoint(
                    forward, how, *arguments, use_reentrant=False, preserve_rng_state=False, **options
                )
            else:
                result, both = forward(how, *arguments, **options)
            if both is not None:
                maps.append(AttentionMap(reader(*both, **how), _grid(read), read.columns))
                if last:
                    raise Stop
            return result

        block.forward = run
        try:
            yield
        finally:
            del block.forward


def _blocks_of(family: Joint, network: Any) -> list[nn.Module]:
    """A ControlNet's blocks, where it is built of the family's own."""
    try:
        return [*family.others(network), *family.blocks(network)]
    except AttributeError:
        return [*getattr(network, "transformer_blocks", ()), *getattr(network, "control_blocks", ())]


def _names(function: Callable) -> set[str]:
    """Of the options that a block takes; one that takes any passes them on to one that knows them."""
    parameters = inspect.signature(function).parameters.values()
    anything = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    return {one.name for one in parameters} | ({"transformer_options"} if anything else set())


def _grid(read: Read) -> tuple[int, int]:
    """(H, W) of the tokens: two latent cells a side each."""
    return -(-read.latent[0] // 2), -(-read.latent[1] // 2)


def _heads_first(tokens: Tensor, heads: int, split: bool) -> Tensor:
    """The first picture's, heads,L,d: of B,heads,L,d where they are split already, else of B,L,heads·d."""
    return tokens[0] if split else tokens[0].unflatten(-1, (heads, -1)).transpose(0, 1)


def _bias(mask: Any, rows: slice) -> Tensor | None:
    """An attention mask as what is added to the first picture's products, broadcast over heads and ``rows``."""
    if mask is None:
        return None
    bias = mask[0] if mask.ndim == 4 else mask[:1]  # heads or 1, queries or 1, keys
    bias = bias if bias.ndim == 3 else bias[:, None]
    bias = bias[:, rows] if bias.shape[1] > 1 else bias
    if bias.dtype == torch.bool:
        return torch.zeros(bias.shape, device=bias.device).masked_fill(~bias, float("-inf"))
    return bias.float()


def attention_to(query: Tensor, key: Tensor, rows: slice, columns: Sequence[int], bias: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √d) over all L keys, of some queries and some keys.

    A part of the queries at a time, whose products are computed anew on the way back, so that no more of them than
    :data:`AT_ONCE` are held.

    Args:
        query, key: (heads, L, d); the products are float32.
        rows: the queries that are wanted, M of them.
        columns: the keys, K of them.
        bias: added to the products, (heads or 1, M or 1, L).

    Returns:
        (heads, M, K).
    """
    wanted = torch.as_tensor(columns, device=key.device)
    scale = query.shape[-1] ** -0.5

    def weights(query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
        products = query.float() @ key.float().transpose(-1, -2) * scale  # heads,m,L
        if bias is not None:
            products = products + bias
        return (products.index_select(-1, wanted) - products.logsumexp(-1, keepdim=True)).exp()

    query = query[:, rows]
    step = max(1, AT_ONCE // (key.shape[0] * key.shape[1]))
    if step >= query.shape[1]:
        return weights(query, key, bias)
    parts = []
    for start in range(0, query.shape[1], step):
        own = bias[:, start : start + step] if bias is not None and bias.shape[1] > 1 else bias
        part = query[:, start : start + step]
        parts.append(checkpoint(weights, part, key, own, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(parts, 1)


@contextmanager
def training() -> Iterator[None]:
    """While it lasts, newer cores compute rotary embeddings by PyTorch: their own kernels have no backward."""
    management: Any = comfy.model_management
    before = getattr(management, "in_training", None)
    if before is None:  # a core that has neither the kernels nor the switch
        yield
        return
    management.in_training = True
    try:
        yield
    finally:
        management.in_training = before


class PlainAdditions(TorchFunctionMode):
    """While it lasts, ``a += b`` makes a new tensor, as ``a = a + b`` would.

    A block that adds in place writes over what autograd has saved of it. PyTorch can keep copies of what is written
    over (``allow_mutation_on_saved_tensors``), but not where a block is computed anew on the way back.
    """

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if function is torch.Tensor.add_:
            return torch.add(*arguments, **(options or {}))
        return function(*arguments, **(options or {}))
