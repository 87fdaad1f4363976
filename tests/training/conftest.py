"""Two devices on any machine, for trainings of every kind."""

from __future__ import annotations

import pytest
import torch

from .apart import Apart, tensors


@pytest.fixture
def apart(monkeypatch):
    """What is stored meanwhile has to come from the processor."""
    mode, save = Apart(), torch.save

    def saved(value, path):
        assert not any(mode.is_there(t) for t in tensors(value)), "no other machine could read it"
        save(value, path)

    monkeypatch.setattr(torch, "save", saved)
    with mode:
        yield mode
