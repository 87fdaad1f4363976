"""Second thoughts are cheap: a stage on the same content is not sampled again, and nothing stale is served."""

from __future__ import annotations

import copy
import gc
import importlib

import pytest
import torch

from .scene import embedded_scene, guidance, sample, sample_node
from .second_thoughts import THOUGHTS, Thought, copied, fused, loaded


@pytest.fixture
def remembered(pack, monkeypatch):
    """The pack's `nodes.remembered`, with nothing kept yet."""
    module = importlib.import_module(f"{pack.__name__}.nodes.remembered")
    monkeypatch.setattr(module.STAGES, "_kept", type(module.STAGES._kept)())
    return module


@pytest.fixture
def sampled(comfy, remembered, monkeypatch) -> list[int]:
    """The seed of every stage that is sampled."""
    import comfy.sample

    seeds: list[int] = []
    plain = comfy.sample.sample_custom

    def counted(*arguments, **options):
        seeds.append(options["seed"])
        return plain(*arguments, **options)

    monkeypatch.setattr(comfy.sample, "sample_custom", counted)
    return seeds


@pytest.fixture(scope="module")
def models(pack):
    """The embedded scene, loaded once: no thought may leave a trace that another one meets."""
    return embedded_scene(pack)


@pytest.fixture
def scene(pack, library, steering, models, monkeypatch):
    """With what makes guidance and fusion of it."""
    scene = copy.copy(models)
    scene.models, scene.fusion, scene.trajectory = loaded(pack), library.fusion.Fusion, library.fusion.Trajectory
    scene.guided = lambda **settings: guidance(library, steering, scene, **settings)
    return scene


def given(scene, change, inputs=None):
    """A stage's inputs with a change."""
    inputs = inputs or {"positive": scene.positive, "negative": scene.negative, "image": scene.image,
                        "model": scene.model, "steps": 1}  # fmt: skip
    with torch.inference_mode():
        return {**inputs, **change(scene, inputs)}


def same(one, other):
    """Whether two results of ORAG Sampler are equal, bit for bit, with every latent on the way."""
    latents = zip((one[0]["samples"], one[2], *one[1].latents), (other[0]["samples"], other[2], *other[1].latents),
                  strict=True)  # fmt: skip
    return all(torch.equal(a, b) for a, b in latents)


@pytest.mark.parametrize("thought", THOUGHTS, ids=lambda thought: thought.name)
def test_a_second_thought_samples_anew_and_the_same_inputs_do_not(restore, scene, sampled, thought: Thought):
    """Other objects of the same content are the same inputs, also those that a run has gone through."""
    inputs = given(scene, thought.before)
    first = sample(restore, scene, **inputs)
    again = sample(restore, scene, **given(scene, copied, inputs))
    assert len(sampled) == 1
    assert same(first, again)
    second = given(scene, thought.change, inputs)
    sample(restore, scene, **second)
    assert len(sampled) == 2
    sample(restore, scene, **second)
    assert len(sampled) == 2


def test_of_a_batch_only_the_pictures_that_changed_are_sampled_again(restore, scene, sampled):
    image = torch.cat([scene.image, scene.image.flip(1)])
    first = sample(restore, scene, image=image, steps=1)
    assert len(sampled) == 2
    image = torch.cat([scene.image, scene.image.flip(2)])
    second = sample(restore, scene, image=image, steps=1)
    assert len(sampled) == 3
    assert torch.equal(second[2][0], first[2][0])


@pytest.mark.parametrize("start", ["noise", "low frequencies", "noised picture"])
def test_the_last_stage_is_remembered_as_the_others_are(restore, scene, sampled, start):
    names = ("model", "positive", "negative", "vae")
    inputs = {name: getattr(scene, name) for name in names} | {"image": scene.image, "seed": 3, "steps": 1, "cfg": 2.0}
    inputs |= {"sampler": "euler", "scheduler": "simple", "strength": 1.0, "condition": "progressive", "start": start}
    with torch.inference_mode():
        first, again = (restore.GlobalRestore.execute(**inputs).result for _ in range(2))
        assert len(sampled) == 1
        assert all(torch.equal(a, b) for a, b in ((first[0], again[0]), (first[1]["samples"], again[1]["samples"])))
        restore.GlobalRestore.execute(**inputs | {"start": "noise" if start != "noise" else "low frequencies"})
    assert len(sampled) == 2


def test_what_a_stage_had_to_say_it_says_again(restore, scene, sampled, library):
    grey = library.guidance.Guidance(torch.full((128, 64), 0.5), (1,))
    first, again = (sample_node(restore, scene, guidance=grey, steps=1) for _ in range(2))
    assert len(sampled) == 1
    assert "one grey" in first.ui.as_dict()["text"][0]
    assert again.ui.as_dict()["text"] == first.ui.as_dict()["text"]


def drawing(generator):
    return lambda h, skip, options: (h + torch.randn(h.shape, generator=generator), skip)


def test_what_has_a_state_that_nothing_shows_is_sampled_each_time(restore, scene, sampled):
    model = scene.model.clone()
    model.set_model_output_block_patch(drawing(torch.Generator().manual_seed(0)))
    results = [sample(restore, scene, model=model, steps=1) for _ in range(2)]
    assert len(sampled) == 2
    assert not same(*results)


def test_a_stage_that_failed_or_was_stopped_is_not_remembered(comfy, restore, scene, sampled):
    import comfy.model_management

    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sample(restore, scene, steps=1)
    sample(restore, scene, steps=1)
    assert len(sampled) == 2


def test_what_somebody_has_written_into_is_not_served(restore, scene, sampled):
    """Another node's work in place on a picture or a trajectory; a LATENT is cut from the stage's and a copy."""
    for place in (lambda r: r[2], lambda r: r[0]["samples"], lambda r: r[1].latents[0]):
        result = sample(restore, scene, steps=1)
        before = copy.deepcopy(result)
        with torch.inference_mode():
            place(result).mul_(0.5)
        assert same(sample(restore, scene, steps=1), before)
    assert len(sampled) == 3


def test_a_model_is_freed_as_ever_and_its_results_with_it(restore, scene, sampled, remembered):
    import weakref

    model = scene.models.load_network()
    sample(restore, scene, model=model, steps=1)
    assert remembered.STAGES.bytes > 0
    network = weakref.ref(model.model)
    del model
    import comfy.model_management

    comfy.model_management.unload_all_models()
    gc.collect()
    assert network() is None
    assert remembered.STAGES.bytes == 0


def test_its_memory_is_bounded_and_the_oldest_goes_first(restore, scene, sampled, remembered, monkeypatch):
    sample(restore, scene, steps=1, seed=1)
    one = remembered.STAGES.bytes
    monkeypatch.setattr(remembered.STAGES, "most", 2 * one)
    for seed in (2, 1, 3):  # 2 is the one that was not asked for longest
        sample(restore, scene, steps=1, seed=seed)
        assert remembered.STAGES.bytes <= 2 * one
    sampled.clear()
    for seed in (3, 1, 2):
        sample(restore, scene, steps=1, seed=seed)
    assert sampled == [2]
    monkeypatch.setattr(remembered.STAGES, "most", one - 1)
    sample(restore, scene, steps=1, seed=4)
    assert remembered.STAGES.bytes <= one - 1


def test_five_stages_of_a_phones_picture_fit(remembered, library):
    def empty(*shape, **options):
        return torch.empty(shape, device="meta", **options)

    latent = 1, 4, 3072 // 8, 4032 // 8
    steps = [*(empty(*latent, dtype=torch.half) for _ in range(10)), empty(*latent)]
    trajectory = library.fusion.Trajectory(torch.zeros(11), tuple(steps))
    restored = remembered.Restored(empty(*latent), trajectory, empty(1, 3024, 4032, 3))
    assert 5 * restored.bytes <= remembered.MOST_BYTES


def test_guided_and_fused_stages_are_remembered_together(restore, scene, sampled):
    """As in the graph: the second stage gets what the first has left, sampled or remembered."""
    for _ in range(2):
        first = given(scene, fused) | {"guidance": scene.guided()}
        _, trajectory, image = sample(restore, scene, **first)
        second = first | {"image": image, "fusion": scene.fusion(scene.mask.flip(1), trajectory), "stage": 2}
        sample(restore, scene, **second)
    assert len(sampled) == 2
