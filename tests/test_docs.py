"""What the pages say is there: links lead somewhere, names exist, quoted sentences are in the code."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.cli import main

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("web/docs/**/*.md")])


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them: small letters, dashes for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), f"{target} leads to no file"
        assert not anchor or anchor in anchors(other), f"{target} leads to no heading"


def test_every_equation_of_the_paper_is_where_the_page_says() -> None:
    page = read("docs/architecture.md")
    names = re.findall(r"`(sedic[\w.]*):(\w+)`", page)
    assert {row for row in ("Eq. 1", "Eq. 2", "Eq. 3", "Eq. 4") if f"| {row} |" not in page} == set()
    missing = [f"{module}:{name}" for module, name in names if not hasattr(importlib.import_module(module), name)]
    assert len(names) > 15
    assert not missing
    for folder in re.findall(r"`((?:sedic|nodes|headless|web|tests)/[\w/.]*)`", page):
        assert (ROOT / folder).exists(), folder


def test_every_sentence_that_the_page_of_troubles_quotes_is_said_somewhere() -> None:
    files = [*(ROOT / "sedic").rglob("*.py"), *(ROOT / "nodes").rglob("*.py"), *(ROOT / "headless").glob("*.py")]
    code = " ".join(path.read_text(encoding="utf-8") for path in [*files, ROOT / "run.py"])
    said = re.sub(r'"\s*f?"', "", code)  # sentences go over several lines
    quoted = re.findall(r"^\| `(.+?)` \|", read("docs/troubleshooting.md"), re.MULTILINE)
    assert len(quoted) > 20
    assert [sentence for sentence in quoted if sentence not in said] == []


def test_the_readmes_shell_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", read("README.md"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)).convert("RGB").save("photo.jpg")
    for line in block.splitlines():
        program, *words = shlex.split(line)
        assert program == "sedic"
        assert main(words) == 0, line
    with Image.open("photo.png") as picture:
        assert picture.size == (96, 64)
    assert (tmp_path / "stages").is_dir()
