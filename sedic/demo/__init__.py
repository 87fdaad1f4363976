"""The photograph that the demo encodes: ``coffee.png``, with its words and masks in ``semantics.json``.

An espresso cup, a saucer and a teaspoon, 600×400, by Rachel Michetti, courtesy of Pikolo Espresso Bar; dedicated
to the public domain (CC0). It is the unaltered ``skimage.data.coffee`` of scikit-image, whose documentation states
the licence: https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.coffee

The words were written and the masks ``coffee_cup.png``, ``coffee_saucer.png`` and ``coffee_spoon.png`` drawn by
hand for this package, under its own licence. The masks do not overlap.
"""

from __future__ import annotations

from pathlib import Path

PHOTOGRAPH = Path(__file__).with_name("coffee.png")
SEMANTICS = Path(__file__).with_name("semantics.json")
