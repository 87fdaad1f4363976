"""The denoiser on ComfyUI's own models, inside its samplers: Algorithm 1's inner loop as a SAMPLER.

``sampler`` runs the loop, ``denoiser`` asks the model, ``families`` read its attention and ``control`` steers what runs
meanwhile, ``noise`` and ``latents`` ask what x and a latent are, ``prompt`` finds the object's words in the
conditioning, ``patches`` and ``hints`` deal with what other nodes have put into the model, ``gradients`` and
``casting`` make a MODEL fit for backward passes.
"""

from .denoiser import ComfyDenoiser
from .gradients import GradientError, with_gradients
from .hints import with_pictures
from .latents import Latents, latents_of, native_size
from .masks import masks_of
from .noise import is_flow, noising
from .prompt import EncodedPrompt, PromptGuidance, encode_prompt, token_positions
from .sampler import stage_sampler

__all__ = [
    "ComfyDenoiser",
    "EncodedPrompt",
    "GradientError",
    "Latents",
    "PromptGuidance",
    "encode_prompt",
    "is_flow",
    "latents_of",
    "masks_of",
    "native_size",
    "noising",
    "stage_sampler",
    "token_positions",
    "with_gradients",
    "with_pictures",
]
