"""Among other people's nodes: the table of ``neighbours`` holds, row by row, and is printed at the end."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import save_file

from sedic.models.embedded import TEXT_ENCODER

from .neighbours import ROWS, Row
from .scene import embedded_scene, sample_node, stock

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
    return embedded_scene(pack)


@pytest.fixture(scope="module")
def table(request) -> Iterator[dict[str, str]]:
    """What each row shows, printed when all have run."""
    shown: dict[str, str] = {}
    yield shown
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n\n" + "\n".join(f"{name:<38} {result}" for name, result in shown.items()))


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
    library, restore, steering, scene, table, first, energies, row: Row
):
    """Without guidance the stock sampler's latent; with it a falling energy, or a sentence; afterwards as before."""
    made = row.build(scene)
    inputs = {key: made[key] for key in ("model", "positive", "negative") if key in made}
    steps = {"steps": row.steps}
    before = stock(scene, **steps, **inputs)
    free = sample_node(restore, scene, **steps, **inputs).result[0]["samples"]
    if row.exact:
        assert torch.equal(free, before)
    assert row.acts == (not torch.equal(free, stock(scene, **steps)))
    settings = {"eta": 40.0, "t_prime": 0.6, "updates": 2, "threshold": 0.0, "layers": "first up block"}
    gc.disable()  # nothing may wait for the collector
    try:
        result = guided(library, restore, steering, scene, made, inputs, steps, settings | row.settings)
        left = leftovers(scene)
    finally:
        gc.enable()
    assert not left
    if row.exact:
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
    fallen = f"energy {energies[0]:.4f} → {energies[1]:.4f}"
    exact = "unguided exact" if row.exact else "unguided random"
    table[row.name] = f"{exact}, {fallen}" + (f" (“{notes}”)" if notes else "")


def guided(library, restore, steering, scene, made, inputs, steps, settings):
    """The node's output, or the sentence in which it declines."""
    try:
        with torch.inference_mode():
            (guidance,) = steering.AttentionGuidance.execute(
                clip=made.get("clip", scene.clip), prompt=made.get("prompt", scene.prompt),
                name=made.get("name", "red cup"), mask=scene.mask[None], **settings,
            ).result  # fmt: skip
        return sample_node(restore, scene, guidance=guidance, **steps, **inputs)
    except library.errors.SedicError as error:
        return str(error)
