"""The file: whole ones come back, damaged ones say where, nothing but BitstreamError comes out."""

from __future__ import annotations

import dataclasses
import doctest
import json
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sedic.bitstream
from sedic.bitstream import BitstreamError, Hints, SedicFile, mask, stream, text
from sedic.bitstream.header import crc8
from sedic.bitstream.sections import frame, unframe
from sedic.semantics import SceneObject, Semantics, read_mask

from . import golden
from .scenes import barn, contents, ellipse, small


def test_the_round_trips_in_the_docstrings_run():
    for module, least in ((sedic.bitstream, 10), (stream, 6), (mask, 8), (text, 4)):
        result = doctest.testmod(module)
        assert result.attempted >= least
        assert result.failed == 0


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def files(draw) -> SedicFile:
    width, height = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    objects = []
    for _ in range(draw(st.integers(0, 7))):
        drawn = random.random((height, width)) < random.random() if draw(st.booleans()) else None
        objects.append(SceneObject(draw(texts), draw(texts), drawn))
    steps = st.none() | st.integers(1, 10000)
    coders = [draw(st.sampled_from(sorted(kind.CODERS.names))) for kind in (text, mask)]
    return SedicFile(
        width,
        height,
        draw(st.integers(0, 31)),
        draw(st.integers(0, 255)),
        draw(st.binary(max_size=30)),
        Semantics(draw(texts), tuple(objects)),
        draw(st.sampled_from([b"", b"abcd"])),
        Hints(draw(st.integers(0, 2**64 - 1)), draw(steps), draw(steps), draw(st.booleans())),
        text_coder=coders[0],
        mask_coder=coders[1],
    )


@settings(max_examples=40, deadline=None)
@given(files())
def test_any_file_comes_back_and_a_decoded_one_is_written_the_same(file):
    data = file.to_bytes()
    again = SedicFile.from_bytes(data)
    assert again.missing == ""
    rebuilt = dataclasses.replace(again)  # without what the reader remembers
    assert rebuilt.to_bytes() == data
    without_masks = [
        contents(f)[:-1] + [(o.name, o.detail, o.mask is None) for o in f.semantics.objects] for f in (file, again)
    ]
    assert without_masks[0] == without_masks[1]


def test_masks_come_back_of_the_pictures_size_and_the_earlier_object_keeps_shared_pixels():
    left, right = ellipse(203, 150, 60, 60, 50, 40), ellipse(203, 150, 100, 60, 50, 40)
    objects = (SceneObject("a", "", left), SceneObject("b", "", right))
    first, second = SedicFile.from_bytes(barn(semantics=Semantics("", objects)).to_bytes()).semantics.objects
    np.testing.assert_array_equal(first.mask, left)
    np.testing.assert_array_equal(second.mask, right & ~left)
    assert first.mask.dtype == bool


def test_a_pixel_counts_for_the_earlier_object_only():
    first, second = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    first[:3] = second[:5] = True  # of the cell's eight rows, two are the second's alone
    words = Semantics("", (SceneObject("a", "", first), SceneObject("b", "", second)))
    decoded = SedicFile.from_bytes(SedicFile(8, 8, 1, 1, b"", words, mask_coder=1).to_bytes())
    assert [bool(o.mask.any()) for o in decoded.semantics.objects] == [False, False]


def whole_sections(data: bytes) -> list[tuple[int, str]]:
    """Where each section of a whole file ends."""
    end, ends = 0, []
    for section in SedicFile.from_bytes(data).sections:
        end += section.bytes
        ends.append((end, section.name))
    assert end == len(data)
    return ends


def test_truncated_file_decodes_to_last_whole_section():
    data = small().to_bytes()
    ends = whole_sections(data)
    expected = contents(small())
    for length in range(ends[0][0], len(data)):
        part = SedicFile.from_bytes(data[:length])
        arrived = [name for end, name in ends if end <= length]
        assert [s.name for s in part.sections] == arrived
        assert sum(s.bytes for s in part.sections) == max(end for end, _ in ends if end <= length)
        assert repr(ends[len(arrived)][1]) in part.missing
        assert "cut off" in part.missing
        assert part.reference == (expected[-3] if len(arrived) > 1 else None)
        assert part.semantics.overall == (expected[-2] if len(arrived) > 2 else "")
        assert contents(part)[-1] == expected[-1][: max(0, len(arrived) - 3)]


def test_file_cut_in_its_header_is_refused():
    data = (golden.FOLDER / "v1.sedic").read_bytes()
    for length in range(whole_sections(data)[0][0]):
        with pytest.raises(BitstreamError, match=r"ends within its header|not a \.sedic file"):
            SedicFile.from_bytes(data[:length])


def test_every_flipped_bit_is_noticed_and_its_section_named():
    data = small().to_bytes()
    ends = whole_sections(data)
    for position in range(0, len(data) * 8, 3):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        hit = next(name for end, name in ends if position // 8 < end)
        try:
            part = SedicFile.from_bytes(bytes(damaged))
        except BitstreamError:
            assert hit == "header"
        else:
            assert repr(hit) in part.missing
            assert [s.name for s in part.sections] == [name for _, name in ends][: len(part.sections)]


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 60), st.booleans())
@example(b"", 0, False)
@example(b"SDC\x02", 0, False)
def test_any_bytes_give_a_file_or_bitstream_error(tail, kept, sound_header):
    start = barn().to_bytes()[: max(kept, 12)] if sound_header else b""
    try:
        file = SedicFile.from_bytes(start + tail)
    except BitstreamError:
        return
    assert file.missing


def test_most_damage_behind_a_fitting_check_value_is_noticed():
    data = small().to_bytes()
    ends = {name: end for end, name in whole_sections(data)}
    start, end = ends["overall"], ends["object1"]
    unnoticed = 0
    for value in range(1, 256, 11):
        payload = bytearray(data[start + 1 : end - 1])
        payload[1] ^= value
        check = zlib.crc32(b"\x02" + payload) & 255
        forged = data[: start + 1] + payload + bytes([check]) + data[end:]
        unnoticed += "object1" not in SedicFile.from_bytes(forged).missing
    assert unnoticed < 12


@pytest.mark.parametrize("section", ["overall", "object1", "object2"])
@pytest.mark.parametrize("tail", [b"\0", b"\0\0\0\0\0", b"\x01"])
def test_bytes_that_say_the_same_in_another_way_are_damage(section, tail):
    data = small().to_bytes()
    ends = [(0, ""), *whole_sections(data)]
    number = [name for _, name in ends].index(section)
    start, end = ends[number - 1][0], ends[number][0]
    payload, _ = unframe(data, start, number - 2)
    forged = data[:start] + frame(payload + tail, number - 2) + data[end:]
    assert repr(section) in SedicFile.from_bytes(forged).missing


def test_bytes_behind_the_end_are_told():
    file = SedicFile.from_bytes(barn().to_bytes() + b"xyz")
    assert "3 bytes behind" in file.missing
    assert len(file.semantics.objects) == 3


def test_a_file_read_in_part_is_written_as_that_part():
    data = barn().to_bytes()
    end = whole_sections(data)[3][0]
    assert SedicFile.from_bytes(data[: end + 2]).to_bytes() == data[:end]


def test_other_files_newer_versions_and_unknown_coders_say_what_to_do():
    with pytest.raises(BitstreamError, match=r"not a \.sedic file"):
        SedicFile.from_bytes(b"\x89PNG\r\n")
    with pytest.raises(BitstreamError, match="version 2.*update"):
        SedicFile.from_bytes(b"SDC\x02rest")
    header = bytearray(barn().to_bytes()[:12])
    header[10] |= 128  # all numbers of coders are known by now
    header[11] = crc8(header[:11])
    with pytest.raises(BitstreamError, match="coders.*update"):
        SedicFile.from_bytes(bytes(header))


def test_a_fingerprint_of_one_byte_takes_one_and_is_read_again():
    plain, short, long = (barn(fingerprint=f).to_bytes() for f in (b"", b"\xe8", b"\1\2\3\4"))
    assert len(short) == len(plain) + 1
    assert len(long) == len(plain) + 4
    assert SedicFile.from_bytes(short).fingerprint == b"\xe8"
    both = bytearray(long)
    both[8] |= 128  # two fingerprints at once
    end = 8 + 3 + 5
    both[end] = crc8(bytes(both[:end]))
    with pytest.raises(BitstreamError, match="update"):
        SedicFile.from_bytes(bytes(both))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "0×150"),
        ({"width": 16385}, "16385×150"),
        ({"width": 16384, "height": 8192}, "134217728 pixels"),
        ({"codec_id": 32}, "codec's id is 32"),
        ({"quality": 256}, "quality is 256"),
        ({"reference": None}, "no reference"),
        ({"reference": bytes((1 << 20) + 1)}, "1048577 bytes"),
        ({"fingerprint": b"abc"}, "3 bytes"),
        ({"hints": Hints(seed=-1)}, "seed is -1"),
        ({"hints": Hints(object_steps=0)}, "object steps is 0"),
        ({"hints": Hints(overall_steps=10001)}, "overall steps is 10001"),
        ({"semantics": Semantics("", [SceneObject("x")] * 8)}, "objects is 8"),
        ({"semantics": Semantics("x" * 4097)}, "4097 characters"),
        (
            {"semantics": Semantics("", [SceneObject("x", "", np.ones((203, 150), bool))])},
            "mask of object 1 is 150×203",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_value(changes, message):
    with pytest.raises(BitstreamError, match=message):
        barn(**changes).to_bytes()


def test_sections_tell_where_the_bytes_go():
    file = barn()
    sections = file.sections
    assert [s.name for s in sections] == ["header", "reference", "overall", "object1", "object2", "object3"]
    assert sum(s.bytes for s in sections) == len(file.to_bytes())
    assert sections[1].bytes == 40 + 2
    for section in sections[3:]:
        assert section.text_bytes + section.mask_bytes + 2 == section.bytes
    assert sections[3].mask_bytes > 3
    assert file.bits_per_pixel == pytest.approx(len(file.to_bytes()) * 8 / (203 * 150))


def framing(file: SedicFile) -> int:
    payloads = len(file.reference) + sum(s.text_bytes + s.mask_bytes for s in file.sections[3:])
    overall = file.sections[2].bytes - 2
    return len(file.to_bytes()) - payloads - overall


def test_header_and_framing_take_at_most_24_bytes_with_three_objects(shared_data):
    for path in sorted((shared_data / "kodak").glob("kodim??.json")):
        words = json.loads(path.read_text(encoding="utf-8"))
        objects = [SceneObject(o["name"], o["detail"], read_mask(path.parent / o["mask"])) for o in words["objects"]]
        size, semantics = objects[0].mask.shape[::-1], Semantics(words["overall"], objects)
        file = SedicFile(*size, 1, 40, bytes(890), semantics, mask_choice=mask.MaskChoice(8))  # no search for cells
        assert len(objects) == 3
        assert framing(file) <= 24


def test_header_and_framing_of_a_kodak_picture_take_23_bytes():
    objects = [
        SceneObject("red door", "Tall door of oak.", ellipse(768, 512, 90 + 200 * j, 250, 70, 90)) for j in range(3)
    ]
    file = SedicFile(768, 512, 1, 18, bytes(890), Semantics("A house.", objects))
    assert [framing(file), file.sections[0].bytes] == [23, 12]
    assert SedicFile.from_bytes(file.to_bytes()).sections == file.sections


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "barn.sedic"
    barn().write(path)
    before = path.read_bytes()
    assert contents(SedicFile.read(path))[-2] == barn().semantics.overall

    with pytest.raises(BitstreamError, match="no reference"):
        barn(reference=None).write(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(BitstreamError, match="No space left"):
        barn(quality=1).write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_unreadable_paths_say_what_to_do(tmp_path):
    with pytest.raises(BitstreamError, match=r"none\.sedic cannot be read"):
        SedicFile.read(tmp_path / "none.sedic")
    with pytest.raises(BitstreamError, match="cannot be written"):
        barn().write(tmp_path / "no folder" / "barn.sedic")


def test_a_file_read_and_changed_keeps_the_grids_that_it_was_read_with():
    data = barn().to_bytes()
    again = SedicFile.from_bytes(data)
    changed = dataclasses.replace(again, hints=Hints(seed=7))
    assert "mask" not in vars(again.semantics.objects[0])  # nobody has asked for it
    restored = dataclasses.replace(SedicFile.from_bytes(changed.to_bytes()), hints=Hints())
    assert restored.to_bytes() == data


def test_unknown_coders_are_refused_by_the_writer_with_those_there_are():
    with pytest.raises(BitstreamError, match=r"no text coder 9; known are .*1 \(trigram\)"):
        barn(text_coder=9).to_bytes()
    with pytest.raises(BitstreamError, match=r"no mask coder -1; known are .*1 \(tree\)"):
        barn(mask_coder=-1).to_bytes()
