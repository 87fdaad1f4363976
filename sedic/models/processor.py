"""What this processor is: the one place that asks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

INSTRUCTION_SETS = ("default", "avx2", "avx512")
"""As PyTorch's variable ATEN_CPU_CAPABILITY names them, each with all before it."""
# What kernels of OpenBLAS, which are under numpy, need; it runs those that it is told to, whatever the processor.
_OPENBLAS = {"Haswell": "avx2", "Zen": "avx2", "SkylakeX": "avx512", "Cooperlake": "avx512", "SapphireRapids": "avx512"}
# Limits of oneDNN under which no product of bfloat16 is one instruction.
_WITHOUT_BFLOAT16 = {"sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2", "avx512_core", "avx512_core_vnni"}


def instruction_sets() -> tuple[str, ...]:
    """Those of :data:`INSTRUCTION_SETS` that PyTorch may use in this process; on ARM ``default`` alone."""
    import torch

    most = torch.backends.cpu.get_cpu_capability().lower()
    return INSTRUCTION_SETS[: INSTRUCTION_SETS.index(most) + 1] if most in INSTRUCTION_SETS else INSTRUCTION_SETS[:1]


def lacking(environment: Mapping[str, str]) -> str | None:
    """The instruction set that a process with these variables would be killed for; None: it can run.

    Args:
        environment: of which ATEN_CPU_CAPABILITY and OPENBLAS_CORETYPE count.
    """
    asked = environment.get("ATEN_CPU_CAPABILITY"), _OPENBLAS.get(environment.get("OPENBLAS_CORETYPE", ""))
    here = instruction_sets()
    return next((name for name in asked if name is not None and name not in here), None)


def multiplies_bfloat16() -> bool:
    """Whether it has instructions for products of it, as far as this PyTorch tells, and oneDNN may use them."""
    import torch

    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    return bool(known.get("avx512_bf16") or known.get("amx_bf16")) and limit.lower() not in _WITHOUT_BFLOAT16
