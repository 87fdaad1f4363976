"""ComfyUI itself for the tests: a real server, and ComfyUI's modules with the pack inside this process."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from headless.client import Client
from headless.comfyui import Server


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
    """ComfyUI's `comfy` package in this process, on the CPU, with folders of its own.

    Its top-level modules (`nodes`, `execution`, `utils`, …) come before those of this repository for the rest of
    the session: the pack's own are reached through :func:`pack` alone, as in ComfyUI.
    """
    sys.path.insert(0, str(comfyui_path))
    for name in ("nodes", "utils", "app", "server", "execution"):
        module = sys.modules.get(name)
        if module is not None and not str(getattr(module, "__file__", "") or "").startswith(str(comfyui_path)):
            del sys.modules[name]
    import comfy.options

    comfy.options.args_parsing = False  # pytest's arguments are not ComfyUI's
    from comfy.cli_args import args

    args.cpu = True  # read once, when model_management is imported
    import comfy.model_management
    import folder_paths

    base = tmp_path_factory.mktemp("comfyui")
    for name in ("input", "output", "temp", "user"):
        (base / name).mkdir()
        getattr(folder_paths, f"set_{name}_directory")(str(base / name))
    assert comfy.model_management.get_torch_device().type == "cpu"
    return comfy


@pytest.fixture(scope="session")
def pack(comfy: types.ModuleType, repository: Path) -> types.ModuleType:
    """The pack as ComfyUI imports it, under a name of its own; `pack.nodes`, `pack.sedic` are its packages."""
    name = "comfyui_sedic"
    spec = importlib.util.spec_from_file_location(
        name, repository / "__init__.py", submodule_search_locations=[str(repository)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    for inner in ("sedic", "nodes"):
        importlib.import_module(f"{name}.{inner}")
    return module
