"""Every language says what the English one says, in the words that its own window uses."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from headless.locales import FOLDER, SOURCE, SYNTAX, LocaleError, english, languages, main, read, texts

NAMES = re.compile(r"nodeDefs\.(SEDIC_\w+)\.inputs\.(\w+)\.name")
# What is typed or looked up as it stands: files, folders, symbols, numbers.
LITERAL = re.compile(r"\w*[_/.]\w+(?:[/.]\w+)*|\d+|η|\[output\]", re.ASCII)


@pytest.fixture(params=["de", "ja", "zh"])
def language(request: pytest.FixtureRequest) -> str:
    """A language of the pack's."""
    return request.param


def bare(name: str) -> str:
    """A node's name without the pack's behind it."""
    return re.sub(r"\s*[(（]SEDIC[)）]$", "", name)


def test_these_languages_are_spoken_and_no_other() -> None:
    assert languages() == ["de", "ja", "zh"]
    assert {path.name for path in FOLDER.rglob("*.json")} == {"main.json", "nodeDefs.json"}


def test_every_text_has_its_translation_and_no_translation_is_left_over(language: str) -> None:
    source, translated = read(SOURCE), read(language)
    missing = sorted(source.keys() - translated.keys())
    assert not missing, f"locales/{language} lacks:\n" + "\n".join(f"{key}: {source[key]}" for key in missing)
    stale = sorted(translated.keys() - source.keys())
    assert not stale, f"locales/{language} has texts that no node has any more:\n" + "\n".join(stale)
    assert not [key for key, text in translated.items() if not text.strip()]


def test_tooltips_are_translated_and_not_repeated(language: str) -> None:
    source, translated = read(SOURCE), read(language)
    sentences = [key for key in source if key.endswith((".tooltip", ".description"))]
    assert not [key for key in sentences if translated.get(key) == source[key]]


def test_numbers_files_and_symbols_are_those_of_the_english_text(language: str) -> None:
    source, translated = read(SOURCE), read(language)
    lost = {}
    for key, text in source.items():
        if key in translated and key.endswith((".tooltip", ".description")):
            said = Counter(LITERAL.findall(widgets_said(text, key, source, translated)))
            if gone := said - Counter(LITERAL.findall(translated[key])):
                lost[key] = dict(gone)
    assert not lost


def widgets_said(text: str, key: str, source: dict[str, str], translated: dict[str, str]) -> str:
    """``text`` without the names of the node's other widgets, where the translation calls them by their names there."""
    node = key.split(".")[1]
    for name_key, name in source.items():
        found = NAMES.fullmatch(name_key)
        if found and found[1] == node and "_" in name and translated[name_key] in translated[key]:
            text = re.sub(rf"\b{name}\b", "", text)
    return text


def test_a_node_is_called_in_tooltips_what_it_is_called_in_the_window(language: str) -> None:
    source, translated = read(SOURCE), read(language)
    titles = [key for key in source if key.endswith(".display_name")]
    titles.sort(key=lambda key: len(source[key]), reverse=True)  # ORAG Sampler Select before ORAG Sampler
    wrong = []
    for key in source.keys() & translated.keys():
        text = source[key]
        for title in titles:
            if not key.endswith(".display_name") and bare(source[title]) in text:
                text = text.replace(bare(source[title]), "")
                wrong += [] if bare(translated[title]) in translated[key] else [f"{key}: {bare(translated[title])}"]
    assert not wrong


def test_names_within_a_node_differ(language: str) -> None:
    translated = read(language)
    for part in (r"inputs\.\w+\.name", r"outputs\.\d+\.name"):
        seen = Counter()
        for key, text in translated.items():
            if found := re.fullmatch(rf"nodeDefs\.(\w+)\.{part}", key):
                seen[found[1], text] += 1
        assert not [name for name, times in seen.items() if times > 1]
    titles = [text for key, text in translated.items() if key.endswith(".display_name")]
    assert len(set(titles)) == len(titles)
    assert all("SEDIC" in title for title in titles)


@pytest.mark.parametrize("language", ["de", "en", "ja", "zh"])
def test_no_text_holds_what_the_front_end_reads_as_syntax(language: str) -> None:
    assert not [text for text in read(language).values() if SYNTAX.search(text)]


def entry(tooltip: str = "The picture.") -> dict:
    """A node of ComfyUI's ``/object_info``."""
    return {
        "display_name": "Load",
        "description": "Loads.",
        "category": "SEDIC/file",
        "input": {"required": {"image": ["IMAGE", {"tooltip": tooltip}]}, "optional": {"size": ["INT", {}]}},
        "output_name": ["IMAGE"],
        "output_tooltips": [None],
    }


def test_english_files_take_names_tooltips_and_menu_from_the_nodes_of_this_pack_alone() -> None:
    files = english({"Other": {}, "SEDIC_Load": entry()})
    assert files["main"] == {"nodeCategories": {"SEDIC": "SEDIC", "file": "file"}}
    assert files["nodeDefs"] == {
        "SEDIC_Load": {
            "display_name": "Load",
            "description": "Loads.",
            "inputs": {"image": {"name": "image", "tooltip": "The picture."}, "size": {"name": "size"}},
            "outputs": {"0": {"name": "IMAGE"}},
        }
    }


@pytest.mark.parametrize("sign", ["{0}", "a | b", "me@home"])
def test_a_tooltip_that_the_front_end_would_misread_is_an_error_that_names_it(sign: str) -> None:
    with pytest.raises(LocaleError, match=r"SEDIC_Load\.inputs\.image\.tooltip"):
        english({"SEDIC_Load": entry(sign)})


def test_command_writes_the_files_and_names_the_texts_that_changed(tmp_path, monkeypatch, capsys) -> None:
    class Running:
        """Stands for a server whose one node is :func:`entry`'s."""

        url = ""

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def object_info(self) -> dict:
            return {"SEDIC_Load": entry()}

    monkeypatch.setattr("headless.locales.FOLDER", tmp_path)
    monkeypatch.setattr("headless.locales.Server", Running)
    monkeypatch.setattr("headless.locales.Client", lambda _: Running())
    (tmp_path / "de").mkdir()
    assert main() == 0
    assert read(SOURCE) == dict(texts(english({"SEDIC_Load": entry()})))
    capsys.readouterr()
    path = tmp_path / SOURCE / "nodeDefs.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    tree["SEDIC_Load"] |= {"description": "Old.", "inputs": {"gone": {"name": "gone"}}}
    path.write_text(json.dumps(tree), encoding="utf-8")
    assert main() == 0
    said = capsys.readouterr().out
    assert "In de, say anew:" in said
    assert "nodeDefs.SEDIC_Load.description" in said
    assert "nodeDefs.SEDIC_Load.inputs.gone.name" in said.split("take out:")[1]
    assert main() == 0
    assert capsys.readouterr().out == ""
