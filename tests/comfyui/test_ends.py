"""Whatever way a guided stage ends, ComfyUI's list of loaded models holds nothing of it, and later sampling works.

`SEDIC_ROUNDS=50 python -m pytest tests/comfyui/test_ends.py` runs the loop as long as it was asked for.
"""

from __future__ import annotations

import gc
import os
import sys

import pytest
import torch

from .neighbour_nodes import core
from .scene import guidance, sample, stock

ROUNDS = int(os.environ.get("SEDIC_ROUNDS", "4"))


def execute(node):
    """Runs ``node`` as ComfyUI's executor does, whose frame a failure leaves in a reference cycle; what was said."""
    try:
        return node()
    except Exception as error:
        _, _, traceback = sys.exc_info()
        return str(error) if traceback else ""


def loaded():
    import comfy.model_management

    return [entry.model for entry in comfy.model_management.current_loaded_models]


def of_a_stage(models):
    return [model for model in models if model is None or "SEDIC" in str(model.wrappers)]


@pytest.fixture
def no_collector():
    """The collector runs where a test says so alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_sampling_goes_on_after_errors_in_guided_stages(restore, steering, stage, library, no_collector):
    """The graph's first nodes run anew while what failed waits for the collector, which takes both at once."""
    asks_for_a_control_net = guidance(library, steering, stage, layers=("control net",))
    expected = None
    for _ in range(ROUNDS):
        before = stage.model.clone()
        (model,) = core("freelunch", "FreeU", model=before, b1=1.1, b2=1.2, s1=0.9, s2=0.2)
        result = stock(stage, model=model, control_net=stage.control_net, steps=1)
        expected = result if expected is None else expected
        assert torch.equal(result, expected)
        said = execute(lambda model=model: sample(restore, stage, model=model, guidance=asks_for_a_control_net))
        assert "No ControlNet" in said
        assert not of_a_stage(loaded())
        del before, model
        gc.collect()
        assert None not in loaded()


def test_success_and_interrupt_leave_the_users_model_loaded_alone(comfy, restore, steering, stage, library,
                                                                  no_collector):  # fmt: skip
    import comfy.model_management

    guided = guidance(library, steering, stage)
    sample(restore, stage, guidance=guided, steps=1)
    assert stage.model in loaded()
    assert not of_a_stage(loaded())
    press = stage.model.model.diffusion_model.middle_block[0].register_forward_hook(
        lambda *_: comfy.model_management.interrupt_current_processing()
    )
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sample(restore, stage, guidance=guided, steps=1)
    press.remove()
    assert not of_a_stage(loaded())


def test_an_error_in_sampler_select_leaves_nothing_either(comfy, restore, steering, stage, library, no_collector):
    guided = guidance(library, steering, stage, layers=("control net",))
    with torch.inference_mode():
        sampler, model = restore.ORAGSamplerSelect.execute(stage.model, "euler", guided).result
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(stage.positive, stage.negative)
        noise = torch.ones(1, stage.model.get_model_object("latent_format").latent_channels, 16, 8)
        run = lambda: guider.sample(noise, torch.zeros_like(noise), sampler, torch.tensor([5.0, 0.0]), seed=3)  # noqa: E731
        assert "No ControlNet" in execute(run)
    assert not of_a_stage(loaded())
