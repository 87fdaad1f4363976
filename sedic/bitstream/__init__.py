"""The .sedic file: a reference's bytes, words and masks in about a thousand bytes, useful at any length.

This folder's docstrings are the specification of version 1, from the outside in: :mod:`.header` (the first bytes),
:mod:`.sections` (what follows, and how each part is framed and checked), :mod:`.coder` (from bytes to symbols),
:mod:`.text` and :mod:`.mask` (what the symbols mean; a module for each coder, whose trained tables ``tables/*.npz``
ship with the package and belong to the format). :mod:`.container` joins them, :mod:`.stream` reads what has arrived.
Nothing here knows of pictures' pixels or of diffusion models.

A complete round trip:

>>> import numpy as np
>>> from sedic.bitstream import SedicFile
>>> from sedic.semantics import SceneObject, Semantics
>>> mask = np.zeros((512, 768), bool)
>>> mask[256:456, 216:320] = True
>>> door = SceneObject("red door", "Tall door painted brick red, with a small round white knob.", mask)
>>> words = Semantics("Frontal view of an old stone building with a red door.", (door,))
>>> file = SedicFile(768, 512, codec_id=1, quality=40, reference=b"any bytes", semantics=words)
>>> data = file.to_bytes()
>>> again = SedicFile.from_bytes(data)
>>> again.semantics.objects[0].detail
'Tall door painted brick red, with a small round white knob.'
>>> bool((again.semantics.objects[0].mask ^ mask).sum() < 0.02 * mask.sum())
True
>>> [(section.name, section.bytes) for section in again.sections]
[('header', 12), ('reference', 11), ('overall', 9), ('object1', 21)]
>>> sum(section.bytes for section in again.sections) == len(data)
True

A file that was cut decodes to what has arrived:

>>> cut = SedicFile.from_bytes(data[:-1])
>>> cut.semantics.overall, len(cut.semantics.objects)
('Frontal view of an old stone building with a red door.', 0)
>>> cut.missing
"The file is cut off in its section 'object1'; fetch it again for what is missing."
"""

from .coder import BitstreamError
from .container import SedicFile
from .header import Hints
from .sections import Section
from .stream import StreamReader

__all__ = ["BitstreamError", "Hints", "Section", "SedicFile", "StreamReader"]
