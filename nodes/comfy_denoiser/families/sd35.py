"""Stable Diffusion 3 and 3.5: MMDiT, whose joint blocks attend over text and picture; CLIP and T5 stand in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper
from torch import nn

from .joint import Joint
from .protocol import Run


class SD35(Joint):
    """The medium model's additional self-attention (``attn2``) runs behind the joint one, which is what is read."""

    name = "Stable Diffusion 3.5"
    stride = 5.3  # measured: headless.bench_strides
    tokenizers = frozenset({frozenset({"l", "g", "t5xxl"})})

    def fits(self, network: Any) -> bool:
        return type(network) is OpenAISignatureMMDITWrapper and not network.register_length

    def blocks(self, network: Any) -> Sequence[nn.Module]:
        return network.joint_blocks

    def runs(self, clip: Any, rows: Mapping[str, Sequence[Sequence[Any]]]) -> list[Run]:
        """CLIP's tokens first, L and G side by side in one feature each, then T5's: whichever are loaded."""
        model, found, start = clip.cond_stage_model, [], 0
        clips = [name for name in ("l", "g") if getattr(model, f"clip_{name}", None) is not None]
        if clips:
            found.append(Run(clips[0], 0))
            start = min(sum(map(len, rows[name])) for name in clips)
        if getattr(model, "t5xxl", None) is not None:
            found.append(Run("t5xxl", start))
        return found
