"""What ComfyUI's own node has compiled, by the compiler itself: minutes."""

from __future__ import annotations

import pytest
import torch

from .scene import guidance, sample, stock

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_compiled_model_is_sampled_compiled_and_guided(restore, steering, stage, library, monkeypatch, backend):
    from comfy_extras.nodes_torch_compile import TorchCompileModel

    # A pool of compiling processes did not come to an end here.
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    plain, guided = stock(stage, steps=1), guidance(library, steering, stage)
    expected = sample(restore, stage, steps=1, guidance=guided)[0]["samples"]
    with torch.inference_mode():
        node = TorchCompileModel.execute(stage.model, backend)
    stage.model = node[0] if isinstance(node, tuple) else node.result[0]
    before = stock(stage, steps=1)
    exact = {"rtol": 0, "atol": 0 if backend == "eager" else 1e-4}  # compiled anew, the last bits may be others
    torch.testing.assert_close(before, plain, **exact)
    unguided = sample(restore, stage, steps=1)[0]["samples"]
    torch.testing.assert_close(unguided, before, **exact)
    found = sample(restore, stage, steps=1, guidance=guided)[0]["samples"]
    torch.testing.assert_close(found, expected, **exact)
    assert (found - unguided).abs().max() > 0.01
    torch.testing.assert_close(stock(stage, steps=1), before, **exact)
