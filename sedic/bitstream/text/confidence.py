"""From logits to counts: how sure a network may be of what it expects is learnt from the file itself.

Descriptions like those it was trained on it knows better than its logits say, a stranger's worse. So there are two
experts, one that takes the logits as they are and one that takes four fifths of them, and each piece of the file
shifts weight to the one that had expected it more (Bayesian mixing; a share flows back at each step, as in Herbster
and Warmuth 1998). All in integers.
"""

from __future__ import annotations

import numpy as np

PEAK_BITS = 24  # an expert's likeliest piece counts 2²⁴
SOFTENED = 4, 5
WHOLE = 1 << 16  # the experts' weights together
FORGOTTEN = 50  # a fiftieth of what was learnt is, at each step
FACTOR_BITS = 44  # an expert's sum is at least 2²⁴, so that 2¹⁶·2⁴⁴/2²⁴·2²⁴ fits into 63 bits


class Confidence:
    """The experts' weights, for one file and direction."""

    def __init__(self, exponential: np.ndarray) -> None:
        """Begins with equal weights; ``exponential``, (n,) int64, is 2²⁴·e^(−i/2⁸), at least 1."""
        self._exponential = exponential
        self._soft = WHOLE // 2  # weight of the expert with softened logits
        self._parts = np.empty((0, 2), np.int64)

    def counts(self, logits: np.ndarray) -> np.ndarray:
        """How likely each piece comes next: (V,) int64, at least 1, their sum below 2³⁷, from logits in 2⁻⁸."""
        behind = logits.max() - logits
        last = len(self._exponential) - 1
        numerator, denominator = SOFTENED
        experts = (
            (WHOLE - self._soft, self._exponential[np.minimum(behind, last)]),
            (self._soft, self._exponential[np.minimum(behind * numerator // denominator, last)]),
        )
        self._parts = np.stack([counts * ((weight << FACTOR_BITS) // int(counts.sum())) for weight, counts in experts])
        return np.maximum(self._parts.sum(0) >> PEAK_BITS, 1)

    def learn(self, piece: int) -> None:
        """Shifts the weights, now that this piece has come behind the last :meth:`counts`."""
        sharp, soft = self._parts[:, piece].tolist()
        learnt = WHOLE * soft // max(1, sharp + soft)
        self._soft = learnt + (WHOLE // 2 - learnt) // FORGOTTEN
