"""What leaves the house: the registry's archive, the workflows that check and publish it, the change log."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pathspec
import pytest
import yaml
from PIL import Image

from headless.comfyui import VERSION
from sedic.cli import main, train
from sedic.reference.cheng2020 import INSTALL

ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> str:
    """A text file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def declared(key: str) -> str:
    """A text of pyproject.toml's own table; 3.10 has no TOML reader."""
    found = re.search(rf'^{key} = "(.+)"', read("pyproject.toml"), re.MULTILINE)
    assert found is not None
    return found[1]


def tracked() -> set[str]:
    """The repository's files as git knows them; without git there is nothing to pack."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if listed.returncode != 0:
        pytest.skip("not a git repository: what the registry packs is what git tracks")
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def packed() -> set[str]:
    """What the Comfy registry's tool packs: git's files without those of .comfyignore."""
    left_out = pathspec.GitIgnoreSpec.from_lines(read(".comfyignore").splitlines())
    return {name for name in tracked() if not left_out.match_file(name)}


def test_the_registry_packs_what_a_user_runs_and_nothing_else() -> None:
    files = packed()
    for needed in ("__init__.py", "pyproject.toml", "requirements.txt", "LICENSE", "README.md", "run.py"):
        assert needed in files
    ours = {name for name in tracked() if name.split("/")[0] in ("nodes", "sedic", "web", "workflows", "locales")}
    assert {name.split("/")[1] for name in ours - files} == {"bench", "training"}
    assert not {name.split("/")[0] for name in files} & {"tests", "docs", ".github", ".ci", "CHANGELOG.md"}


def test_no_packed_file_imports_one_that_is_left_out() -> None:
    files, missing = packed(), []
    left_out = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in tracked() - files}
    for name in files:
        if name.endswith(".py"):
            missing += [f"{name}: {module}" for module in imports(name) if module in left_out]
    assert not missing


def imports(name: str) -> Iterator[str]:
    """The dotted names that a file of the repository imports, those of ours from the root on."""
    package = name.split("/")[:-1]
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_a_copy_of_the_registry_says_that_it_holds_no_trainings(monkeypatch, capsys) -> None:
    monkeypatch.setitem(train.TRAININGS, "text", "left_out")
    assert main(["train", "text", "--data", "x", "-o", "y"]) == 1
    said = "This copy, as the Comfy registry has it, holds no trainings; clone the repository."
    assert capsys.readouterr().err.strip() == said


def test_the_registry_shows_icon_and_banner_from_this_repository() -> None:
    raw = declared("Repository").replace("github.com", "raw.githubusercontent.com") + "/main/"
    for key, width, height in (("Icon", 400, 400), ("Banner", 1260, 540)):  # a square, and 21:9
        assert declared(key).startswith(raw)
        name = declared(key).removeprefix(raw)
        assert name in tracked()
        assert (ROOT / name).with_suffix(".svg").is_file()  # what it was drawn as
        with Image.open(ROOT / name) as picture:
            assert (picture.format, *picture.size) == ("PNG", width, height)
        assert (ROOT / name).stat().st_size <= 64_000


def test_the_registry_asks_for_the_oldest_comfyui_that_is_tested_and_for_no_system() -> None:
    assert declared("requires-comfyui") == f">={VERSION}"
    classifiers = re.findall(r'"(.+?)"', re.search(r"^classifiers = \[(.*)\]", read("pyproject.toml"), re.MULTILINE)[1])
    assert classifiers == ["Operating System :: OS Independent"]


def settings(name: str) -> dict:
    """A YAML file's content."""
    return yaml.safe_load(read(name))


def test_the_workflow_runs_the_readmes_two_commands_on_the_oldest_and_a_newer_python() -> None:
    job = settings(".github/workflows/checks.yml")["jobs"]["commands"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["python run.py demo", "python run.py test"]
    assert all(command in read("README.md") for command in commands)
    pythons = job["strategy"]["matrix"]["python"]
    assert pythons == ["3.10", "3.13"]
    assert declared("requires-python") == f">={pythons[0]}"


def test_a_version_is_published_by_its_tag_alone_and_only_after_the_checks() -> None:
    workflow = settings(".github/workflows/publish.yml")
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads the key "on" so
    publish = workflow["jobs"]["publish"]
    assert workflow["jobs"][publish["needs"]]["uses"] == "./.github/workflows/checks.yml"
    owner = declared("Repository").split("/")[3]
    assert publish["if"] == f"github.repository_owner == '{owner}'"
    steps = publish["steps"]
    assert steps[-1]["uses"].startswith("Comfy-Org/publish-node-action@")
    assert steps[-1]["with"] == {"personal_access_token": "${{ secrets.REGISTRY_ACCESS_TOKEN }}"}
    assert steps[-2]["run"].startswith('grep -qx "version = ')
    assert f'version = "{declared("version")}"' in read("pyproject.toml").splitlines()


def test_pre_commit_checks_what_the_test_command_checks() -> None:
    (local,) = settings(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    code = read("run.py")
    hooks = {hook["id"]: hook["entry"] for hook in local["hooks"]}
    assert list(hooks) == re.findall(r'^        "(\w+)": \["-[mc]"', code, re.MULTILINE)
    assert all(hook["language"] == "system" for hook in local["hooks"])  # the tools of .venv: one version of each
    for entry in hooks.values():
        for word in re.findall(r"(?<= -m )\w+|importlinter\S+|--explicit\S+", entry):
            assert word in code


def test_changelog_has_the_declared_version_and_what_is_to_come() -> None:
    heads = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert heads[:2] == ["Unreleased", declared("version")]


def test_paper_codec_is_installed_as_its_error_says() -> None:
    unpinned = re.search(r'^UNPINNED = "(.+)"', read("run.py"), re.MULTILINE)
    assert unpinned is not None
    assert f'--no-deps "{unpinned[1]}"' in INSTALL
