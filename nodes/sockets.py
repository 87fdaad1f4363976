"""The pack's own socket types. Wherever ComfyUI has a type of its own, that one is used."""

from __future__ import annotations

from comfy_api.latest import io

SemanticsSocket = io.Custom("SEDIC_SEMANTICS")  # sedic.semantics.Semantics
ReferenceSocket = io.Custom("SEDIC_REFERENCE")  # sedic.codec.Reference
BitstreamSocket = io.Custom("SEDIC_BITSTREAM")  # sedic.bitstream.SedicFile
TrajectorySocket = io.Custom("SEDIC_TRAJECTORY")  # sedic.restoration.stages.Trajectory
GuidanceSocket = io.Custom("SEDIC_GUIDANCE")  # sedic.restoration.guidance.Guidance
FusionSocket = io.Custom("SEDIC_FUSION")  # sedic.restoration.fusion.Fusion
# ComfyUI's own, which older cores do not know: there nothing can be wired to it.
BoundingBoxSocket = io.Custom("BOUNDING_BOX")  # a box, a list of boxes, or one such list for each picture
