"""The denoiser on ComfyUI's own models, inside its samplers: Algorithm 1's inner loop as a SAMPLER.

``sampler`` runs the loop, ``denoiser`` asks the model, ``attention`` reads and ``control`` steers what runs meanwhile,
``gradients`` and ``casting`` make a MODEL fit for backward passes.
"""

from .denoiser import ComfyDenoiser
from .gradients import GradientError, with_gradients
from .sampler import stage_sampler

__all__ = ["ComfyDenoiser", "GradientError", "stage_sampler", "with_gradients"]
