"""The denoiser on ComfyUI's own models, inside its samplers: Algorithm 1's inner loop as a SAMPLER.

``sampler`` runs the loop, ``denoiser`` asks the model, ``attention`` reads and ``control`` steers what runs meanwhile,
``prompt`` finds the object's words in the conditioning, ``patches`` deals with what other nodes have put into the
model, ``gradients`` and ``casting`` make a MODEL fit for backward passes.
"""

from .denoiser import ComfyDenoiser
from .gradients import GradientError, with_gradients
from .masks import masks_of
from .prompt import EncodedPrompt, PromptGuidance, encode_prompt, token_positions
from .sampler import stage_sampler

__all__ = [
    "ComfyDenoiser",
    "EncodedPrompt",
    "GradientError",
    "PromptGuidance",
    "encode_prompt",
    "masks_of",
    "stage_sampler",
    "token_positions",
    "with_gradients",
]
