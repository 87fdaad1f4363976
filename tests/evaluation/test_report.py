"""The report shows what was measured, beside those who measured the same way, and needs nothing else."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sedic.evaluation import peers
from sedic.evaluation.intervals import Interval
from sedic.evaluation.kept import FINAL, ORIGINAL, tasks
from sedic.evaluation.measured import Measured, Table, verdict
from sedic.evaluation.metrics import METRICS, Tools
from sedic.evaluation.protocols import PROTOCOLS
from sedic.evaluation.report import sections
from sedic.evaluation.report.html import html
from sedic.evaluation.report.markdown import markdown
from sedic.evaluation.report.page import Plot, Report, Section, Sheet
from sedic.evaluation.report.plots import Mark, Series, plot, ticks
from sedic.evaluation.scenes import Scene
from sedic.semantics import Semantics

EVIL = '<script src="x">|`'


def test_a_page_is_whole_and_no_name_is_markup():
    drawn = plot(EVIL, "across", "up", [Series(EVIL, [Mark(0.02, 1.0, 0.9, 1.1)], True)])
    table = Table(EVIL, ["a", EVIL], [[EVIL, "1"]], [EVIL])
    report = Report(EVIL, [EVIL], [Section(EVIL, [EVIL, table, Plot(EVIL, drawn, EVIL), Sheet(EVIL, b"jpeg")])], [EVIL])
    page = html(report)
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "data:image/jpeg;base64," in page
    ElementTree.fromstring(drawn)
    text = markdown(report)
    assert "\\|" in text
    assert "<script" not in re.sub(r"```.*?```|^# .*?$", "", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("low", "high"), [(0, 0.0457), (21.8, 24.7), (-62, 100), (3, 3), (0, 0), (1e-5, 4e-4)])
def test_ticks_are_round_and_hold_what_they_measure(low, high):
    found = ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert 3 <= len(found) <= 10


def test_every_peer_has_figures_that_the_registry_knows():
    for name in PROTOCOLS:
        for point in peers.points(name):
            assert point.bpp > 0
            assert point.figures
            assert set(point.figures) <= {*METRICS, peers.UNNAMED}
            assert point.source
    assert not peers.points("folder")
    with_net = [p for p in peers.points("kodak") if "lpips_alex" in p.figures]
    assert {p.net for p in with_net} == {"alex"}


@pytest.fixture
def measured(tmp_path) -> Measured:
    scenes = [Scene(f"p{n}", np.full((16, 24, 3), 90, np.uint8), Semantics()) for n in range(8)]
    todo = tasks(scenes, tmp_path, [])
    for n, task in enumerate(todo):
        task.folder.mkdir()
        np.savez(task.folder / f"{ORIGINAL}.npz", pixels=384)
        np.savez(task.folder / f"{FINAL}.npz", pixels=384, bytes=3, psnr=20 + n, ms_ssim=0.5)
    return Measured(todo)


def test_only_points_of_the_same_protocol_and_net_share_a_plot(measured):
    tools = Tools(["psnr", "ms_ssim"])
    section = sections.curves(measured, tools, PROTOCOLS["kodak"])
    drawn = {part.title.split(",")[0]: part for part in section.parts if isinstance(part, Plot)}
    assert set(drawn) == {"PSNR", "MS-SSIM"}
    assert "StableCodec" in drawn["PSNR"].svg
    assert "CoD-Lite" not in drawn["PSNR"].svg  # crops of 512
    assert "8 of 24" in drawn["PSNR"].svg  # not quite the protocol's mean, and said so
    assert "8 of the protocol's 24" in drawn["PSNR"].note
    (table,) = (part for part in section.parts if isinstance(part, Table))
    paper = next(row for row in table.rows if row[0] == "SEDIC (paper)")
    assert "not stated" in paper
    assert "CoD-Lite" not in {row[0] for row in table.rows}
    assert sections.curves(measured, tools, PROTOCOLS["folder"]) is None


def test_figures_and_rates_are_those_of_the_pictures(measured):
    tools = Tools(["psnr"])
    (table, *_) = sections.figures(measured, tools).parts
    assert table.rows[0][0] == "PSNR, dB ↑"
    assert table.rows[0][1].startswith("23.50 (")
    bits = sections.rates(measured, PROTOCOLS["kodak"]).parts[0]
    assert bits.rows[-1][2] == "0.0625 (0.0625 … 0.0625)"
    assert bits.rows[-1][4] == "0.0457"  # the paper's


def test_a_verdict_knows_which_way_is_better():
    assert verdict(Interval(1, 0.5, 2, 8), "higher") == "better"
    assert verdict(Interval(1, 0.5, 2, 8), "lower") == "worse"
    assert verdict(Interval(1, -0.5, 2, 8), "lower") == "no difference shown"
    assert verdict(Interval(1, 0.5, 2, 7), "lower") == "too few pictures"
