"""The bench of the restorer: what is compared is what it says, and nothing is done twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.bench import restoration
from sedic.bench.restoration import plan_and_tools, special, tables
from sedic.bench.restoration.scenes import held_out
from sedic.errors import SedicError
from sedic.evaluation import kept
from sedic.evaluation.intervals import bootstrap, jackknife
from sedic.evaluation.measured import Measured
from sedic.evaluation.scenes import Scene, described, spread
from sedic.evaluation.variants import CODECS, VARIANTS, Case, bytes_of, chosen, donors, swapped_words
from sedic.restoration.settings import Settings
from sedic.semantics import SceneObject, Semantics
from tests.restoration.toy import ToyModels

SETTINGS = Settings(object_steps=2, overall_steps=2)
LONG = "one two three four five six seven eight nine ten eleven twelve"


def scene(name: str, objects: int = 3, side: int = 192) -> Scene:
    y, x = np.mgrid[0:side, 0:256] * (255 / 256)
    pixels = np.stack([x, y, np.roll(x, len(name) * 20, 1)], -1).astype(np.uint8)
    found = []
    for j in range(objects):
        mask = np.zeros((side, 256), bool)
        mask[64:128, 64 * j : 64 * (j + 1)] = True
        found.append(SceneObject(f"{name} {j}", f"{name} {j} {LONG}", mask))
    return Scene(name, pixels, Semantics(f"all of {name}", tuple(found)))


@pytest.fixture
def case() -> Case:
    return Case(scene("barn"), scene("lake"), ToyModels(), SETTINGS)


@pytest.mark.parametrize("color_fix", [False, True])
def test_shared_stages_give_the_picture_of_a_decode_from_the_start(color_fix):
    case = Case(scene("barn"), scene("lake"), ToyModels(), replace(SETTINGS, color_fix=color_fix))
    assert np.array_equal(VARIANTS["final"](case).pixels, case.decoded(case.file))
    alone = replace(case.file, semantics=Semantics("", case.file.semantics.objects[:2]))
    assert np.array_equal(VARIANTS["row 4"](case).pixels, case.decoded(alone))


def test_a_shared_last_stage_that_looks_at_the_reference_sees_the_true_one():
    case = Case(scene("barn"), scene("lake"), ToyModels(), replace(SETTINGS, condition="reference"))
    assert np.array_equal(VARIANTS["final"](case).pixels, case.decoded(case.file))


def test_swapped_words_are_another_pictures_and_the_masks_stay(case):
    file = case.saying(swapped_words(case.scene, case.donor))
    assert file.semantics.overall == "all of lake"
    assert [o.name for o in file.semantics.objects] == ["lake 0", "lake 1", "lake 2"]
    assert file.semantics.objects[1].detail == f"lake 1 {LONG}"
    for o, own in zip(file.semantics.objects, case.file.semantics.objects, strict=True):
        assert np.array_equal(o.mask, own.mask)
    VARIANTS["swapped words"](case)
    asked = {text for text, *_ in case.models.conditions}
    assert asked == {f"lake {j} {LONG}" for j in range(3)} | {"all of lake"}


def test_variants_hold_what_their_names_say(case):
    def asked(name: str) -> list[str]:
        own = Case(case.scene, case.donor, ToyModels(), SETTINGS)
        VARIANTS[name](own)
        return [text for text, *_ in own.models.conditions]

    assert asked("row 1") == [*(f"barn {j} {LONG}" for j in range(3)), "all of barn"]
    assert asked("equal bytes, no objects") == ["all of barn"]
    assert asked("row 3")[-1] == ""
    assert f"barn 0 {' '.join(LONG.split()[:8])}" in asked("row 8")  # ten words with the name's two
    own = Case(case.scene, case.donor, ToyModels(), SETTINGS)
    VARIANTS["row 7"](own)
    assert np.allclose(own.models.conditions[0][3], 128 / 255)  # the first stage is conditioned on grey
    held = Case(case.scene, case.donor, ToyModels(), replace(SETTINGS, color_fix=True))
    assert np.array_equal(VARIANTS["row 7"](held).pixels, VARIANTS["row 7"](own).pixels)  # grey is no reference
    VARIANTS["unguided"](case)
    assert not any(denoiser.attention_at for denoiser in case.models.denoisers)


def test_equal_bytes_are_at_most_the_files_and_buy_a_better_reference(case):
    full, other = VARIANTS["final"](case), VARIANTS["equal bytes, no objects"](case)
    assert VARIANTS["reference"](case).bytes < other.bytes <= full.bytes
    assert VARIANTS["row 1"](case).bytes < VARIANTS["row 2"](case).bytes < full.bytes


def test_codecs_of_the_reference_get_the_same_bytes_and_words(case):
    empty = bytes_of(case.saying(Semantics())) - len(case.file.reference)
    pictures = []
    for codec in CODECS:
        before = len(case.models.conditions)
        result = VARIANTS[f"{codec} final"](case)
        reference = result.bytes - bytes_of(case.file) + len(case.file.reference)
        assert 0.7 * 18 * 192 * 256 / 8000 < reference <= 18 * 192 * 256 // 8000 + empty
        asked = [text for text, *_ in case.models.conditions[before:]]
        assert asked == [*(f"barn {j} {LONG}" for j in range(3)), "all of barn"]
        pictures.append(VARIANTS[f"{codec} reference"](case).pixels)
    assert not np.array_equal(*pictures)


def test_donors_have_other_words_and_as_many_objects():
    some = [scene("a", 1), scene("bb", 3), scene("ccc", 2), scene("dddd", 3)]
    assert [donor.name for donor in donors(some)] == ["bb", "dddd", "dddd", "bb"]


def test_every_beginning_of_the_order_is_spread():
    names = [Path(f"{n:03}") for n in range(100)]
    for count in (5, 10, 25):
        places = sorted(int(path.name) for path in spread(names)[:count])
        assert max(np.diff([-1, *places, 100])) <= 2.7 * 100 / count
    assert sorted(spread(names)) == names


def test_results_are_kept_and_done_again_only_when_something_changed(tmp_path):
    variants = [kept.ORIGINAL, special.AUTOENCODER, special.ENERGY, *chosen(["main"])]
    (task,) = kept.tasks([scene("barn")], tmp_path, variants)
    plan, tools = plan_and_tools()
    plan = replace(plan, settings=SETTINGS)
    first = ToyModels()
    kept.perform(task, "key", first, plan, tools)
    assert first.conditions
    row = kept.read(task, "final")
    assert row is not None
    assert row["windows"].shape == (3 * 4, 120)
    assert kept.read(task, kept.ORIGINAL)["windows"].shape == (3 * 4, 120)
    assert kept.read(task, special.ENERGY)["energies"].shape == (3, 2, 2)
    assert kept.picture_of(task, "object 3").is_file()
    again = ToyModels()
    kept.perform(task, "key", again, plan, tools)
    assert not again.conditions
    kept.perform(task, "another key", again, plan, tools)
    assert again.conditions


def test_the_fingerprint_changes_with_the_settings():
    assert kept.fingerprint(SETTINGS) == kept.fingerprint(Settings(object_steps=2, overall_steps=2))
    assert kept.fingerprint(SETTINGS) != kept.fingerprint(Settings())


def test_a_known_sample_has_the_known_interval():
    # The mean of n bits is binomial: with 100 of which 50 are 1, 95% lie within 40 … 60.
    found = bootstrap([0.0, 1.0] * 50)
    assert (found.mean, found.low, found.high) == (0.5, pytest.approx(0.4), pytest.approx(0.6))
    assert found.settled
    assert not bootstrap([-1.0, 1.0] * 20).settled
    assert bootstrap([0.0, 1.0] * 50) == found


def test_the_jackknife_of_a_mean_is_its_standard_error():
    parts = [np.array([[value]]) for value in np.random.default_rng(0).normal(size=30)]
    whole, error = jackknife([parts], lambda rows: float(rows.mean()))
    values = np.concatenate(parts)
    assert whole == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / 30**0.5)


def row(distance: float, **more: object) -> dict[str, object]:
    random = np.random.default_rng(int(distance * 1000))
    figures = {
        "key": "", "donor": "", "bytes": 300, "pixels": 49152, "psnr": 20 + distance, "ms_ssim": 0.7,
        "ssimulacra2": -50 - distance,
        "distance": distance, "windows": random.normal(distance, 1, (60, 120)), "patches": random.normal(size=(60, 36)),
    }  # fmt: skip
    return figures | more


def test_tables_say_worse_only_where_the_interval_does(tmp_path):
    todo = kept.tasks([scene(f"p{n}") for n in range(8)], tmp_path, [])
    for n, task in enumerate(todo):
        task.folder.mkdir(parents=True)
        for name, distance in (
            ("final", 0.5 + n / 100), ("reference", 0.9), ("original", 0.0), ("swapped words", 0.6 + n / 100),
            ("unguided", 0.5 + n / 100 + (-1) ** n / 20),
        ):  # fmt: skip
            np.savez(task.folder / f"{name.replace(' ', '-')}.npz", **row(distance))
    text = "\n".join(tables.effects(Measured(todo)))
    assert "+0.1000 (+0.1000 … +0.1000) | worse |" in text
    assert "no difference shown |" in text
    assert "Table VII" not in text  # nobody measured it
    text = "\n".join(tables.main(Measured(todo)))
    assert "| 0.900 | 0.535 | -0.365" in text
    assert "480 windows" in text
    assert "SSIMULACRA2 8 of 8" in text
    assert not list(tables.contents(Measured(todo)))


def test_a_figure_that_a_small_picture_has_not_is_a_dash(tmp_path):
    (task, other) = todo = kept.tasks([scene("p"), scene("q")], tmp_path, [])
    for picture in (task, other):
        picture.folder.mkdir(parents=True)
        for name in ("final", "reference", "original"):
            np.savez(picture.folder / f"{name}.npz", **row(0.5, ms_ssim=float("nan")))
    lines = list(tables.main(Measured(todo)))
    assert [line.split(" | ", 1)[1] for line in lines if "MS-SSIM" in line] == ["– | – | | |"]
    assert "nan" not in "".join(lines)


def test_the_table_of_codecs_compares_each_with_the_last(tmp_path):
    todo = kept.tasks([scene(f"p{n}") for n in range(8)], tmp_path, [])
    for task in todo:
        task.folder.mkdir(parents=True)
        for number, codec in enumerate(CODECS):
            for what, distance in (("reference", 0.9), ("final", 0.7)):
                np.savez(task.folder / f"{codec}-{what}.npz", **row(distance - number / 10))
    first, last = list(tables.references(Measured(todo)))[-2:]
    assert first.startswith("| av1 |")
    assert "| 0.900 / -0.100 (-0.100 … -0.100) | 20.90 / -0.10" in first
    assert "| 0.600 | 20.60 | 0.7000 |" in last


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(scene("x").pixels).save(tmp_path / "a.webp")
    counts = [64 * 192, 128 * 192, 64 * 192]  # columns 64 to 192
    rle = {"size": [192, 256], "counts": counts}
    objects = [{"name": name, "mask_rle": rle} for name in ("cat", "region")]
    line = {"file": "a.webp", "captions": ["A cat."], "objects": objects, "masks_known": True}
    bare = {"file": "b.webp", "captions": [], "objects": [], "masks_known": False}
    (tmp_path / "annotations.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(bare)}\n")
    Image.fromarray(scene("x").pixels).save(tmp_path / "b.webp")
    return tmp_path


def test_held_out_pictures_get_words_and_masks_of_their_own(folder):
    first, second = sorted(held_out(folder, 5), key=lambda s: s.name)
    names = [o.name for o in first.semantics.objects]
    assert len(names) == 1  # the region lies below the cat: nothing of it is left
    assert names[0].endswith("cat")
    assert first.semantics.objects[0].mask.mean() == 0.5
    assert first.semantics.overall.startswith("A cat, ")
    assert second.semantics.overall


def test_what_cannot_be_measured_is_told(tmp_path, folder):
    with pytest.raises(SedicError, match="nothing to measure"):
        restoration.measure(restoration.Options(None, None, tmp_path))
    with pytest.raises(SedicError, match="^contents: measured of held-out pictures; give --heldout"):
        restoration.measure(restoration.Options(None, folder, tmp_path, only=("references", "contents")))
    marks = tmp_path / "page.md"
    marks.write_text("no marks")
    with pytest.raises(SedicError, match="no part between"):
        restoration.measure(restoration.Options(folder, None, tmp_path, markdown=marks))
    with pytest.raises(SedicError, match="annotations"):
        held_out(tmp_path / "nowhere", 1)
    with pytest.raises(SedicError, match=r"holds no NAME\.png"):
        described(folder, 1, 64)


def test_the_page_keeps_what_people_wrote(tmp_path, folder, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured -->\nold\n<!-- /measured -->\nbehind\n")
    monkeypatch.setattr(kept, "run", lambda *_: iter(()))
    monkeypatch.setattr(tables, "effects", lambda _: iter(["a table"]))
    restoration.measure(restoration.Options(folder, None, tmp_path / "out", only=["words"], markdown=page))
    text = page.read_text()
    assert text.startswith("before\n<!-- measured -->\n")
    assert text.endswith("<!-- /measured -->\nbehind\n")
    assert "a table" in text
    assert "old" not in text
