"""bfloat16 is used where the processor is quick in it and each operation runs; all else is float32."""

from __future__ import annotations

import re
import warnings

import pytest
import torch

from sedic.models import precision
from sedic.models.precision import OPERATIONS, UNET, autocast, computes_in_bfloat16

pytestmark = pytest.mark.processor


@pytest.fixture(autouse=True)
def untried():
    """Answers of one test are not those of another."""
    precision._runs.cache_clear()
    yield
    precision._runs.cache_clear()


@pytest.fixture
def claimed(monkeypatch):
    """A processor that says that it has bfloat16."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)


class NoBackward(torch.autograd.Function):
    """An operation whose gradient has no kernel."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        raise RuntimeError("could not create a primitive\nand more")


@pytest.mark.filterwarnings("ignore:This PyTorch has no bfloat16")
@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_runs_in_what_is_chosen_whatever_the_processor_says(monkeypatch, operation, said):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: said)
    with autocast(operation):
        result = OPERATIONS[operation]()
    result.float().sum().backward()
    assert result.dtype == (torch.bfloat16 if computes_in_bfloat16(operation) else torch.float32)


def test_an_operation_that_cannot_be_trained_in_it_is_told_once_and_done_in_float32(claimed, monkeypatch):
    monkeypatch.setitem(OPERATIONS, "toy", lambda: NoBackward.apply(torch.ones(2, requires_grad=True)))
    with pytest.warns(UserWarning, match=r"no bfloat16 for toy here \(could not create a primitive\)"):
        assert not computes_in_bfloat16("toy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not computes_in_bfloat16("toy")
    monkeypatch.setitem(OPERATIONS, "sound", lambda: torch.ones(2, requires_grad=True) * 2)
    assert computes_in_bfloat16("sound")
    assert not computes_in_bfloat16("sound", "toy")
    with autocast("sound", "toy"):
        assert not torch.is_autocast_enabled("cpu")


def test_a_processor_without_it_is_not_asked_to_try(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    monkeypatch.setitem(OPERATIONS, "toy", lambda: pytest.fail("tried"))
    assert not computes_in_bfloat16("toy")
    with pytest.raises(KeyError):
        computes_in_bfloat16("another")


@pytest.mark.filterwarnings("ignore:This PyTorch has no bfloat16")
def test_trying_disturbs_neither_random_numbers_nor_inference_mode(claimed):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with torch.inference_mode():
        found = {name: computes_in_bfloat16(name) for name in OPERATIONS}
        assert torch.is_inference_mode_enabled()
    assert torch.equal(torch.get_rng_state(), before)
    assert found["convolution"]  # which has a plain kernel everywhere, also for its gradient


def test_what_is_wanted_goes_before_what_is_worth_it():
    for on in (True, False):
        with autocast(*UNET, on=on):
            assert torch.is_autocast_enabled("cpu") == on
            assert torch.get_autocast_dtype("cpu") == torch.bfloat16


def test_the_library_asks_in_one_place(repository):
    found = {}
    for path in (repository / "sedic").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if re.search(r"torch\.autocast\(|get_capabilities|get_cpu_capability\(\)|\.bfloat16\(\)", text):
            found[path.relative_to(repository / "sedic").as_posix()] = "computes_in_bfloat16" in text
    asking = {name for name, asks in found.items() if not asks}
    # The matrix of machines tells what PyTorch said in each of its processes.
    assert asking == {"models/processor.py", "bench/reference/matrix.py"}
    assert [name for name in found if "torch.autocast(" in (repository / "sedic" / name).read_text("utf-8")] == [
        "models/precision.py"
    ]
