"""Puts this folder where worker processes, which know no packages of tests, find ``turning``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
sys.path.append(HERE)


@pytest.fixture(scope="module", autouse=True)
def workers_find_this_folder() -> Iterator[None]:
    """Ray's workers are started by its nodes, which know the environment and not this process's path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", HERE, prepend=os.pathsep)
        yield
