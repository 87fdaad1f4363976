"""What a window in any language shows is what the nodes themselves say."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest

from headless.comfyui import Server
from headless.locales import SOURCE, english, languages, read, texts


def test_english_files_are_the_nodes_own_texts(object_info: dict) -> None:
    now, written = dict(texts(english(object_info))), read(SOURCE)
    differing = sorted(key for key in now.keys() | written.keys() if now.get(key) != written.get(key))
    assert not differing, "`python -m headless.locales` writes these anew:\n" + "\n".join(differing)


def test_comfyui_serves_every_language_of_the_pack(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/i18n", timeout=60) as answer:
        served = json.load(answer)
    for language in (SOURCE, *languages()):
        ours = read(language)
        got = dict(texts({"main": {"nodeCategories": served[language]["nodeCategories"]}}))
        got |= dict(texts({"nodeDefs": served[language]["nodeDefs"]}))
        assert {key: got.get(key) for key in ours} == ours


@pytest.mark.parametrize("language", ["de", "ja", "zh"])
def test_choices_are_named_in_tooltips_as_the_widget_shows_them(object_info: dict, language: str) -> None:
    translated, lost = read(language), []
    for key, (kind, options) in inputs(object_info):
        tooltip = options.get("tooltip", "")
        for choice in kind if isinstance(kind, list) else options.get("options") or []:
            named = re.search(rf"(?<![\w-]){re.escape(str(choice))}:", tooltip)
            if named and str(choice) not in translated[f"{key}.tooltip"]:
                lost.append(f"{key}: {choice}")
    assert not lost


def inputs(object_info: dict) -> Iterator[tuple[str, list]]:
    """The pack's inputs, each with its key in a locale's file."""
    for node_id, entry in object_info.items():
        for group in ("required", "optional") if node_id.startswith("SEDIC_") else ():
            for name, described in entry["input"].get(group, {}).items():
                yield f"nodeDefs.{node_id}.inputs.{name}", described
