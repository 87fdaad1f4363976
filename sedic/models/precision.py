"""What a processor computes quickly."""

from __future__ import annotations

from typing import Any


def computes_in_bfloat16() -> bool:
    """Whether the processor has instructions for it, as far as this PyTorch tells."""
    import torch

    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
