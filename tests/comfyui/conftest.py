"""ComfyUI itself for the tests: a real server, and ComfyUI's modules with the pack inside this process."""

from __future__ import annotations

import importlib
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from headless.client import Client
from headless.comfyui import Server
from headless.in_process import load_comfyui, load_pack

from .scene import embedded_scene


@pytest.fixture(scope="session")
def server(comfyui_path: Path) -> Iterator[Server]:
    """A ComfyUI server on the CPU with this pack in it, one for all tests."""
    with Server(comfyui_path) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Server) -> Client:
    """Talks to the server; a whole graph may take long, a single answer not."""
    return Client(server.url, timeout=120)


@pytest.fixture(scope="session")
def object_info(client: Client) -> dict:
    """Every node that the server knows."""
    return client.object_info()


@pytest.fixture(scope="session")
def comfy(comfyui_path: Path, tmp_path_factory: pytest.TempPathFactory) -> types.ModuleType:
    """ComfyUI's `comfy` package in this process, on the CPU, with folders of its own."""
    return load_comfyui(comfyui_path, tmp_path_factory.mktemp("comfyui"))


@pytest.fixture(scope="session")
def pack(comfy: types.ModuleType) -> types.ModuleType:
    """The pack as ComfyUI imports it; `pack.nodes`, `pack.sedic` are its packages."""
    return load_pack()


@pytest.fixture(autouse=True)
def sampled_anew(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier test sampled is not remembered: a test that breaks something on purpose would not meet it."""
    if "pack" in request.fixturenames:
        remembered = importlib.import_module(f"{request.getfixturevalue('pack').__name__}.nodes.remembered")
        monkeypatch.setattr(remembered.STAGES, "_kept", type(remembered.STAGES._kept)())


@pytest.fixture(scope="session")
def restore(pack: types.ModuleType) -> types.ModuleType:
    """The pack's `nodes.restore`."""
    return importlib.import_module(f"{pack.__name__}.nodes.restore")


@pytest.fixture(scope="session")
def steering(pack: types.ModuleType) -> types.ModuleType:
    """The pack's `nodes.steering`."""
    return importlib.import_module(f"{pack.__name__}.nodes.steering")


@pytest.fixture(scope="session")
def nodes_stage(pack: types.ModuleType) -> types.ModuleType:
    """The pack's `nodes.stage`."""
    return importlib.import_module(f"{pack.__name__}.nodes.stage")


@pytest.fixture(scope="session")
def denoiser(pack: types.ModuleType) -> types.ModuleType:
    """The pack's `nodes.comfy_denoiser`."""
    return importlib.import_module(f"{pack.__name__}.nodes.comfy_denoiser")


@pytest.fixture(scope="session")
def library(pack: types.ModuleType) -> types.SimpleNamespace:
    """The pack's own copy of the library."""
    restoration = ("guidance", "fusion", "energy", "color_fix")
    paths = [*(f"restoration.{name}" for name in restoration), "models.embedded", "errors"]
    parts = {path.split(".")[-1]: importlib.import_module(f"{pack.__name__}.sedic.{path}") for path in paths}
    return types.SimpleNamespace(**parts)


@pytest.fixture
def stage(pack: types.ModuleType) -> types.SimpleNamespace:
    """The embedded models and a small scene, anew for each test."""
    return embedded_scene(pack)
