"""Words and masks come in and go out unchanged, limits cut with a word about it, and errors say what to do."""

from __future__ import annotations

import json
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.semantics import Limits, SceneObject, Semantics, SemanticsError, disjoint, limit_words, read_mask


def save_mask(path: Path, mask: np.ndarray) -> None:
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


def half(height: int = 6, width: int = 8) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[:, : width // 2] = True
    return mask


def test_json_and_masks_come_back_as_they_were_written(tmp_path):
    semantics = Semantics("A barn — 谷仓.", (SceneObject("red barn", "old «barn»", half()), SceneObject("pond")))
    save_mask(tmp_path / "barn.png", half())
    (tmp_path / "s.json").write_text(semantics.to_json(["barn.png"]), encoding="utf-8")
    again = Semantics.read(tmp_path / "s.json", (8, 6))
    assert again.overall == semantics.overall
    assert [(o.name, o.detail) for o in again.objects] == [("red barn", "old «barn»"), ("pond", "")]
    np.testing.assert_array_equal(again.objects[0].mask, half())
    assert again.objects[1].mask is None


def test_objects_and_overall_may_be_absent():
    assert Semantics.from_json("{}") == Semantics()
    assert Semantics.from_json('{"overall": " a pond "}').overall == "a pond"


def test_masks_are_left_out_without_a_folder():
    assert Semantics.from_json('{"objects": [{"name": "barn", "mask": "barn.png"}]}').objects[0].mask is None


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / "s.json").write_text('{"overall": "a pond"}', encoding="utf-8-sig")
    assert Semantics.read(tmp_path / "s.json").overall == "a pond"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not json", "not JSON"),
        ("[]", '"objects"'),
        ('{"objects": {}}', '"objects"'),
        ('{"objects": ["barn"]}', "Object 1"),
        ('{"objects": [{"name": "a"}, {"detail": "b"}]}', "Object 2"),
        ('{"objects": [{"name": " "}]}', '"name"'),
        ('{"objects": [{"name": 5}]}', "object 1 is 5"),
        ('{"objects": [{"name": "a", "detail": []}]}', '"detail" of object 1'),
        ('{"objects": [{"name": "a", "mask": 7}]}', '"mask" of object 1'),
        ('{"overall": null}', '"overall" of the semantics'),
        ("[" * 100_000, "not JSON"),
        ('{"overall": ' + "1" * 5000 + "}", "semantics"),
    ],
)
def test_each_wrong_field_is_named(text, told, tmp_path):
    with pytest.raises(SemanticsError) as caught:
        Semantics.from_json(text, tmp_path)
    assert told in str(caught.value)


def test_missing_or_binary_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00\xd8")
    for name in ("absent.json", "binary.json", "."):
        with pytest.raises(SemanticsError, match="cannot be read"):
            Semantics.read(tmp_path / name)


def test_limits_cut_at_words_and_say_how_much():
    many = tuple(SceneObject(name, "one two three four") for name in ("a b c", "d", "e", "f"))
    with pytest.warns(UserWarning, match="allowed") as caught:
        cut = Semantics("v w x y z", many).limited(Limits(objects=3, name_words=2, detail_words=3, overall_words=4))
    assert cut.overall == "v w x y"
    assert [o.name for o in cut.objects] == ["a b", "d", "e"]
    assert {o.detail for o in cut.objects} == {"one two three"}
    told = " ".join(str(w.message) for w in caught)
    assert "left out f" in told
    assert "overall text has 5 words, 4 allowed: 1 cut" in told
    assert "name of object 1 has 3 words, 2 allowed: 1 cut" in told


def test_text_within_the_limits_is_kept_in_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert limit_words("  a   b\nc ", 3, "overall text") == "a b c"
        semantics = Semantics("a b", (SceneObject("c", "d", half()),))
        limited = semantics.limited()
    assert limited.overall == "a b"
    np.testing.assert_array_equal(limited.objects[0].mask, half())


def test_default_limits_are_the_papers():
    limits = Limits()
    assert (limits.objects, limits.detail_words, limits.overall_words) == (3, 30, 50)


@pytest.mark.parametrize(
    ("name", "detail", "prompt"),
    [
        ("barn", "", "barn"),
        ("barn", "weathered red barn with a roof", "weathered red barn with a roof"),
        ("Red Barn", "a red barn", "a red barn"),
        ("barn", "weathered wood", "barn, weathered wood"),
        ("tree", "a street at night", "tree, a street at night"),
        ("C++ (book)", "a C++ (book) on a desk", "a C++ (book) on a desk"),
    ],
)
def test_prompt_holds_the_name_as_words_of_its_own(name, detail, prompt):
    assert SceneObject(name, detail).prompt == prompt


def test_mask_is_true_above_half_in_any_mode(tmp_path):
    levels = np.repeat(np.array([[0, 127, 128, 255]], np.uint8), [30, 1, 1, 30], axis=1)  # an edge two pixels wide
    for mode in ("L", "RGB", "RGBA"):
        Image.fromarray(levels).convert(mode).save(tmp_path / "m.png")
        assert read_mask(tmp_path / "m.png").tolist() == [[False] * 31 + [True] * 31]
    Image.fromarray(levels > 127).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", (62, 1)).tolist() == [[False] * 31 + [True] * 31]


def test_mask_of_another_size_is_an_error_naming_both(tmp_path):
    save_mask(tmp_path / "m.png", half(6, 8))
    with pytest.raises(SemanticsError, match=r"8×6, the picture 9×6"):
        read_mask(tmp_path / "m.png", (9, 6))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def broken_inside() -> bytes:
    """A PNG whose second chunk of pixels has no readable name."""
    rows = zlib.compress(np.random.default_rng(0).integers(0, 256, (64, 65), np.uint8).tobytes())
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows[:100]) + chunk(b"\0\0\0\0", rows[100:])


@pytest.mark.parametrize("content", [None, b"", b"GIF89a", broken_inside()], ids=["absent", "empty", "cut", "broken"])
def test_unreadable_mask_is_an_error_that_names_it(content, tmp_path):
    if content is not None:
        (tmp_path / "m.png").write_bytes(content)
    with pytest.raises(SemanticsError, match=r"m\.png cannot be read"):
        read_mask(tmp_path / "m.png")


def test_a_pixel_belongs_to_the_first_object_that_claims_it():
    whole = np.ones((6, 8), bool)
    first, unknown, second = disjoint([SceneObject("a", mask=half()), SceneObject("b"), SceneObject("c", mask=whole)])
    np.testing.assert_array_equal(first.mask, half())
    assert unknown.mask is None
    np.testing.assert_array_equal(second.mask, ~half())
    assert whole.all(), "the caller's mask is left as it was"


def test_json_has_the_documented_form():
    text = Semantics("both", (SceneObject("a", "b"), SceneObject("c"))).to_json([None, "c.png"])
    assert json.loads(text) == {
        "objects": [{"name": "a", "detail": "b"}, {"name": "c", "detail": "", "mask": "c.png"}],
        "overall": "both",
    }
