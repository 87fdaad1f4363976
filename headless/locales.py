"""Makes the front end's English files: ``python -m headless.locales`` writes ``locales/en``.

A text that a person reads on a node has one place, the node's own schema: programs read it in ``/object_info``, and
ComfyUI shows it in a language that the pack does not speak. ``locales/en`` is these texts again in the front end's
form: ``nodeDefs.json`` with names and tooltips, ``main.json`` with the menu's words. Translators start from it, and
the tests hold ``de``, ``ja`` and ``zh``, written by hand, against it. The command says what a change leaves to them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from sedic.errors import SedicError

from .client import Client
from .comfyui import ROOT, Server
from .errors import HeadlessError

FOLDER = ROOT / "locales"
SOURCE = "en"
FILES = ("main", "nodeDefs")
PREFIX = "SEDIC_"
# The front end reads these as syntax: {name} is filled in, @ links to another text, | separates singular and plural.
SYNTAX = re.compile(r"[{}@|]")


class LocaleError(SedicError):
    """A text that the front end would not show as it is written."""


def english(info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The pack's texts as the front end's files, by the files' names.

    Args:
        info: ComfyUI's ``/object_info``; other packs' nodes in it are passed over.

    Raises:
        LocaleError: a text holds a character of the front end's syntax.
    """
    ours = {node_id: info[node_id] for node_id in sorted(info) if node_id.startswith(PREFIX)}
    menu = sorted({word for entry in ours.values() for word in entry["category"].split("/")})
    files = {
        "main": {"nodeCategories": {word: word for word in menu}},
        "nodeDefs": {node_id: _node(entry) for node_id, entry in ours.items()},
    }
    for key, text in texts(files):
        if found := SYNTAX.search(text):
            raise LocaleError(f"{key} holds {found[0]!r}, which ComfyUI's front end reads as syntax; say it in words.")
    return files


def _node(entry: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {}
    for group in ("required", "optional"):
        for name, (_, options) in entry["input"].get(group, {}).items():
            inputs[name] = _named(options.get("display_name") or name, options.get("tooltip"))
    names, tooltips = entry["output_name"], entry.get("output_tooltips") or []
    outputs = {
        str(slot): _named(name, tooltips[slot] if slot < len(tooltips) else None) for slot, name in enumerate(names)
    }
    node = {"display_name": entry["display_name"], "description": entry["description"]}
    return node | {key: group for key, group in (("inputs", inputs), ("outputs", outputs)) if group}


def _named(name: str, tooltip: str | None) -> dict[str, str]:
    return {"name": name, **({"tooltip": tooltip} if tooltip else {})}


def texts(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a locale's file with its dotted key."""
    for key, value in tree.items():
        if isinstance(value, str):
            yield above + key, value
        else:
            yield from texts(value, f"{above}{key}.")


def read(language: str) -> dict[str, str]:
    """The texts of a language by their keys, which begin with the file's name; none where there is no such file."""
    paths = [FOLDER / language / f"{name}.json" for name in FILES]
    return dict(texts({path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()}))


def languages() -> list[str]:
    """The languages that the pack is translated into."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != SOURCE)


def main() -> int:
    """Writes the English files from the nodes of a running ComfyUI."""
    try:
        with Server() as server:
            files = english(Client(server.url).object_info())
    except (HeadlessError, SedicError) as error:
        print(error, file=sys.stderr)
        return 1
    before, now = read(SOURCE), dict(texts(files))
    (FOLDER / SOURCE).mkdir(parents=True, exist_ok=True)
    for name, tree in files.items():
        written = json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
        (FOLDER / SOURCE / f"{name}.json").write_text(written, encoding="utf-8", newline="\n")
    changed = [key for key, text in now.items() if before.get(key) != text]
    gone = [key for key in before if key not in now]
    for what, keys in (("say anew", changed), ("take out", gone)):
        if keys:
            print(f"In {', '.join(languages())}, {what}:", *keys, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
