"""ComfyUI's modules and this pack inside the running process, for tests and measurements: no server, no window."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from .comfyui import ROOT

PACK = "comfyui_sedic"


def load_comfyui(comfyui: Path, base: Path, pytorch_attention: bool = False) -> ModuleType:
    """Imports ``comfy`` on the CPU, with the folders input, output, temp, user and models under ``base``.

    Its top-level modules (``nodes``, ``execution``, ``utils``, …) come before this repository's for the rest of the
    process; the pack's own are reached through :func:`load_pack` alone, as in ComfyUI. ``pytorch_attention`` is what
    it uses on most graphics cards; on a CPU it has another kernel of its own.
    """
    sys.path.insert(0, str(comfyui))
    for name in ("nodes", "utils", "app", "server", "execution"):
        module = sys.modules.get(name)
        if module is not None and not str(getattr(module, "__file__", "") or "").startswith(str(comfyui)):
            del sys.modules[name]
    import comfy.options

    comfy.options.args_parsing = False  # this process's arguments are not ComfyUI's
    from comfy.cli_args import args

    args.use_pytorch_cross_attention = pytorch_attention
    args.cpu = True  # read once, when model_management is imported
    import comfy.model_management
    import folder_paths

    for name in ("input", "output", "temp", "user"):
        (base / name).mkdir(exist_ok=True)
        getattr(folder_paths, f"set_{name}_directory")(str(base / name))
    for kind in ("checkpoints", "controlnet", "loras"):
        folder_paths.add_model_folder_path(kind, str(base / "models" / kind))
    return comfy


def load_pack() -> ModuleType:
    """The pack as ComfyUI imports it, under a name of its own; ``pack.nodes``, ``pack.sedic`` are its packages."""
    spec = importlib.util.spec_from_file_location(PACK, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT} holds no pack; get the repository again.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACK] = module
    spec.loader.exec_module(module)
    for inner in ("sedic", "nodes"):
        importlib.import_module(f"{PACK}.{inner}")
    return module
