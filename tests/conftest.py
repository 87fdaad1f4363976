"""Fixtures of all tests: the repository's folder, the pictures beside it, a ComfyUI."""

from __future__ import annotations

import os
from pathlib import Path

# Tiny models run many times faster on one thread, above all where something else runs beside the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# And those that tests give more threads do not spin while something else works.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# No test asks a model hub for anything, whatever a library would like to look up there.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

from headless.comfyui import find

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of pictures, descriptions and masks beside the repository, or the one that SEDIC_SHARED names."""
    folder = Path(os.environ.get("SEDIC_SHARED") or ROOT.parent / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the pictures of {folder}, which are not here; SEDIC_SHARED names another place")
    return folder


@pytest.fixture(scope="session")
def comfyui_path() -> Path:
    """The folder of the ComfyUI that COMFYUI_PATH names, else of the one that run.py fetched."""
    path = find()
    if path is None:
        pytest.skip("needs a ComfyUI: `python run.py test` fetches one, COMFYUI_PATH names another")
    return path
