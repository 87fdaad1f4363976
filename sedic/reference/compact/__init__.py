"""Our own learned codec: one network for all qualities, a few hundred bytes, the same bytes on every machine.

``transforms.py`` turns pixels into two small latents and back (float32: pixels may differ in the last bit);
``prior.py``, ``hierarchy.py`` and ``distribution.py`` say in integers how likely each symbol is; ``symbols.py`` codes
them. Which symbols are written is the encoder's choice: ``search.py``, with ``refine.py`` and the network of
``improve.py`` and, where somebody waits, ``anneal.py``. The weights are ``../weights/compact.safetensors``, made by
:mod:`sedic.training.reference.compact`, what later learnt from the encoder's choices
``../weights/compact_written.safetensors``, by :mod:`sedic.training.reference.written`, and the encoder's network
``../weights/compact_encoder.safetensors``, by :mod:`sedic.training.reference.encoder`.
"""

from __future__ import annotations

from .codec import Compact, CompactFirst, CompactSlow

__all__ = ["Compact", "CompactFirst", "CompactSlow"]
