"""Range coding by integer counts: what the coders of words and masks stand on.

Every probability is a ratio of integers, and the interval that a symbol gets is computed here in integers, so that
every machine writes and reads the same bytes. ``constriction`` codes the intervals; it receives their widths as
float64 integers, which it represents exactly.

What a reader has to do, in integers: the stream, continued by zeros, is a number of 32-bit words, the highest byte
first. Two of 64 bits are kept, ``offset`` = the first two words and ``range`` = 2⁶⁴ − 1. A symbol whose interval is
[start, start + width) out of 2²⁴ is the one for which ``start ≤ offset // (range >> 24) < start + width``; then

    offset -= (range >> 24) * start
    range = (range >> 24) * width
    if range < 2**32: offset, range = offset << 32 | next word, range << 32

The intervals lie in the order of the symbols, from 0. Their widths are those of :func:`interval_widths` (a bit has the
two counts total − ones and ones); of a number below a limit, 2²⁴ // limit each, and the last has the rest. The stream
ends as soon as the bytes that follow may be zeros: of all byte strings that decode to the symbols, the shortest (and
of these the lowest) is the only valid one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import constriction
import numpy as np

from ..errors import SedicError

Categorical, Uniform = constriction.stream.model.Categorical, constriction.stream.model.Uniform
WHOLE = 1 << 24  # constriction's fixed-point precision
EACH = Categorical(lazy=True, perfect=False)  # a model for each symbol
SYMBOL_WORK, COUNTS_PER_WORK = 3, 128  # measured, with what a caller does around it: see `spend`
RUN = 128  # of `one_of_many`


class BitstreamError(SedicError):
    """The bytes are not a .sedic file that can be read, or the content is not one that the format can hold."""


class CutError(BitstreamError):
    """The bytes end before what they begin does: more of them may mend it."""


class Encoder:
    """Turns symbols into the shortest bytes that :class:`Decoder` reads back.

    Attributes:
        work: what reading all this takes, in microseconds of a core of 2024, about; the same on every machine.
    """

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()
        self.work = 0

    def spend(self, work: int) -> None:
        """Counts what a model computes for the symbols; the coding itself is counted without being told."""
        self.work += work

    def symbol(self, index: int, counts: np.ndarray | list[int]) -> None:
        """Writes ``index`` under a distribution in proportion to ``counts`` (see :func:`interval_widths`)."""
        self.work += len(counts) // COUNTS_PER_WORK
        self.encode(index, _model(counts))

    def one_of_many(self, index: int, counts: np.ndarray) -> None:
        """Writes ``index`` as :meth:`symbol` does, in two steps: which run of 128 symbols, and which of them.

        With thousands of symbols this is many times quicker. ``counts`` (n,) int64, 128 divides n, all above 0.
        """
        runs = counts.reshape(-1, RUN)
        self.symbol(index // RUN, runs.sum(1))
        self.symbol(index % RUN, runs[index // RUN])

    def symbols(self, indices: np.ndarray, widths: np.ndarray) -> None:
        """Writes many symbols, (n,), each within its own intervals: ``widths`` (n, kinds) ≥ 1, the sum of each 2²⁴."""
        if len(indices):
            self._coder.encode(indices.astype(np.int32), EACH, (widths - 1).astype(np.float64))
            self.work += SYMBOL_WORK * len(indices)

    def bit(self, bit: bool, ones: int, total: int) -> None:
        """Writes one bit which is 1 with probability ``ones / total``; 0 < total < 2³⁸."""
        self.encode(int(bit), _bit_model(ones, total))

    def number(self, value: int, limit: int) -> None:
        """Writes ``value``, each of 0 … limit − 1 equally likely; 1 ≤ limit < 2²⁴."""
        if limit > 1:
            self.encode(value, Uniform(limit))

    def encode(self, index: int, model: Any) -> None:
        """Writes ``index`` under one of constriction's models, which must be exact."""
        self._coder.encode(index, model)
        self.work += SYMBOL_WORK

    def finish(self) -> bytes:
        """The shortest bytes that decode to all symbols so far; more symbols may follow, and another ``finish``.

        The coder's state says which numbers lie in the final interval; the one with most trailing zero bytes is
        kept, without them, since the decoder reads zeros behind the end.
        """
        words, (lower, width) = self._coder.pos()
        length = 4 * words + 8
        written = np.asarray(self._coder.get_compressed()).astype(">u4").tobytes()
        inside = int.from_bytes(written.ljust(length, b"\0"), "big")
        # The state keeps the interval's start modulo 2⁶⁴, and `inside` is less than 2⁶⁴ behind the start.
        start = inside - ((inside - lower) % (1 << 64))
        if start == 0:
            return b""
        # Of the numbers in the interval, the one with most trailing zero bits has all bits below this one zero.
        zeros = ((start - 1) ^ (start + width - 1)).bit_length() - 1
        dropped = zeros // 8
        return (-(-start >> 8 * dropped)).to_bytes(length - dropped, "big")


class Decoder:
    """Reads back, in the same order and under the same counts, what :class:`Encoder` wrote.

    Bytes that no encoder wrote give arbitrary symbols or :class:`BitstreamError`. Reading behind the end gives symbols
    for ever, which ``most_work`` bounds: beyond it everything raises :class:`BitstreamError`.
    """

    def __init__(self, data: bytes, most_work: int = 1 << 62) -> None:
        padded = data + bytes(-len(data) % 4)
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32))
        self._encoder = Encoder()
        self._most_work = most_work

    @property
    def work(self) -> int:
        """What reading has taken so far; see :class:`Encoder`."""
        return self._encoder.work

    def spend(self, work: int) -> None:
        """Mirrors :meth:`Encoder.spend`.

        Raises:
            BitstreamError: more than ``most_work`` is spent.
        """
        self._encoder.work += work
        if self._encoder.work > self._most_work:
            raise BitstreamError("The coded bytes take longer to read than any that are sound; fetch the file again.")

    def again(self) -> bytes:
        """What an encoder writes for all symbols so far: the same bytes, where an encoder wrote them and all are read.

        It costs no second run of the models, as each symbol is written again under the very model it was read with.
        """
        return self._encoder.finish()

    def symbol(self, counts: np.ndarray | list[int]) -> int:
        """Mirrors :meth:`Encoder.symbol`."""
        self.spend(len(counts) // COUNTS_PER_WORK)
        return self.decode(_model(counts))

    def one_of_many(self, counts: np.ndarray) -> int:
        """Mirrors :meth:`Encoder.one_of_many`."""
        runs = counts.reshape(-1, RUN)
        run = self.symbol(runs.sum(1))
        return run * RUN + self.symbol(runs[run])

    def symbols(self, widths: np.ndarray) -> np.ndarray:
        """Mirrors :meth:`Encoder.symbols`: (n,) int32."""
        if not len(widths):
            return np.zeros(0, np.int32)
        self.spend(SYMBOL_WORK * len(widths))
        try:
            indices = self._coder.decode(EACH, (widths - 1).astype(np.float64))
        except AssertionError as error:
            raise BitstreamError("The coded bytes are damaged; fetch the file again.") from error
        self._encoder.work -= SYMBOL_WORK * len(widths)  # counted by the encoder, too
        self._encoder.symbols(indices, widths)
        return indices

    def bit(self, ones: int, total: int) -> bool:
        """Mirrors :meth:`Encoder.bit`."""
        return bool(self.decode(_bit_model(ones, total)))

    def number(self, limit: int) -> int:
        """Mirrors :meth:`Encoder.number`."""
        return self.decode(Uniform(limit)) if limit > 1 else 0

    def decode(self, model: Any) -> int:
        """Mirrors :meth:`Encoder.encode`."""
        if self._encoder.work > self._most_work:
            self.spend(0)
        try:
            index = int(self._coder.decode(model))
        except AssertionError as error:  # constriction's sign that no symbol's interval holds the number read
            raise BitstreamError("The coded bytes are damaged; fetch the file again.") from error
        self._encoder.encode(index, model)
        return index


def interval_widths(counts: np.ndarray | list[int]) -> np.ndarray:
    """Widths of the symbols' intervals, in 2⁻²⁴, in proportion to ``counts`` and at least 1 each.

    Args:
        counts: (n,) integers ≥ 0, 2 ≤ n < 2²⁴, their sum in 1 … 2³⁸.

    Returns:
        (n,) int64, their sum 2²⁴.
    """
    cumulative = np.cumsum(counts, dtype=np.int64)
    n = len(cumulative)
    ends = cumulative * (WHOLE - n) // cumulative[-1] + np.arange(1, n + 1)
    ends[1:] -= ends[:-1].copy()
    return ends


def _model(counts: np.ndarray | list[int]) -> Any:
    # constriction adds 1 to each width by itself, and scales the rest to 2²⁴ − n, which is already their sum.
    return Categorical((interval_widths(counts) - 1).astype(np.float64), lazy=True, perfect=False)


def _bit_model(ones: int, total: int) -> Any:
    zero = (total - ones) * (WHOLE - 2) // total  # as interval_widths gives it, less 1
    return Categorical(np.array((float(zero), float(WHOLE - 2 - zero))), lazy=True, perfect=False)


def exact_bit_model(ones: int) -> Any:
    """A model to keep, for a bit which is 1 with probability ``ones`` / 2²⁴; 0 < ones < 2²⁴."""
    return Categorical(np.array((float(WHOLE - ones - 1), float(ones - 1))), lazy=True, perfect=False)


def load_table(name: str) -> dict[str, np.ndarray]:
    """The arrays of a trained table, ``tables/<name>.npz``.

    Raises:
        BitstreamError: the table is missing or broken.
    """
    path = Path(__file__).parent / "tables" / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError) as error:
        raise BitstreamError(f"The table {path} cannot be read ({error}); install the package again.") from error
