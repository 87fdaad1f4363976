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
        self._soft = WHOLE // 2  # weight of the expert with softened logits
        numerator, denominator = SOFTENED
        reach = len(exponential) * denominator // numerator + 1
        softened = exponential.take(np.arange(reach) * numerator // denominator, mode="clip")
        self._experts = exponential, softened
        self._parts = tuple[np.ndarray, ...]()

    def counts(self, logits: np.ndarray) -> np.ndarray:
        """How likely each piece comes next: (V,) int64, at least 1, their sum below 2³⁷, from logits in 2⁻⁸."""
        behind = logits.max() - logits
        self._parts = tuple(expert.take(behind, mode="clip") for expert in self._experts)
        for counts, weight in zip(self._parts, (WHOLE - self._soft, self._soft), strict=True):
            counts *= (weight << FACTOR_BITS) // int(counts.sum())
        sharp, soft = self._parts
        return np.maximum((sharp + soft) >> PEAK_BITS, 1)

    def learn(self, piece: int) -> None:
        """Shifts the weights, now that this piece has come behind the last :meth:`counts`."""
        sharp, soft = (int(counts[piece]) for counts in self._parts)
        learnt = WHOLE * soft // max(1, sharp + soft)
        self._soft = learnt + (WHOLE // 2 - learnt) // FORGOTTEN
