"""The matrix of machines: a difference between two would be seen, and one that the processor cannot be is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sedic.bench.reference import matrix
from sedic.bench.reference.matrix import Configuration, Work, agreement
from sedic.errors import SedicError

WRITTEN = {"a": {"p": "00", "q": "01"}, "b": {"p": "00", "q": "02"}}


def test_a_matrix_without_differences_agrees_in_every_cell():
    same = {"p": {"00": "x"}, "q": {"01": "y", "02": "z"}}
    found = agreement(WRITTEN, {"a": same, "b": same})
    assert (found["cells"], found["agree"], found["pictures"], found["apart"]) == (4, 4, [8, 8], [])


def test_one_other_symbol_of_one_picture_fails_its_cell():
    first = {"p": {"00": "x"}, "q": {"01": "y", "02": "z"}}
    second = {"p": {"00": "x"}, "q": {"01": "other", "02": "z"}}
    found = agreement(WRITTEN, {"a": first, "b": second})
    assert (found["agree"], found["pictures"]) == (3, [7, 8])
    assert found["apart"] == [["a", "b", "q"]]


def test_a_stream_that_its_own_writer_cannot_read_agrees_with_nobody():
    broken = {"p": {"00": "x"}, "q": {"01": f"{matrix._ERROR}damaged", "02": "z"}}
    found = agreement(WRITTEN, {"a": broken, "b": broken})
    assert found["agree"] == 2


class Planted:
    """Codes the mean level; under bfloat16 it reads one more."""

    def encode(self, image, quality):
        return bytes([int(image.mean())])

    def symbols(self, data, size, quality):
        return [np.array([data[0] + torch.is_autocast_enabled("cpu")])]


def test_every_configuration_reads_every_others_streams(monkeypatch, tmp_path):
    for number in range(2):
        Image.new("RGB", (32, 32), (number * 40,) * 3).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(matrix, "call", lambda function, environment, **arguments: function(**arguments))
    monkeypatch.setattr(matrix, "_coder", lambda *_: Planted())
    configurations = [Configuration("default", 1, True, precision) for precision in ("float32", "bfloat16")]
    work = Work("planted", None, 1, sorted(tmp_path.glob("*.png")))
    found = matrix.measure(work, 1, configurations)
    assert (found["cells"], found["agree"], found["pictures"], found["streams"]) == (4, 2, [4, 8], 2)
    assert found["float32"]["agree"] == found["float32"]["cells"] == 1
    found["note"] = "whole"
    assert "| planted | 2 of 4 | 4 of 8 | 2 | 1 of 1 | whole |" in "\n".join(matrix.table({"planted": found}))


def test_configurations_that_the_processor_cannot_be_are_left_out_and_named(monkeypatch, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "0.png")
    started = []

    def call(function, environment, **arguments):
        started.append(environment["ATEN_CPU_CAPABILITY"])
        return function(**arguments)

    monkeypatch.setattr(matrix, "call", call)
    monkeypatch.setattr(matrix, "_coder", lambda *_: Planted())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    work = Work("planted", None, 1, [tmp_path / "0.png"])
    found = matrix.measure(work, 1) | {"note": "whole"}
    assert set(started) == {"default", "avx2"}
    assert found["cells"] == 16 * 16
    assert [(name, len(cells)) for name, cells in found["left_out"].items()] == [("avx512", 8)]
    text = "\n".join(matrix.table({"planted": found}))
    assert "- Left out, as this processor has no avx512: avx512, 1 thread, oneDNN, float32; avx512, 1 thread" in text
    assert "- Instruction sets that PyTorch said it used: AVX2, so that this says nothing about others." in text
    some = [Configuration(name, 1, True, "float32") for name in ("avx2", "avx512")]
    with pytest.raises(SedicError, match="Of 2 configurations this processor can be 1, as it has no avx512"):
        matrix.measure(work, 1, some)


def test_the_matrix_is_the_issues():
    assert len(set(map(str, matrix.CONFIGURATIONS))) == 24
    assert {c.environment["ATEN_CPU_CAPABILITY"] for c in matrix.CONFIGURATIONS} == {"default", "avx2", "avx512"}
