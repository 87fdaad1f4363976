"""Fixtures of all tests: the repository's folder, the pictures beside it, a ComfyUI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Tiny models run many times faster on one thread, above all where something else runs beside the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# And those that tests give more threads do not spin while something else works.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# No test asks a model hub for anything, whatever a library would like to look up there.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

from headless.comfyui import find

ROOT = Path(__file__).resolve().parents[1]
# Folders whose files share a ComfyUI, which takes long to start: of several processes one runs all of a folder.
TOGETHER = ("tests/comfyui", "tests/browser")
# What takes longest begins first, so that no process works on alone at the end.
FIRST = (*TOGETHER, "tests/fuzz", "tests/training", "tests/reference", "tests/restoration", "tests/bench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts first what begins first, in a process of several; each file's tests keep their order."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(
            key=lambda item: next((i for i, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST))
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out the tests by file and by :data:`TOGETHER`, in the order in which they are collected."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((name for name in TOGETHER if nodeid.startswith(f"{name}/")), super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return Scheduling(config, log)


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
