"""Muon's steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sedic.training import muon
from sedic.training.loop import Run
from sedic.training.muon import Muon, orthogonal


@pytest.mark.processor
def test_orthogonal_keeps_the_singular_vectors_and_evens_the_values():
    torch.manual_seed(0)
    for shape in ((20, 50), (50, 20)):
        matrix = torch.randn(shape)
        made = orthogonal(matrix)
        values = torch.linalg.svdvals(made.float())
        assert values.min() > 0.6
        assert values.max() < 1.3
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        assert torch.trace(u.T @ made @ v.T) > 0.8 * len(values)


@pytest.mark.parametrize("quick", [True, False])
def test_steps_are_made_in_what_the_processor_is_quick_in(monkeypatch, quick):
    monkeypatch.setattr(muon, "computes_in_bfloat16", lambda *_, **__: quick)
    torch.manual_seed(0)
    made = orthogonal(torch.randn(6, 9))
    assert made.dtype == torch.float32
    assert torch.equal(made, made.bfloat16().float()) == quick


def test_matrices_and_other_weights_take_different_steps():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
    matrices, others = Muon(model, 0.1).param_groups
    assert [p.shape for p in matrices["params"]] == [(3, 4)]
    assert [p.shape for p in others["params"]] == [(5, 4), (3,)]


def test_a_regression_is_solved():
    torch.manual_seed(0)
    inputs = torch.randn(256, 8)
    outputs = inputs @ torch.randn(8, 4) + 3
    model = nn.Linear(8, 4)
    optimizer = Muon(model, 0.03)
    for _ in range(300):
        loss = (model(inputs) - outputs).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    def run(folder, steps):
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        run = Run(folder, model, minutes=1e6, rate=0.01, optimizer=Muon(model, 0.01))
        for step in range(run.step, steps):
            loss = model(torch.full((1, 4), step + 1.0)).square().sum()
            run.optimizer.zero_grad()
            loss.backward()
            run.optimizer.step()
            run.step += 1
        run.save()
        return model.weight.detach()

    whole = run(tmp_path / "whole", 6)
    run(tmp_path / "parts", 3)
    assert torch.equal(run(tmp_path / "parts", 6), whole)


def test_shares_of_the_rate_are_kept_and_survive_loading():
    model = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.Conv2d(4, 1, 1))

    def optimizer() -> Muon:
        slow = {"1.weight": 0.1, "1.bias": 0.1, "0.bias": 0.5}
        return Muon(model, 0.01, shares=lambda name, parameter: slow.get(name))

    first = optimizer()
    model(torch.randn(1, 4, 5, 5)).sum().backward()
    first.step()
    saved = first.state_dict()
    for group in saved["param_groups"]:
        del group["share"], group["matrices"]  # as those of older runs
    second = optimizer()
    second.load_state_dict(saved)
    assert [(len(g["params"]), g["share"], g["matrices"]) for g in second.param_groups] == [
        (1, 1.0, True),
        (1, 0.5, False),
        (2, 0.1, False),
    ]
    assert torch.equal(second.state[model[1].bias]["mean"], first.state[model[1].bias]["mean"])
