"""The paper's ablations: which variants stand side by side, and which figures its tables have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import SedicError
from .kept import FINAL, REFERENCE
from .variants import FEW_DETAIL_WORDS, FEW_OVERALL_WORDS, STEPS, steps_of


@dataclass(frozen=True)
class Ablation:
    """Variants beside one another.

    Attributes:
        name: what ``--ablation`` calls it.
        title: for people.
        rows: names of variants, see :func:`.variants.made`, with what they are, in the paper's order.
        base: the variant that the others are compared with.
        objects: how many a picture must have, so that all rows are of the same pictures.
    """

    name: str
    title: str
    rows: tuple[tuple[str, str], ...]
    base: str = FINAL
    objects: int = 1

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants."""
        return tuple(name for name, _ in self.rows)


TABLE_3 = Ablation(
    "table3", "Attention guidance (Table III)", ((FINAL, "with guidance"), ("unguided", "without guidance"))
)
TABLE_5 = Ablation(
    "table5",
    "What the file holds (Table V)",
    (
        ("row 1", "no objects"),
        ("row 2", "one object"),
        ("row 3", "one object, no overall text"),
        ("row 4", "two objects, no overall text"),
        ("row 5", "three objects, no overall text"),
        (FINAL, "all of it"),
        ("row 7", "no reference: a grey picture"),
        ("row 8", f"details of at most {FEW_DETAIL_WORDS} words"),
        ("row 9", f"overall text of at most {FEW_OVERALL_WORDS} words"),
    ),
    objects=3,
)
"""The rows of the paper's table in its order, 1 to 9."""
TABLE_7 = Ablation(
    "table7",
    "Objects or a better reference at equal bytes (Table VII)",
    (("equal bytes, no objects", "J = 0"), (FINAL, "with objects")),
)
NAMES = (TABLE_3.name, TABLE_5.name, TABLE_7.name, "steps")
"""What ``--ablation`` chooses from."""
# Of figures 10 and 11: one of the two stays at the paper's own, 10 an object and 20 for the whole.
PAPERS_STEPS = ("5,20", "10,20", "20,20", "30,20", "50,20", "10,5", "10,10", "10,30", "10,50", "10,100")
EMBEDDED_STEPS = ("1,1", "2,1", "3,1", "2,2", "2,4")


def ablation(name: str, settings: tuple[int, int], steps: Sequence[str]) -> Ablation:
    """The ablation of a name.

    Args:
        name: one of :data:`NAMES`.
        settings: steps an object and for the whole of the decoder's defaults, which the others are compared with.
        steps: of ``steps``, ``OBJECT,OVERALL`` each.

    Raises:
        SedicError: there is none of this name, or something names no steps.
    """
    for known in (TABLE_3, TABLE_5, TABLE_7):
        if known.name == name:
            return known
    if name != "steps":
        raise SedicError(f"There is no ablation {name!r}; take one of {', '.join(NAMES)}.")
    pairs = sorted({steps_of(text) for text in steps} - {settings})
    others = [(f"{STEPS}{first},{second}", f"{first} an object, {second} for the whole") for first, second in pairs]
    default = (FINAL, f"{settings[0]} an object, {settings[1]} for the whole")
    rows = sorted([(settings, default), *zip(pairs, others, strict=True)])
    title = "Denoising steps (figures 10 and 11); 0 steps is the reference"
    return Ablation(name, title, ((REFERENCE, "0"), *(row for _, row in rows)), objects=0)
