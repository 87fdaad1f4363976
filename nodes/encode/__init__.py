"""The encoder's eyes as nodes: words for a picture, and a mask for each object that they name."""

from .grounded_sam import GroundedSAM
from .textualize import LMMTextualize

NODES = [LMMTextualize, GroundedSAM]
