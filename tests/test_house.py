"""What the repository promises about itself: layers, plain requirements, readable files, a door without ComfyUI."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("sedic", "nodes", "headless", "tests", "web", "workflows", "locales", ".ci", ".github")
TEXT = {".py", ".md", ".js", ".json", ".toml", ".txt", ".css", ".yml", ".yaml", ""}


def files(*suffixes: str) -> Iterator[Path]:
    """The project's own text files, with these suffixes or any."""
    roots = [p for p in ROOT.iterdir() if p.is_file()]
    inner = [p for name in OURS for p in (ROOT / name).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    for path in roots + inner:
        if path.suffix in (suffixes or TEXT) and path.name not in ("LICENSE", ".git"):
            yield path


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    """Checks the contracts of pyproject.toml on the library in ``folder``."""
    code = "import sys; from importlinter.cli import lint_imports_command as command; sys.exit(command())"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=folder, capture_output=True, encoding="utf-8", check=False
    )


def dependencies(text: str) -> list[str]:
    """Requirement strings of the first ``dependencies`` list of pyproject.toml; 3.10 has no TOML reader."""
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    return re.findall(r"^\s*[\"'](.+?)[\"'],", block[1], re.MULTILINE)


def name_of(requirement: str) -> str:
    """The project a requirement line names, normalised."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]).lower()


def test_imports_go_one_way() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_import_against_the_rule_is_found(tmp_path: Path) -> None:
    against = {
        "sedic/semantics.py": ("from . import codec", "- sedic.semantics -> sedic.codec (l."),
        "sedic/restoration/__init__.py": ("from .. import reference", "- sedic.restoration -> sedic.reference (l."),
        "sedic/reference/__init__.py": ("import comfy", "- sedic.reference -> comfy (l."),
        "sedic/bitstream/__init__.py": ("import torch", "- sedic.bitstream -> torch (l."),
        "sedic/understanding/words/__init__.py": (
            "from .. import masks", "- sedic.understanding.words -> sedic.understanding.masks (l."
        ),
        "sedic/restoration/stages.py": (
            "from . import diffusers_backend", "- sedic.restoration.stages -> sedic.restoration.diffusers_backend (l."
        ),
        "sedic/training/masks/__init__.py": (
            "from .. import text", "- sedic.training.masks -> sedic.training.text (l."
        ),
        "sedic/bitstream/mask/lattice.py": ("from . import choice", "- .lattice -> .choice ("),
        "sedic/cli/files.py": ("from . import decode", "- .files -> .decode ("),
    }  # fmt: skip
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path in (ROOT / "sedic").rglob("*.py"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for module, (line, _) in against.items():
        with (tmp_path / module).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    told = " ".join(result.stdout.split())
    assert [module for module, (_, found) in against.items() if found not in told] == []


def test_door_opens_without_comfyui_and_loads_no_model_library() -> None:
    code = f"""
import importlib.util, inspect, pathlib, sys
root = pathlib.Path({str(ROOT)!r})
spec = importlib.util.spec_from_file_location("a_pack", root / "__init__.py", submodule_search_locations=[str(root)])
door = importlib.util.module_from_spec(spec)
sys.modules["a_pack"] = door
spec.loader.exec_module(door)
assert inspect.iscoroutinefunction(door.comfy_entrypoint)
assert (root / door.WEB_DIRECTORY).is_dir()
heavy = {{"torch", "diffusers", "transformers", "openai", "cv2", "comfy"}} & set(sys.modules)
assert not heavy, heavy
"""
    result = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr


def test_requirements_are_plain_lines_that_pyproject_has_too() -> None:
    declared = dependencies((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9-]+>=[0-9.]+( ?; ?python_version ?< ?['\"]3\.\d+['\"])?", line), line
        assert line.replace(" ", "").replace('"', "'") in [d.replace(" ", "").replace('"', "'") for d in declared]


def test_requirements_leave_to_comfyui_what_it_brings(comfyui_path: Path) -> None:
    theirs = {name_of(line) for line in (comfyui_path / "requirements.txt").read_text(encoding="utf-8").splitlines()}
    ours = {name_of(line) for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()}
    assert not ours & theirs


def test_dependencies_have_lower_bounds_only() -> None:
    for requirement in dependencies((ROOT / "pyproject.toml").read_text(encoding="utf-8")):
        assert not re.search(r"[<~]=?|==|@", requirement.split(";")[0]), requirement


def test_installed_version_is_the_declared_one() -> None:
    declared = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    stated = re.search(r'^__version__ = "(.+)"', (ROOT / "sedic/__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert declared is not None
    assert stated is not None
    assert declared[1] == stated[1]


def test_a_file_is_read_in_one_sitting() -> None:
    long = {str(p.relative_to(ROOT)): n for p in files(".py", ".js") if (n := len(lines_of(p))) > 320}
    assert not long


def test_a_folder_says_what_it_is_for() -> None:
    packages = [p for p in files(".py") if p.name == "__init__.py"]
    silent = [p for p in packages if not p.read_text(encoding="utf-8").lstrip().startswith('"""')]
    assert packages
    assert not silent


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(
            r"(?<![\w.])/(?:" + "|".join(["work", "root", "home", "Users", "tmp"]) + r")/\w", id="machine paths"
        ),
        pytest.param(
            r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "Not" + "ImplementedError"]) + r")\b",
            id="left open",
        ),
        pytest.param(r"except( Base| )?(Exception)?( as \w+)?:\s*(#.*)?\n?\s*pass\b", id="swallowed errors"),
    ],
)
def test_no_file_has(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]!r}"
        for path in files()
        for match in [re.search(pattern, path.read_text(encoding="utf-8"))]
        if match
    ]
    assert not found


def test_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def lines_of(path: Path) -> list[str]:
    """The lines of a text file."""
    return path.read_text(encoding="utf-8").splitlines()


def test_no_test_may_ask_a_model_hub():
    import huggingface_hub.constants

    assert huggingface_hub.constants.HF_HUB_OFFLINE


def test_all_pictures_together_are_small() -> None:
    roots = (ROOT / name for name in (*OURS, "docs"))
    pictures = [p for root in roots for p in root.rglob("*") if p.suffix in (".png", ".jpg", ".jpeg", ".webp", ".gif")]
    assert len(pictures) > 20
    assert sum(path.stat().st_size for path in pictures) <= 2_500_000
