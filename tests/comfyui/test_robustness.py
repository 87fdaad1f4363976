"""What goes wrong leaves ComfyUI as it was, and is told in a sentence that says what helps."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from .scene import STEPS, guidance, sample, sample_node, stock


def networks(stage):
    return stage.model.model.diffusion_model, stage.control_net.control_model


def leftovers(stage):
    """Hooks and replaced methods that somebody left in the models."""
    return [
        type(module).__name__
        for network in networks(stage)
        for module in network.modules()
        if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    ]


def bytes_alive(stage):
    """Of all tensors that hang on the models, each storage once."""
    gc.collect()
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
        for network in networks(stage)
        for t in (*network.parameters(), *network.buffers())
    }
    kept = [b.weight for b in stage.model.backup.values()]
    return sum(storages.values()) + sum(t.nbytes for t in kept)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_guided_run_leaves_the_users_model_as_it_was(restore, steering, stage, library, checkpointing):
    before, size = stock(stage, "euler", stage.control_net), bytes_alive(stage)
    original = weakref.ref(next(stage.model.model.diffusion_model.parameters()))
    guided = guidance(library, steering, stage, layers=("first up block", "control net"))
    latent, _, _ = sample(restore, stage, control_net=stage.control_net, guidance=guided, checkpointing=checkpointing)
    assert not torch.equal(latent["samples"], before)
    assert torch.equal(stock(stage, "euler", stage.control_net), before)
    assert not stage.model.wrappers
    assert not leftovers(stage)
    assert bytes_alive(stage) == size
    gc.collect()
    assert original() is None  # the weights were replaced, not doubled


def fail_in_the_middle(stage, error):
    """Raises ``error`` in the middle block from now on, until what is returned is called."""

    def fail(*_):
        raise error

    return stage.model.model.diffusion_model.middle_block[0].register_forward_hook(fail)


@pytest.mark.parametrize("kind", ["exception", "interrupt"])
def test_patches_are_gone_after_an_exception_or_an_interrupt(comfy, restore, steering, stage, library, kind):
    import comfy.model_management

    before = stock(stage, "euler", stage.control_net)
    interrupt = comfy.model_management.InterruptProcessingException
    error = interrupt() if kind == "interrupt" else ZeroDivisionError("planted")
    guided = guidance(library, steering, stage, layers=("first up block", "control net"))
    handle = fail_in_the_middle(stage, error)
    with pytest.raises(type(error)):
        sample(restore, stage, control_net=stage.control_net, guidance=guided, checkpointing=True)
    handle.remove()
    assert not leftovers(stage)
    assert not stage.model.wrappers
    assert torch.equal(stock(stage, "euler", stage.control_net), before)


def test_interrupt_stops_within_the_step(comfy, restore, steering, stage, library, monkeypatch):
    """Someone presses the button while the second of many guided updates runs: no further pass is begun."""
    import comfy.model_management

    passes = []

    def count(*_):
        passes.append(1)
        if len(passes) == 2:
            comfy.model_management.interrupt_current_processing()

    # Not in ComfyUI's own check at every layer, which newer cores may not have.
    monkeypatch.setattr("comfy.ops.run_every_op", lambda: None)
    handle = stage.model.model.diffusion_model.middle_block[0].register_forward_hook(count)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sample(restore, stage, guidance=guidance(library, steering, stage, updates=50))
    handle.remove()
    assert len(passes) == 2
    assert not comfy.model_management.processing_interrupted()


def test_out_of_memory_ends_in_a_sentence_with_the_settings_that_help(comfy, restore, steering, stage, library):
    import comfy.model_management

    handle = fail_in_the_middle(stage, comfy.model_management.OOM_EXCEPTION("CUDA out of memory. Tried to allocate"))
    guided = guidance(library, steering, stage)
    with pytest.raises(library.errors.SedicError, match="checkpointing.*working_size") as caught:
        sample(restore, stage, guidance=guided, working_size=512)
    assert "\n" not in str(caught.value)
    with pytest.raises(library.errors.SedicError, match="Memory is full in a stage; use a smaller model"):
        sample(restore, stage)
    handle.remove()
    assert not leftovers(stage)


def quantised(stage):
    import comfy.ops

    block = stage.model.model.diffusion_model.middle_block[1].transformer_blocks[0]
    layer = comfy.ops.fp8_ops.Linear(192, 192, bias=False)
    layer.weight = torch.nn.Parameter(block.attn1.to_q.weight.detach().clone(), requires_grad=False)
    block.attn1.to_q = layer
    return stage.model


def compiled(stage):
    model = stage.model.clone()
    model.add_object_patch("diffusion_model", torch.compile(stage.model.model.diffusion_model))
    return model


def streaming(stage):
    model = stage.model.clone()
    model.clone = lambda **_: model
    model.is_dynamic = lambda: True
    return model


@pytest.mark.parametrize(
    ("prepare", "said"), [(quantised, "quantised"), (compiled, "compiled"), (streaming, "dynamic offload")]
)
def test_model_without_a_gradient_is_an_error_or_goes_on_unguided(restore, steering, stage, library, prepare, said):
    model = prepare(stage)
    guided = guidance(library, steering, stage)
    with pytest.raises(library.errors.SedicError, match=f"{said}.*if_unguidable"):
        sample(restore, stage, model=model, guidance=guided)
    if prepare is compiled:
        return  # running it needs a compiler
    latent, _, _ = sample(restore, stage, model=model, guidance=guided, if_unguidable="go on")
    free, _, _ = sample(restore, stage, model=model)
    assert torch.equal(latent["samples"], free["samples"])


def test_what_went_wrong_on_the_way_is_shown_on_the_node(restore, steering, stage, library):
    guided = guidance(library, steering, stage)
    output = sample_node(restore, stage, model=quantised(stage), guidance=guided, if_unguidable="go on")
    assert "without guidance" in output.ui.as_dict()["text"][0]


def test_guidance_that_leaves_the_range_of_numbers_is_left_out_and_the_node_says_so(restore, steering, stage, library):
    shown = sample_node(restore, stage, guidance=guidance(library, steering, stage, eta=1e38))
    assert "again without guidance" in shown.ui.as_dict()["text"][0]
    free, _, _ = sample(restore, stage)
    assert torch.equal(shown.result[0]["samples"], free["samples"])
    assert sample_node(restore, stage).ui is None


def test_weights_that_are_only_stored_in_8_bits_are_guided(restore, steering, stage, library):
    """ComfyUI casts them for each layer; there is a way back through that."""
    network = stage.model.model.diffusion_model
    for module in network.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            module.weight.data = module.weight.data.to(torch.float8_e4m3fn)
            module.comfy_cast_weights = True
    stage.model.model.manual_cast_dtype = torch.float32
    latent, _, _ = sample(restore, stage, guidance=guidance(library, steering, stage))
    free, _, _ = sample(restore, stage)
    assert torch.isfinite(latent["samples"]).all()
    assert not torch.equal(latent["samples"], free["samples"])


def test_what_comfyuis_own_node_compiles_is_guided_uncompiled(restore, steering, stage, library):
    """The compiled graph, which is a wrapper of that node, is for ordinary passes; a guided one leaves it out."""
    from comfy.patcher_extension import WrappersMP
    from comfy_api.torch_helpers.torch_compile import COMPILE_KEY

    passes = []

    def compiled_pass(executor, *arguments, **options):
        passes.append(torch.is_grad_enabled())
        return executor(*arguments, **options)

    model = stage.model.clone()
    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, COMPILE_KEY, compiled_pass)
    guided = guidance(library, steering, stage)
    expected, _, _ = sample(restore, stage, guidance=guided)
    found, _, _ = sample(restore, stage, model=model, guidance=guided)
    assert torch.equal(found["samples"], expected["samples"])
    assert passes == [False] * STEPS
