"""The contact sheet shows every panel, unscaled where asked, and no label leaves its panel."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sedic.metrics import contact_sheet

COLORS = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200)]


def panels(count: int, size=(300, 200), label="original\n1,234 bytes"):
    return [(label, Image.new("RGB", size, COLORS[i])) for i in range(count)]


def count_of(sheet: Image.Image, color) -> int:
    return int((np.asarray(sheet) == color).all(2).sum())


def test_every_panel_is_shown_whole_and_unscaled():
    sheet = contact_sheet(panels(5), columns=3, title="A title", footer=["one", "two"])
    for color in COLORS:
        assert count_of(sheet, color) == 300 * 200


def test_panels_of_other_sizes_are_shown_at_the_first_ones_size():
    pictures = [panels(1)[0], ("small", np.full((50, 75, 3), COLORS[1], np.uint8))]
    sheet = contact_sheet(pictures, columns=2)
    assert count_of(sheet, COLORS[0]) == count_of(sheet, COLORS[1]) == 300 * 200


def test_panel_width_scales_all():
    sheet = contact_sheet(panels(2), columns=2, panel_width=150)
    assert count_of(sheet, COLORS[0]) == 150 * 100


def test_labels_title_and_footer_leave_ink_of_their_own():
    plain = contact_sheet(panels(2, label=""), columns=2)
    for more in ({"title": "Title"}, {"footer": ["Footer"]}):
        sheet = contact_sheet(panels(2, label=""), columns=2, **more)
        assert sheet.height > plain.height
        assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > len(
            np.unique(np.asarray(plain).reshape(-1, 3), axis=0)
        )


def test_long_labels_do_not_run_into_the_next_panel():
    short, long = ([("x", panels(1)[0][1]), ("", panels(1)[0][1])] for _ in range(2))
    long[0] = ("an exceedingly long name " * 9, long[0][1])
    second = slice(300 + 2 * 12, None)
    a, b = (np.asarray(contact_sheet(p, columns=2))[:, second] for p in (short, long))
    assert np.array_equal(a, b)


def test_nothing_to_show_is_an_error():
    with pytest.raises(ValueError, match="needs panels"):
        contact_sheet([], columns=3)
    with pytest.raises(ValueError, match="needs panels"):
        contact_sheet(panels(1), columns=0)


def test_letters_that_the_font_lacks_are_spelled_not_boxed():
    sheets = [np.asarray(contact_sheet(panels(1, label=text), columns=1)) for text in ("café 6×4", "cafe 6x4")]
    assert np.array_equal(*sheets)
