"""Among other people's nodes: the table of ``neighbours`` holds, row by row, and is printed at the end."""

from __future__ import annotations

import gc
import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch
from safetensors.torch import save_file

from sedic.models.embedded import LATENT_CHANNELS, TEXT_ENCODER

from .neighbour_nodes import core
from .neighbours import ROWS, Row
from .scene import embedded_scene, guidance, sample_node, stock

WIDTH = TEXT_ENCODER["hidden_size"]


@pytest.fixture(scope="module")
def scene(pack, tmp_path_factory):
    """The embedded models, one for all rows: what one leaves behind, the next would stumble over."""
    import folder_paths

    folder = tmp_path_factory.mktemp("embeddings")
    generator = torch.Generator().manual_seed(0)
    for name, shape in (("two_rows", (2, WIDTH)), ("too_wide", (3, WIDTH + 8))):
        save_file({"emb": 0.05 * torch.randn(shape, generator=generator)}, folder / f"{name}.safetensors")
    folder_paths.add_model_folder_path("embeddings", str(folder))
    made = embedded_scene(pack)
    with torch.inference_mode():
        # One that knows the folder; the scenes' own may be older.
        made.clip = importlib.import_module(f"{pack.__name__}.nodes.models").load_clip()
    return made


@pytest.fixture(scope="module")
def table(request) -> Iterator[dict[str, str]]:
    """What each row shows, printed when all have run."""
    shown: dict[str, str] = {}
    yield shown
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n\n" + "\n".join(f"{name:<38} {result}" for name, result in shown.items()))


@pytest.fixture(scope="module")
def plain(scene) -> Callable[[int], torch.Tensor]:
    """The stock sampler's latent without any neighbour, of so many steps."""
    return cache(lambda steps: stock(scene, steps=steps))


@pytest.fixture(scope="module")
def first() -> dict[str, float]:
    """Each row's first energy."""
    return {}


@pytest.fixture
def energies(library, monkeypatch) -> list[float]:
    """Every energy that a guided stage computes."""
    seen: list[float] = []
    plain = library.guidance.energy_of

    def watched(*arguments):
        energy = plain(*arguments)
        seen.append(energy.item())
        return energy

    monkeypatch.setattr(library.guidance, "energy_of", watched)
    return seen


def leftovers(scene) -> list[str]:
    """Hooks and replaced methods in the networks, and entries of dead models among ComfyUI's loaded ones."""
    import comfy.model_management

    networks = (scene.model.model.diffusion_model, scene.control_net.control_model)
    modules = [module for network in networks for module in network.modules()]
    found = [type(m).__name__ for m in modules if m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m)]
    entries = [entry.model for entry in comfy.model_management.current_loaded_models]
    return found + [str(model) for model in entries if model is None or "SEDIC" in str(model.wrappers)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_neighbour_changes_nothing_but_what_it_is_for(
    library, restore, steering, scene, plain, table, first, energies, row: Row
):
    """Without guidance the stock sampler's latent; with it a falling energy, or a sentence; afterwards as before."""
    made = row.build(scene)
    inputs = {key: made[key] for key in ("model", "positive", "negative") if key in made}
    steps = {"steps": row.steps}
    before = stock(scene, **steps, **inputs)
    free = sample_node(restore, scene, **steps, **inputs).result[0]["samples"]
    assert torch.equal(free, before)
    assert row.acts == (not torch.equal(free, plain(row.steps)))
    settings = {"eta": 40.0, "t_prime": 0.6, "updates": 2, "threshold": 0.0, "layers": "first up block"}
    gc.disable()  # nothing may wait for the collector
    try:
        result = guided(library, restore, steering, scene, made, inputs, steps, settings | row.settings)
        left = leftovers(scene)
    finally:
        gc.enable()
    assert not left
    assert torch.equal(stock(scene, **steps, **inputs), before)
    if row.holds is not None:
        assert isinstance(result, str)
        assert re.fullmatch(f".*{row.holds}.*", result)  # one line
        table[row.name] = f"“{result}”"
        return
    assert not isinstance(result, str), result
    assert torch.isfinite(result.result[0]["samples"]).all()
    assert not torch.equal(result.result[0]["samples"], free)
    assert energies[1] < energies[0]
    first[row.name] = energies[0]
    assert row.like is None or energies[0] == pytest.approx(first[row.like], rel=1e-3)
    notes = "" if result.ui is None else result.ui.as_dict()["text"][0]
    assert bool(notes) == bool(row.note)
    assert re.search(row.note or "", notes)
    shown = f"unguided exact, energy {energies[0]:.4f} → {energies[1]:.4f}"
    table[row.name] = shown + (f" (“{notes}”)" if notes else "")


def guided(library, restore, steering, scene, made, inputs, steps, settings):
    """The node's output, or the sentence in which it declines."""
    try:
        with torch.inference_mode():
            (wanted,) = steering.AttentionGuidance.execute(
                clip=made.get("clip", scene.clip), prompt=made.get("prompt", scene.prompt),
                name=made.get("name", "red cup"), mask=scene.mask[None], **settings,
            ).result  # fmt: skip
        return sample_node(restore, scene, guidance=wanted, **steps, **inputs)
    except library.errors.SedicError as error:
        return str(error)


@pytest.mark.parametrize("name", ["EasyCacheNode", "LazyCacheNode"])
def test_a_cache_answers_no_step_whose_latent_guidance_has_moved(library, restore, steering, scene, name):
    """It answers most unguided steps; beside guidance at every step it computes them all."""
    (model,) = core("easycache", name, model=scene.model, reuse_threshold=3.0, start_percent=0.0, end_percent=1.0)
    passes = []
    handle = scene.model.model.diffusion_model.middle_block[0].register_forward_hook(
        lambda *_: passes.append(torch.is_grad_enabled())
    )
    sample_node(restore, scene, model=model, steps=5)
    assert 0 < len(passes) < 5
    passes.clear()
    sample_node(restore, scene, model=model, steps=5, guidance=guidance(library, steering, scene))
    handle.remove()
    assert passes.count(False) == 5
    assert passes.count(True) == 5


def test_a_model_that_patches_in_place_goes_on_unguided_where_that_is_chosen(library, restore, steering, scene):
    (row,) = (row for row in ROWS if row.name == "a wrapper in place")
    inputs = {"steps": 1, **row.build(scene)}
    free = sample_node(restore, scene, **inputs)
    wanted = guidance(library, steering, scene)
    output = sample_node(restore, scene, guidance=wanted, if_unguidable="go on", **inputs)
    assert torch.equal(output.result[0]["samples"], free.result[0]["samples"])
    assert "without guidance" in output.ui.as_dict()["text"][0]


GUIDERS = {
    "BasicGuider": ("custom_sampler", "BasicGuider", lambda s: {"conditioning": s.positive}),
    "CFGGuider": ("custom_sampler", "CFGGuider", lambda s: {
        "positive": s.positive, "negative": s.negative, "cfg": 2.0}),
    "DualCFGGuider": ("custom_sampler", "DualCFGGuider", lambda s: {
        "cond1": s.positive, "cond2": s.negative, "negative": s.negative, "cfg_conds": 2.0, "cfg_cond2_negative": 2.0,
        "style": "regular"}),
    "PerpNegGuider": ("perpneg", "PerpNegGuider", lambda s: {
        "positive": s.positive, "negative": s.negative, "empty_conditioning": s.negative, "cfg": 2.0,
        "neg_scale": 1.0}),
}  # fmt: skip


@pytest.mark.parametrize("noise_mask", [False, True], ids=["", "with a noise mask"])
@pytest.mark.parametrize("name", GUIDERS)
def test_a_guider_samples_as_ever_and_is_guided(
    comfy, library, restore, steering, scene, table, energies, name, noise_mask
):
    """ComfyUI's guiders around ORAG Sampler Select, of a latent and of one that is restored in part."""
    module, node, inputs = GUIDERS[name]
    mask = torch.zeros(1, 1, 128, 64) if noise_mask else None
    if mask is not None:
        mask[..., :64] = 1

    def run(sampler, model):
        guider = core(module, node, model=model, **inputs(scene))[0]
        with torch.inference_mode():
            latent = torch.zeros(1, LATENT_CHANNELS, 16, 8)
            noise = comfy.sample.prepare_noise(latent, 3)
            return guider.sample(noise, latent, sampler, torch.tensor([14.6, 5.0, 0.0]), denoise_mask=mask, seed=3)

    guided = guidance(library, steering, scene, t_prime=0.6, updates=2)
    before = run(comfy.samplers.sampler_object("euler"), scene.model)
    with torch.inference_mode():
        assert torch.equal(run(*restore.ORAGSamplerSelect.execute(scene.model, "euler").result), before)
        moved = run(*restore.ORAGSamplerSelect.execute(scene.model, "euler", guided).result)
    assert torch.equal(run(comfy.samplers.sampler_object("euler"), scene.model), before)
    assert not torch.equal(moved, before)
    assert energies[1] < energies[0]
    shown = f"unguided exact, energy {energies[0]:.4f} → {energies[1]:.4f}"
    table[f"{name}{', noise mask' if noise_mask else ''}"] = shown
