"""What one pass through a network computed, given to the next pass on the same input instead of computing it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn


class Known:
    """Answers of a network's parts, each called at most once in a pass; without gradients.

    A part that a pass did not come to, or did not end, is not known: the next pass computes it.
    """

    def __init__(self, answers: Mapping[nn.Module, Any] | None = None) -> None:
        self._answers = dict(answers or {})

    @contextmanager
    def learning(self, parts: Sequence[nn.Module]) -> Iterator[None]:
        """What ``parts`` answer inside is known behind it."""
        with ExitStack() as stack:
            for part in parts:
                stack.enter_context(_instead(part, partial(self._learn, part, part.forward)))
            yield

    @contextmanager
    def answering(self) -> Iterator[None]:
        """What is known is answered inside, whatever the parts are given."""
        with ExitStack() as stack:
            for part, answer in self._answers.items():
                stack.enter_context(_instead(part, partial(_say, answer)))
            yield

    def _learn(self, part: nn.Module, forward: Callable[..., Any], *given: Any, **named: Any) -> Any:
        answer = forward(*given, **named)
        self._answers[part] = _without_gradient(answer)
        return answer


def parts_of(unet: Any, controlnet: nn.Module | None) -> list[nn.Module]:
    """The residual blocks, transformers and steps between sizes of a UNet under diffusers' names, its middle, and all
    of its ControlNet.
    """
    levels = [*unet.down_blocks, *unet.up_blocks]
    kinds = ("resnets", "attentions", "downsamplers", "upsamplers")
    inner = [part for level in levels for kind in kinds for part in getattr(level, kind, None) or ()]
    return [unet.conv_in, *inner, unet.mid_block, *([] if controlnet is None else [controlnet])]


@contextmanager
def _instead(part: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """A part computes by ``forward`` inside; behind it as before, also where it was somebody else's already."""
    own = part.__dict__.get("forward")
    part.forward = forward
    try:
        yield
    finally:
        if own is None:
            del part.forward
        else:
            part.forward = own


def _say(answer: Any, *_: Any, **__: Any) -> Any:
    return answer


def _without_gradient(answer: Any) -> Any:
    if isinstance(answer, Tensor):
        return answer.detach()
    if type(answer) in (tuple, list):
        return type(answer)(_without_gradient(one) for one in answer)
    return answer
