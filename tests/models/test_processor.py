"""What the processor is: whatever needs an instruction set that it has not is known before it is started."""

from __future__ import annotations

import pytest
import torch

from sedic.models.processor import instruction_sets, lacking, multiplies_bfloat16


@pytest.mark.parametrize(("said", "sets"), [
    ("AVX512", ("default", "avx2", "avx512")), ("AVX2", ("default", "avx2")), ("DEFAULT", ("default",)),
    ("NO AVX", ("default",)), ("SVE256", ("default",)),
])  # fmt: skip
def test_an_instruction_set_brings_all_before_it(monkeypatch, said, sets):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: said)
    assert instruction_sets() == sets


def test_kernels_of_pytorch_and_of_the_blas_are_told_that_the_processor_cannot_run(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert lacking({}) is None
    assert lacking({"ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Prescott"}) is None
    assert lacking({"ATEN_CPU_CAPABILITY": "avx512"}) == "avx512"
    assert lacking({"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "SkylakeX"}) == "avx512"


@pytest.mark.parametrize("unit", ["avx512_bf16", "amx_bf16"])
@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_bfloat16_counts_where_the_processor_has_it_and_onednn_may_use_it(monkeypatch, unit, variable):
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: True, "avx2": True}, raising=False)
    assert multiplies_bfloat16()
    for limit, answer in {"AVX2": False, "avx512_core": False, "AVX512_CORE_BF16": True, "ALL": True}.items():
        monkeypatch.setenv(variable, limit)
        assert multiplies_bfloat16() == answer
    monkeypatch.delenv(variable)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: False, "avx2": True}, raising=False)
    assert not multiplies_bfloat16()
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # as in older PyTorch
    assert not multiplies_bfloat16()
