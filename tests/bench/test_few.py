"""The measurement of guidance in few steps: its rows are what they say, and its table compares with unguided."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from sedic.bench import energy
from sedic.bench.restoration import few, tables
from sedic.restoration.settings import GuidanceSettings, Settings
from sedic.semantics import SceneObject, Semantics
from tests.restoration.toy import ToyModels

SETTINGS = Settings(guidance=GuidanceSettings(threshold=0.0))


def test_each_row_makes_the_updates_that_it_says_at_most():
    mask = np.zeros((64, 128), bool)
    mask[16:48, 32:80] = True
    scene = energy.Scene("a", torch.rand(1, 3, 64, 128), Semantics("all", (SceneObject("cup", "red cup", mask),)))
    shapes = set()
    found = few.measured(ToyModels(), scene, SETTINGS, lambda pixels: shapes.add(pixels.shape) or 1.5)
    assert found.shape == (1, len(few.CHOICES), len(few.FIGURES))
    assert shapes == {(64, 128, 3)}
    assert [int(n) for n in found[0, :, 1]] == [choice.guided * choice.updates for choice in few.CHOICES]
    assert (found[0, :, 0] > 0).all()
    assert set(found[0, :, 2]) == {1.5}


def test_shares_reach_from_no_step_to_all_and_hold_the_defaults():
    for steps in few.STEPS:
        own = [choice for choice in few.CHOICES if choice.steps == steps]
        assert {choice.guided for choice in own} >= {0, steps}
        plain = GuidanceSettings()
        assert few.Choice("lcm", steps, plain.guided_steps(steps), plain.updates) in own
        for choice in own:
            guidance = choice.guidance(plain)
            assert (guidance.guided_steps(steps) if guidance else 0) == choice.guided


def test_the_table_divides_by_the_unguided_row_of_as_many_steps():
    figures = np.ones((2, len(few.CHOICES), 3))
    figures[:, few.CHOICES.index(few.Choice("lcm", 4)), 0] = 0.8
    figures[:, few.CHOICES.index(few.Choice("lcm", 4, 4, 1)), 0] = 0.2
    measured = SimpleNamespace(rows=lambda *_: [[{"figures": figures}]])
    lines = [line for line in tables.few_steps(measured) if line.startswith("| lcm | 4 | 4 | 1 ")]
    assert [line.split(" | ")[5:7] for line in lines] == [["0.200", "0.25"]]
