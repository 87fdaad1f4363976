"""The bench of the reference: the bytes are those asked for, and new weights are measured anew."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sedic.bench import reference
from sedic.bench.reference import figures, hevc, jpeg_xl, points, rivals, tables, times
from sedic.bench.reference.points import TARGET, TARGETS, Point
from sedic.errors import SedicError
from sedic.reference import CodecError
from sedic.reference.av1 import Av1


def photograph(width: int = 192, height: int = 176) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    waves = 60 * np.sin(x * y / 900), 50 * np.cos(x / 7), 40 * np.sin(y / 5)
    return np.stack([np.clip(120 + wave, 0, 255) for wave in waves], -1).astype(np.uint8)


class Toy:
    """Spends a byte on ``10 + 10·quantiser`` pixels and shows the picture that much darker."""

    name, least_side = "toy", 16
    quantisers, variants, version = tuple(range(12)), ("plain",), "1"

    def code(self, picture: Image.Image, quantiser: float, variant: str) -> rivals.Coded:
        size = round(picture.width * picture.height / (10 + 10 * quantiser))
        return rivals.Coded(size, picture.point(lambda v: v - 2 * quantiser))


class Learned:
    """Quality q takes about 100·1.03^q bytes; three pixels tell it apart."""

    name, id, qualities, default_quality = "compact", 3, range(1, 61), 30

    def __init__(self) -> None:
        self.encoded: list[int] = []

    def most_bytes(self, quality, size):
        return None

    def fingerprint(self, quality):
        return b"abcd"

    def encode(self, image, quality):
        self.encoded.append(quality)
        return bytes(round(100 * 1.03**quality))

    def decode(self, data, size, quality):
        return np.full((size[1], size[0], 3), 128, np.uint8)


@pytest.mark.parametrize("budget", [250, 600, 1500])
def test_an_ordinary_codec_meets_the_budget_at_its_best_size(budget):
    original = Image.fromarray(photograph())
    found = rivals.best(Toy(), original, budget)
    assert found is not None
    assert abs(found.bytes / budget - 1) <= rivals.TOLERANCE
    others = rivals._Search(Toy(), original, budget, "plain").found()
    assert found.psnr == max(other.psnr for other in others)
    assert len(others) > 1
    error = np.mean((photograph().astype(float) - found.pixels) ** 2)
    assert found.psnr == pytest.approx(10 * math.log10(255**2 / error))


def test_a_budget_out_of_reach_is_told_as_such():
    assert rivals.best(Toy(), Image.fromarray(photograph()), 100_000) is None
    assert rivals.best(Toy(), Image.fromarray(photograph()), 0 + 1) is None


@pytest.mark.parametrize("budget", [103, 150, 242, 300, 589])
def test_a_codec_of_many_qualities_is_matched_to_the_nearest(budget):
    codec = Learned()
    quality, data = points.matched(codec, photograph(), budget)
    assert abs(len(data) - budget) == min(abs(round(100 * 1.03**q) - budget) for q in codec.qualities)
    assert len(codec.encoded) <= 4
    assert quality in codec.encoded


@pytest.mark.parametrize(("spent", "tries"), [(0.99, 1), (0.95, 2), (0.5, 3)])
def test_a_codec_that_stays_below_its_budget_gets_the_bytes_that_the_others_get(spent, tries, monkeypatch):
    budgets = []

    def within(self, image, budget):
        budgets.append(budget)
        return bytes(round(spent * budget))

    monkeypatch.setattr(Av1, "within", within)
    _, data = points.matched(Av1(), photograph(), 1000)
    assert len(budgets) == tries
    assert len(data) == round(spent * budgets[-1])


def test_a_codec_of_few_qualities_is_tried_where_it_has_weights():
    def fingerprint(quality):
        if quality == 2:
            raise CodecError("no weights")
        return b"abcd"

    codec = SimpleNamespace(
        name="few", qualities=range(1, 4), default_quality=1, most_bytes=lambda q, size: None,
        encode=lambda image, q: bytes(100 * q), fingerprint=fingerprint,
    )  # fmt: skip
    assert points.matched(codec, photograph(), 210)[0] == 3


def line(share: float) -> list[tuple[float, float]]:
    return [(share * rate, 20 + 4 * math.log2(rate / 0.01)) for rate in (0.01, 0.014, 0.018, 0.024, 0.032, 0.04)]


def test_bd_rate_is_the_share_of_bytes_that_are_saved():
    pytest.importorskip("bjontegaard")
    assert tables.bd_rate(line(1), line(0.9)) == pytest.approx(-10, abs=0.1)
    assert tables.bd_rate(line(0.9), line(1)) == pytest.approx(100 / 0.9 - 100, abs=0.1)
    assert math.isnan(tables.bd_rate(line(1), [(rate, quality + 50) for rate, quality in line(1)]))
    assert math.isnan(tables.bd_rate(line(1), line(1)[:3]))
    assert math.isnan(tables.bd_rate(line(1), [*line(1)[:-1], (0.05, 20.5)]))


def curves(gain: float, missing: int | None = None) -> dict[str, dict[int, list[Point | None]]]:
    def point(target: int, share: float, number: int) -> Point:
        quality = 20 + 4 * math.log2(target * share) + number
        return Point(round(target * 768 * 512 / 8000), 768 * 512, quality, 1 - 1 / (target * share + 1), "")

    ours = {target: [point(target, gain, n) for n in range(3)] for target in TARGETS}
    theirs: dict[int, list[Point | None]] = {target: [point(target, 1, n) for n in range(3)] for target in TARGETS}
    if missing is not None:
        theirs[TARGET][missing] = None
    return {"compact": ours, "hevc": theirs}  # type: ignore[dict-item]


def test_tables_say_who_wins_and_by_how_many_bytes():
    pytest.importorskip("bjontegaard")
    text = "\n".join(tables.rates(curves(1.25)))
    assert "+1.29, 3 of 3" in text
    assert "| compact | 885 | 3 of 3 | 0.0180 |" in text
    text = "\n".join(tables.bd_rates(curves(1.25)))
    assert "| compact |  | -20.0% |" in text
    assert "| hevc | +25.0% |  |" in text


def test_a_mean_over_other_pictures_is_no_row():
    text = "\n".join(tables.rates(curves(1, missing=1)))
    assert "| hevc | 2 of 3 pictures |" in text


def test_bytes_beside_the_rate_are_seen():
    def point(bytes_):
        return Point(bytes_, 768 * 512, 20, 0.5, "")

    met = [points.within(point(bytes_), 18) for bytes_ in (850, 868, 884, 902, 920)]
    assert met == [False, True, True, True, False]


def test_times_are_those_of_a_process_of_its_own(tmp_path):
    Image.fromarray(photograph(224, 192)).save(tmp_path / "a.png")
    found = times.measure("av1", None, tmp_path / "a.png", side=256, repeats=1)
    assert found["size"] == [256, 256]
    assert found["memory"] > 50e6  # bytes, not kilobytes
    assert times.importing()["memory"] > 50e6
    assert 0 < found["bytes"] <= 18 * 256 * 256 / 8000
    assert found["encode"][1] > found["decode"][1] > 0
    with pytest.raises(SedicError, match="no reference codec"):
        times.measure("nothing", None, tmp_path / "a.png")


def test_only_slices_of_an_hevc_stream_count():
    video, slice_ = b"\0\0\0\1" + bytes([32 << 1, 1]) + b"parameters", b"\0\0\1" + bytes([20 << 1, 1]) + b"slice"
    assert hevc.slice_bytes(video + slice_) == 2 + len("slice")


@pytest.mark.parametrize(("package", "make", "quantiser"), [
    ("av", hevc.Hevc, 32), ("pillow_jxl", jpeg_xl.JpegXl, 70),
])  # fmt: skip
def test_ordinary_codecs_give_back_the_picture(package, make, quantiser):
    pytest.importorskip(package)
    picture = Image.fromarray(photograph())
    rival = make()
    for variant in rival.variants:
        coded = rival.code(picture, quantiser, variant)
        assert coded.picture.size == picture.size
        assert 100 < coded.bytes < 40_000
        assert np.abs(np.asarray(coded.picture, float) - np.asarray(picture)).mean() < 8
        assert rival.code(picture, rival.quantisers[-1], variant).bytes < coded.bytes


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Two pictures, a learned and an ordinary codec of toys, all in this process."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(2):
        Image.fromarray(np.roll(photograph(), 20 * number, 1)).save(images / f"{number}.png")
    learned = Learned()
    monkeypatch.setattr(points, "ms_ssim", lambda a, b: 0.5 + points.psnr(a, b) / 200)  # the real one takes its time
    monkeypatch.setattr(points, "RIVALS", {"toy": Toy})
    monkeypatch.setattr(reference, "RIVALS", {"toy": Toy})
    monkeypatch.setattr(points, "names", lambda slow, weights: ("compact", "toy"))
    for module in (points, reference):
        monkeypatch.setattr(module, "codec_by_name", lambda name, models=None: learned)
    monkeypatch.setattr(points, "key", lambda name, weights: name)
    monkeypatch.setattr(points, "run", lambda todo, workers: [points.perform(t) for t in todo if not points.read(t)])
    monkeypatch.setattr(reference, "_learned", lambda name: name == "compact")
    monkeypatch.setattr(reference, "_matrices", lambda *_: {})
    options = reference.Options(images, tmp_path / "out", only=("rates", "bd", "sheet"))
    return options, learned


def test_the_page_gets_tables_plot_and_sheet_and_a_rerun_codes_nothing(measured, tmp_path, capsys):
    for package in ("bjontegaard", "matplotlib"):
        pytest.importorskip(package)
    options, learned = measured
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured -->\nold\n<!-- /measured -->\nbehind\n", encoding="utf-8")
    options = reference.Options(**{**vars(options), "markdown": page})
    reference.measure(options)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- measured -->\n### At 0.018 bit per pixel, 2 pictures")
    assert "| compact | " in text
    assert text.endswith("<!-- /measured -->\nbehind\n")
    for name in (reference.PLOT, reference.SHEET):
        assert f"]({name})" in text
        assert (tmp_path / name).stat().st_size < 400_000
    count = len(learned.encoded)
    assert count
    reference.measure(options)
    assert len(learned.encoded) == count
    assert page.read_text(encoding="utf-8") == text
    capsys.readouterr()
    reference.measure(reference.Options(**{**vars(options), "json": True, "only": ()}))
    assert json.loads(capsys.readouterr().out)["curves"]["toy"][str(TARGET)][0]["bytes"] > 0


def test_new_weights_make_only_their_codecs_points_anew(measured, monkeypatch):
    options, learned = measured
    pictures = reference.pictures_of(options.images)
    todo = points.tasks(("compact", "toy"), pictures, None, options.out)
    for task in todo:
        points.perform(task)
    monkeypatch.setattr(points, "key", lambda name, weights: f"{name} new" if name == "compact" else name)
    assert {task.codec for task in todo if points.read(task) is None} == {"compact"}


def test_unknown_codecs_and_empty_folders_are_told(tmp_path):
    with pytest.raises(SedicError, match="holds no pictures"):
        reference.measure(reference.Options(tmp_path, tmp_path))
    Image.fromarray(photograph()).save(tmp_path / "a.png")
    with pytest.raises(SedicError, match="no codec 'gif'"):
        reference.measure(reference.Options(tmp_path, tmp_path, codecs=["gif"]))


def test_masks_beside_described_pictures_are_no_pictures(tmp_path):
    for name in ("a", "a_barn", "b"):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{name}.png")
    (tmp_path / "a.json").write_text("{}")
    assert [path.stem for path in reference.pictures_of(tmp_path)] == ["a"]
    assert figures.chosen(["x", "kodim15", "y"], 2) == ["kodim15", "x"]
