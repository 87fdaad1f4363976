"""The measurement of guided steps tells what is missing in one line."""

from __future__ import annotations

from headless import bench_decoder
from headless.errors import HeadlessError


def test_what_the_headless_tools_tell_is_one_line_and_exit_status_1(monkeypatch, capsys) -> None:
    def none() -> None:
        raise HeadlessError("There is no ComfyUI here; name one.")

    monkeypatch.setattr("sys.argv", ["bench_decoder", "--count"])
    monkeypatch.setattr(bench_decoder, "find", none)
    assert bench_decoder.main() == 1
    assert capsys.readouterr().err == "There is no ComfyUI here; name one.\n"
