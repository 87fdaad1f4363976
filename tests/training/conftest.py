"""Two devices on any machine, for trainings of every kind."""

from __future__ import annotations

import pytest

from .apart import two_devices


@pytest.fixture
def apart():
    """For the length of a test."""
    with two_devices() as mode:
        yield mode
