"""A mask is read as its tool meant it, from a file, a picture, an array or a tensor; or one sentence says how."""

from __future__ import annotations

import io
import json
import warnings

import numpy as np
import pytest
from PIL import Image, ImageFilter

from sedic.picture import PictureError, read_mask
from sedic.picture.masks import odd_masks
from sedic.semantics import SceneObject, Semantics, SemanticsError

from .made import png, tiff

HEIGHT, WIDTH = 80, 120
INSIDE = np.zeros((HEIGHT, WIDTH), bool)
INSIDE[20:60, 30:80] = True
U8 = INSIDE.astype(np.uint8)
PHOTO = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
ROUND = ((np.mgrid[:HEIGHT, :WIDTH] - np.array([40, 60])[:, None, None]) ** 2).sum(0) < 30**2


def heard(source, size=(WIDTH, HEIGHT), **options) -> tuple[np.ndarray, str]:
    """The mask and everything that was told."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mask = read_mask(source, size, **options)
    assert mask.dtype == bool
    return mask, " ".join(str(w.message) for w in told if issubclass(w.category, UserWarning))


def palette(numbers: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(numbers.astype(np.uint8))
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([level for colour in colours for level in colour])
    return image


def coloured(colour: tuple[int, int, int]) -> np.ndarray:
    return U8[..., None] * np.array(colour, np.uint8)


def with_alpha(colours: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([colours, alpha]).astype(np.uint8))


SILENT = {
    "white on black": Image.fromarray(U8 * 255),
    "one bit": Image.fromarray(INSIDE),
    "labels 0 and 1": Image.fromarray(U8),
    "label 7": Image.fromarray(U8 * 7),
    "faint": Image.fromarray(U8 * 114),
    "sixteen bits": Image.fromarray(U8.astype(np.uint16) * 65535),
    "sixteen bits, label 1": Image.fromarray(U8.astype(np.uint16)),
    "instance 40000": Image.fromarray(U8.astype(np.uint16) * 40000),
    "integers of 32 bits": Image.fromarray(U8.astype(np.int32)),
    "floats 0 and 1": Image.fromarray(U8.astype(np.float32)),
    "floats 0 and 255": Image.fromarray(U8.astype(np.float32) * 255),
    "red": Image.fromarray(coloured((255, 0, 0))),
    "dark blue": Image.fromarray(coloured((0, 0, 90))),
    "label colours of VOC": palette(U8, (0, 0, 0), (128, 0, 0)),
    "palette, white first": palette(1 - U8, (255, 255, 255), (0, 0, 0)),
    "palette, white second": palette(U8, (0, 0, 0), (255, 255, 255)),
    "palette, red before black": palette(1 - U8, (255, 0, 0), (0, 0, 0)),
    "white with alpha": with_alpha(np.full((HEIGHT, WIDTH, 3), 255), U8 * 255),
    "black with alpha": with_alpha(np.zeros((HEIGHT, WIDTH, 3)), U8 * 255),
    "cut-out": with_alpha(PHOTO, U8 * 255),
    "half transparent cut-out": with_alpha(PHOTO, U8 * 128),
    "grey and alpha": Image.merge("LA", (Image.new("L", (WIDTH, HEIGHT), 255), Image.fromarray(U8 * 255))),
    "white on black, opaque": with_alpha(coloured((255, 255, 255)), np.full((HEIGHT, WIDTH), 255)),
    "video levels": Image.fromarray(U8 * 219 + np.uint8(16)),
}
TOLD = {
    "several labels": (Image.fromarray(U8 * (1 + (np.mgrid[:HEIGHT, :WIDTH][1] > 50)).astype(np.uint8)),
                       "holds 2 labels (1, 2): all but 0 are taken as inside"),
    "several colours": (palette(U8 * (1 + (np.mgrid[:HEIGHT, :WIDTH][1] > 50)), (0, 0, 0), (128, 0, 0), (0, 128, 0)),
                        "holds 2 colours"),
    "numbers without colours": (palette(U8, (0, 0, 0), (0, 0, 0)), "all but number 0 are taken as inside"),
    "grey on white": (Image.fromarray(100 + U8 * 100), "has no black"),
    "red on white": (Image.fromarray(np.where(INSIDE[..., None], (255, 0, 0), 255).astype(np.uint8)), "has no black"),
    "a hole in a photograph": (with_alpha(PHOTO, 255 - U8 * 255), "the transparent hole is taken as inside"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SILENT)
def test_what_tools_write_is_read_in_silence(kind, tmp_path):
    image = SILENT[kind]
    path = tmp_path / ("m.tif" if image.mode in "IF" else "m.png")
    image.save(path)
    for source in (image, path, path.open("rb")):
        mask, told = heard(source)
        np.testing.assert_array_equal(mask, INSIDE)
        assert not told


@pytest.mark.parametrize("kind", TOLD)
def test_what_can_be_read_otherwise_is_told(kind, tmp_path):
    image, wanted = TOLD[kind]
    image.save(tmp_path / "m.png")
    mask, told = heard(tmp_path / "m.png")
    np.testing.assert_array_equal(mask, INSIDE)
    assert wanted in told
    assert "m.png" in told


def test_smooth_edges_and_lossy_files_are_cut_at_the_half(tmp_path):
    large = Image.fromarray(ROUND).convert("L").resize((WIDTH * 4, HEIGHT * 4), Image.Resampling.NEAREST)
    smooth = large.filter(ImageFilter.GaussianBlur(3)).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    for name, image, options in (
        ("m.png", smooth, {}),
        ("faint.png", smooth.point(lambda v: v // 3), {}),
        ("m.jpg", smooth, {"quality": 60}),
        ("red.jpg", Image.merge("RGB", (smooth, *[Image.new("L", smooth.size)] * 2)), {"quality": 80}),
        ("m.webp", smooth, {"quality": 60}),
        ("m.gif", smooth, {}),
    ):
        image.save(tmp_path / name, **options)
        mask, told = heard(tmp_path / name)
        assert (mask & ROUND).sum() / (mask | ROUND).sum() > 0.95, name
        assert not told, name


def test_soft_masks_and_photographs_are_told(tmp_path):
    shade = np.linspace(0, 255, WIDTH)[None].repeat(HEIGHT, 0).astype(np.uint8)
    assert "is soft" in heard(Image.fromarray(shade))[1]
    assert "is soft" in heard(Image.fromarray(U8 * 255).filter(ImageFilter.GaussianBlur(9)))[1]
    assert "looks like a photograph" in heard(Image.fromarray(PHOTO))[1]


def test_a_photograph_cut_out_onto_black_is_inside_where_it_is_not_black(tmp_path):
    smooth = np.asarray(Image.fromarray(PHOTO[:6, :6] // 2 + 60).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    mask, told = heard(Image.fromarray(smooth * U8[..., None]))
    np.testing.assert_array_equal(mask, INSIDE)
    assert "is a picture on black" in told


def test_white_is_zero_is_turned_over(tmp_path):
    (tmp_path / "m.tif").write_bytes(tiff(WIDTH, HEIGHT, 16, 0, (65535 - U8.astype("<u2") * 65535).tobytes()))
    assert (heard(tmp_path / "m.tif")[0] == INSIDE).all()


@pytest.mark.parametrize("name", ["clipspace-mask-17.png", "clipspace-painted-masked-17.png", "clipspace/m.png"])
def test_comfyuis_mask_editor_paints_transparency(name, tmp_path):
    left = np.zeros((HEIGHT, WIDTH), bool)
    left[:, :70] = True  # along most of the border: nothing in the picture tells it from a cut-out
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with_alpha(PHOTO, 255 - left * 255).save(path)
    mask, told = heard(path)
    np.testing.assert_array_equal(mask, left)
    assert "ComfyUI's mask editor" in told


def test_the_editors_layer_of_paint_is_inside_where_it_is_painted(tmp_path):
    (tmp_path / "clipspace").mkdir()
    path = tmp_path / "clipspace" / "clipspace-paint-17.png"
    with_alpha(np.zeros((HEIGHT, WIDTH, 3)), U8 * 255).save(path)
    assert (heard(path)[0] == INSIDE).all()


def test_the_editors_mask_where_nothing_was_painted_is_empty(tmp_path):
    with_alpha(PHOTO, np.full((HEIGHT, WIDTH), 255)).save(tmp_path / "clipspace-mask-17.png")
    assert not heard(tmp_path / "clipspace-mask-17.png")[0].any()


def test_arrays_and_tensors_of_every_kind_are_read_like_files():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(U8)
    for source in (
        INSIDE,
        U8,
        U8 * 255,
        U8.astype(np.int64),
        U8.astype(np.uint16) * 65535,
        U8.astype(np.float64),
        U8.astype(np.float32) / 255,  # a label that ComfyUI loaded as an IMAGE
        U8.astype(np.float32) * 1.04 - 0.02,  # resized
        INSIDE[None],
        INSIDE[..., None],
        U8[None, None] * 255,
        coloured((0, 255, 0)),
        coloured((0, 255, 0)).astype(np.float32)[None] / 255,
        np.dstack([PHOTO, U8 * 255]),
        tensor,
        tensor.bool(),
        tensor[None].float().requires_grad_(),
        tensor[None, ..., None].repeat(1, 1, 1, 3).float(),
        tensor.bfloat16(),
        tensor.half()[None],
    ):
        mask, told = heard(source)
        np.testing.assert_array_equal(mask, INSIDE)
        assert not told


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (np.zeros((3, HEIGHT, WIDTH), bool), "give one mask"),
        (np.zeros(7, bool), "give one mask"),
        (np.full((HEIGHT, WIDTH), np.nan), "NaN"),
        (np.full((HEIGHT, WIDTH), -4.0), "-4"),
        (np.full((HEIGHT, WIDTH), -1), "-1"),
        (np.full((HEIGHT, WIDTH), "x"), "type"),
        (U8.T, "80×120, the picture 120×80 (the picture was turned as its EXIF orientation says)"),
        (U8[:40], "120×40, the picture 120×80; make them the same size"),
    ],
)
def test_what_is_no_mask_of_this_picture_is_one_sentence(source, told):
    with pytest.raises(PictureError, match="^The mask") as caught:
        read_mask(source, (WIDTH, HEIGHT))
    assert told in str(caught.value)


def test_a_broken_png_is_one_sentence(tmp_path):
    data = io.BytesIO()
    Image.fromarray(PHOTO).save(data, "PNG")
    broken = bytearray(data.getvalue())
    place = broken.rindex(b"IDAT")
    broken[place : place + 4] = bytes(4)
    (tmp_path / "m.png").write_bytes(broken)
    with pytest.raises(PictureError, match=r"m\.png cannot be read"):
        read_mask(tmp_path / "m.png")
    with pytest.raises(PictureError, match=r"m\.png cannot be read \(there is no such file\)"):
        read_mask(tmp_path / "absent" / "m.png")
    (tmp_path / "m.png").write_bytes(png(1 << 20, 1, 1, 0, bytes(1 << 17)))
    with pytest.raises(PictureError, match="make it smaller"):
        read_mask(tmp_path / "m.png")


FULL, EMPTY = np.ones_like(INSIDE), np.zeros_like(INSIDE)
SMALL = np.zeros_like(INSIDE)
SMALL[30:40, 40:50] = True


@pytest.mark.parametrize(
    ("masks", "told"),
    [
        ([EMPTY], ["The mask of 'a' is empty"]),
        ([FULL], ["The mask of 'a' covers 100% of the picture"]),
        ([~INSIDE], ["The mask of 'a' covers 79% of the picture and most of its border: it looks inverted"]),
        ([INSIDE, SMALL], ["The mask of 'b' lies wholly under those of earlier objects"]),
        ([SMALL, INSIDE], []),
        ([None, INSIDE, None], []),
    ],
)
def test_masks_that_guide_nothing_or_look_inverted_are_told(masks, told):
    notes = odd_masks("abc"[: len(masks)], masks)
    assert len(notes) == len(told)
    assert all(note.startswith(start) for note, start in zip(notes, told, strict=True))


def test_encoding_takes_masks_of_any_kind_and_tells_the_odd_ones():
    from sedic import encode

    objects = (SceneObject("red cup", "", U8), SceneObject("inner", "", Image.fromarray(SMALL)))
    with pytest.warns(UserWarning, match="'inner' lies wholly under"):
        file = encode(PHOTO, Semantics("noise", objects), "av1:200")
    kept = file.semantics.objects[0].mask
    assert (kept & INSIDE).sum() / (kept | INSIDE).sum() > 0.8
    with pytest.raises(SemanticsError, match=r"mask of 'cup' is 120×40, the picture 120×80"):
        encode(PHOTO, Semantics("", (SceneObject("cup", "", U8[:40]),)), "av1:200")


def test_semantics_read_masks_as_the_reader_does(tmp_path):
    palette(U8, (0, 0, 0), (128, 0, 0)).save(tmp_path / "m.png")
    row = {"name": "cup", "detail": "", "mask": "m.png"}
    (tmp_path / "s.json").write_text(json.dumps({"objects": [row]}), encoding="utf-8")
    (read,) = Semantics.read(tmp_path / "s.json", (WIDTH, HEIGHT)).objects
    np.testing.assert_array_equal(read.mask, INSIDE)
