"""The .sedic file: a reference's bytes, words and masks in about a thousand bytes, useful at any length.

``container`` holds the layout, ``text`` and ``mask`` code words and masks by models that ship with the package,
``coder`` turns their probabilities, which are exact on every machine, into bytes. Nothing here knows of pictures'
pixels or of diffusion models.

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
>>> bool((again.semantics.objects[0].mask == mask).all())
True
>>> [(section.name, section.bytes) for section in again.sections]
[('header', 12), ('reference', 11), ('overall', 10), ('object1', 26)]
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
