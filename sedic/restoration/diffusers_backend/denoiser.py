"""The denoiser on diffusers' models: what the command line decodes with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import SedicError
from ..denoiser import (
    HALF_PRECISION_SCALE,
    AttentionMap,
    Picture,
    attention_grid,
    scaled_gradient,
    variance_exploding,
)
from ..energy import find_tokens
from .known import Known, parts_of
from .reading import Recorder, Stop, attention_modules
from .schedules import SCHEDULES, noise_levels

CHUNK = 75  # tokens between CLIP's start and end token
CELL = 8  # pixels of the picture's side in a latent cell
TILE_TYPE = 6  # number of "tile" among a union ControlNet's conditions
AUTOENCODER_TILE = 1024  # pixels: bounds its memory, and leaves ordinary pictures whole
KEPT_TEXTS = 16  # encoded texts that are kept: one picture has at most eight and the negative one


def in_tiles(autoencoder: Any) -> Any:
    """diffusers' AutoencoderKL, told to take pictures beyond :data:`AUTOENCODER_TILE` in overlapping tiles."""
    autoencoder.enable_tiling()
    autoencoder.tile_sample_min_size = AUTOENCODER_TILE
    autoencoder.tile_latent_min_size = AUTOENCODER_TILE // CELL
    return autoencoder


@dataclass(frozen=True)
class Text:
    """An encoded text: tokens' features (1, 77·chunks, C), and the whole text's (1, D) where the model asks for it."""

    hidden: Tensor
    pooled: Tensor | None = None


@dataclass
class DiffusersModels:
    """diffusers' and transformers' models as :class:`~.denoiser.Models`.

    Attributes:
        autoencoder: the embedded one, AutoencoderTiny or AutoencoderKL.
        unet: UNet2DConditionModel.
        controlnet: ControlNetModel, or None.
        text_encoder, tokenizer: CLIPTextModel and CLIPTokenizer.
        prediction: ``epsilon`` or ``v_prediction``.
        latent_condition: whether the ControlNet takes the condition's latent instead of its pixels.
        table: σ of the training steps, rising.
        text_encoder_2, tokenizer_2: SDXL's second pair, CLIPTextModelWithProjection; None for other models.
        control_type: number of the condition's kind, for a union ControlNet.
        where: ``embedded`` or the folder in diffusers' layout that they were read from, whose settings suit them.
    """

    autoencoder: Any
    unet: Any
    controlnet: Any
    text_encoder: Any
    tokenizer: Any
    prediction: str = "epsilon"
    latent_condition: bool = False
    table: Tensor = field(default_factory=noise_levels)
    text_encoder_2: Any = None
    tokenizer_2: Any = None
    control_type: int = TILE_TYPE
    where: str = ""
    _texts: dict[str, Text] = field(default_factory=dict, init=False, repr=False)

    @property
    def device(self) -> torch.device:
        return self.unet.device

    def in_precision(self, name: str) -> DiffusersModels:
        """Brings the network and its ControlNet to a type of PyTorch's; the rest stays in float32.

        The embedded autoencoder, which was trained in bfloat16, goes along into it; Stable Diffusion's overflow in
        float16.
        """
        kind = getattr(torch, name)
        networks = [self.unet, self.controlnet]
        if self.where == "embedded" and kind == torch.bfloat16:
            networks.append(self.autoencoder)
        for network in networks:
            if network is not None:
                nn.Module.to(network, kind)  # diffusers' own warns of modules that these networks lack
        return self

    @property
    def native_size(self) -> int:
        return int(self.unet.config.sample_size) * CELL

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        pixels = (image.to(self.device) * 2 - 1).to(self.autoencoder.dtype)
        encoded = self.autoencoder.encode(pixels)
        latent = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
        return latent.float() * self.autoencoder.config.scaling_factor

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        scaled = latent.to(self.autoencoder.dtype) / self.autoencoder.config.scaling_factor
        return (self.autoencoder.decode(scaled).sample.float() / 2 + 0.5).clamp(0, 1)

    def sigmas(self, scheduler: str, steps: int) -> Tensor:
        if scheduler not in SCHEDULES:
            raise SedicError(f"The schedule {scheduler!r} is not known here; use one of {', '.join(SCHEDULES)}.")
        return SCHEDULES[scheduler](self.table, steps).to(self.device)

    def start(self, noise: Tensor, sigma: Tensor, latent: Tensor) -> Tensor:
        highest = bool(sigma >= self.table[-1] * (1 - 1e-5))
        return noise * ((1 + sigma**2).sqrt() if highest else sigma) + latent

    def condition(self, text: str, negative: str, scale: float, picture: Picture) -> DiffusersDenoiser:
        hint = picture.latent if self.latent_condition else picture.image.to(self.device)
        return DiffusersDenoiser(self, self.embed(text), self.embed(negative), scale, hint)

    def token_positions(self, text: str, phrase: str) -> Sequence[int]:
        return find_tokens(self._chunks(text, self.tokenizer).flatten().tolist(), self._tokens(phrase, self.tokenizer))

    def embed(self, text: str) -> Text:
        """Encodes a text once: long ones in chunks of 75 tokens, as ComfyUI does."""
        if text not in self._texts:
            while len(self._texts) >= KEPT_TEXTS:
                del self._texts[next(iter(self._texts))]
            self._texts[text] = self._embed(text)
        return self._texts[text]

    @torch.no_grad()
    def _embed(self, text: str) -> Text:
        chunks = self._chunks(text, self.tokenizer).to(self.device)
        if self.text_encoder_2 is None:
            return Text(_in_a_row(self.text_encoder(chunks)[0]))
        # SDXL reads the last layer but one of both encoders; the pooled text is the first chunk's.
        first = self.text_encoder(chunks, output_hidden_states=True).hidden_states[-2]
        second = self.text_encoder_2(self._chunks(text, self.tokenizer_2).to(self.device), output_hidden_states=True)
        hidden = torch.cat([first, second.hidden_states[-2]], -1)  # chunks,77,768 and chunks,77,1280
        return Text(_in_a_row(hidden), second.text_embeds[:1])

    def _tokens(self, text: str, tokenizer: Any) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def _chunks(self, text: str, tokenizer: Any) -> Tensor:
        tokens = self._tokens(text, tokenizer)
        begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        filling = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        chunks = []
        for start in range(0, max(len(tokens), 1), CHUNK):
            chunk = [begin, *tokens[start : start + CHUNK], end]
            chunks.append(chunk + [filling] * (CHUNK + 2 - len(chunk)))
        return torch.tensor(chunks)


@dataclass
class DiffusersDenoiser:
    """:class:`~.denoiser.Denoiser` for one stage; ``hint`` is the ControlNet's condition, a picture or its latent."""

    models: DiffusersModels
    positive: Text
    negative: Text
    scale: float
    hint: Tensor
    stride: float = field(default=1.0, init=False)
    noised = staticmethod(variance_exploding)
    _read: tuple[Tensor, Tensor, Known] | None = field(default=None, init=False, repr=False)
    _features: Tensor | None = field(default=None, init=False, repr=False)

    @torch.no_grad()
    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        if self._alone:
            with self._known(x, sigma).answering():
                return self._predict(x, sigma, self.positive)
        both = _together(self.positive, self.negative)
        positive, negative = self._predict(x.expand(2, -1, -1, -1), sigma, both).chunk(2)
        return negative + (positive - negative) * self.scale

    def attention(
        self, x: Tensor, sigma: Tensor, layers: Sequence[str], through_control: bool = True
    ) -> list[AttentionMap]:
        modules = attention_modules(self.models.unet, self.models.controlnet, layers)
        recorders = {module: Recorder(module.processor) for module in modules}
        recorders[modules[-1]].last = True
        scale = HALF_PRECISION_SCALE if self.models.unet.dtype == torch.float16 else 1.0
        for module, recorder in recorders.items():
            module.processor = recorder
        known, self._read = Known(), None
        try:
            with known.learning(parts_of(self.models.unet, self.models.controlnet) if self._alone else ()):
                self._predict(scaled_gradient(x, 1 / scale), sigma, self.positive, through_control)
        except Stop:
            self._read = x.detach(), sigma, known
        finally:
            for module, recorder in recorders.items():
                module.processor = recorder.original
        weights = [scaled_gradient(recorder.weights, scale) for recorder in recorders.values()]
        return [AttentionMap(w, attention_grid(w.shape[1], x.shape[-2], x.shape[-1])) for w in weights]

    def window(self, rows: slice, columns: slice) -> DiffusersDenoiser:
        unit = 1 if self.models.latent_condition else CELL
        rows, columns = (slice(part.start * unit, part.stop * unit) for part in (rows, columns))
        return replace(self, hint=self.hint[..., rows, columns])

    def picture(self, index: int) -> DiffusersDenoiser:
        return self  # texts and condition are one picture's

    @property
    def _alone(self) -> bool:
        """Whether a step asks the network for the positive text alone, as guidance does."""
        return self.scale == 1 or told_scale(self.models.unet) is not None

    def _known(self, x: Tensor, sigma: Tensor) -> Known:
        """What the last pass for attention computed of ``x``, once: it stops where guidance leaves x as it is."""
        read, self._read = self._read, None
        if read is None or not bool(torch.equal(read[1], sigma)) or not torch.equal(read[0], x):
            return Known()
        return read[2]

    def _predict(self, x: Tensor, sigma: Tensor, text: Text, through_control: bool = True) -> Tensor:
        models = self.models
        variance = 1 + sigma**2
        z = (x / variance.sqrt()).to(models.unet.dtype)
        log_sigmas = models.table.to(sigma.device).log()
        time = (log_sigmas - sigma.log()).abs().argmin()
        hidden = text.hidden.to(z.dtype)
        added = _size_conditioning(text, z)
        residuals: dict[str, Any] = {}
        if models.controlnet is not None:
            with torch.set_grad_enabled(torch.is_grad_enabled() and through_control):
                down, middle = self._control(z, time, hidden, added)
            residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        width = told_scale(models.unet)
        if width:  # a consistency model without LoRA is told the scale that it was distilled with (Luo et al. 2023)
            from diffusers.models.embeddings import get_timestep_embedding

            scale = torch.tensor([1000 * (self.scale - 1)], device=z.device)
            residuals["timestep_cond"] = get_timestep_embedding(scale, width).to(z.dtype)
        output = models.unet(z, time, hidden, **added, **residuals).sample.float()
        if models.prediction == "v_prediction":
            return x / variance - output * sigma / variance.sqrt()
        return x - output * sigma

    def _control(self, z: Tensor, time: Tensor, hidden: Tensor, added: dict[str, Any]) -> Any:
        with self._hint_features(z).answering():
            return self._controlled(z, time, hidden, added)

    def _hint_features(self, z: Tensor) -> Known:
        """What a ControlNet first makes of the condition, which is the stage's: computed once."""
        embedding = getattr(self.models.controlnet, "controlnet_cond_embedding", None)
        if embedding is None:
            return Known()
        if self._features is None:
            with torch.no_grad():
                self._features = embedding(self.hint.to(z.dtype))
        return Known({embedding: self._features.expand(len(z), -1, -1, -1)})

    def _controlled(self, z: Tensor, time: Tensor, hidden: Tensor, added: dict[str, Any]) -> Any:
        network = self.models.controlnet
        hint = self.hint.to(z.dtype).expand(len(z), -1, -1, -1)
        kinds = getattr(getattr(network, "config", None), "num_control_type", None)
        if kinds is None:
            return network(z, time, hidden, controlnet_cond=hint, return_dict=False, **added)
        chosen = torch.zeros(len(z), kinds, dtype=z.dtype, device=z.device)
        chosen[:, self.models.control_type] = 1
        return network(
            z, time, hidden, controlnet_cond=[hint], control_type=chosen, control_type_idx=[self.models.control_type],
            return_dict=False, **added,
        )  # fmt: skip


def told_scale(unet: Any) -> int | None:
    """How many numbers tell a network the scale of classifier-free guidance; None for all but consistency models."""
    return getattr(getattr(unet, "config", None), "time_cond_proj_dim", None)


def _size_conditioning(text: Text, z: Tensor) -> dict[str, Any]:
    """SDXL's pooled text and sizes: the picture's own height and width, nothing cropped (Podell et al. 2023, 2.2)."""
    if text.pooled is None:
        return {}
    height, width = z.shape[-2] * CELL, z.shape[-1] * CELL
    sizes = torch.tensor([height, width, 0, 0, height, width], device=z.device, dtype=z.dtype)
    return {
        "added_cond_kwargs": {
            "text_embeds": text.pooled.to(z.dtype),
            "time_ids": sizes.expand(len(text.pooled), -1),
        }
    }


def _in_a_row(hidden: Tensor) -> Tensor:
    """(chunks, 77, C) -> (1, 77·chunks, C)."""
    return hidden.reshape(1, -1, hidden.shape[-1])


def _together(first: Text, second: Text) -> Text:
    """Two texts as a batch; the shorter is repeated, and attention over repeated tokens is unchanged."""
    length = max(first.hidden.shape[1], second.hidden.shape[1])
    hidden = [text.hidden.repeat(1, -(-length // text.hidden.shape[1]), 1)[:, :length] for text in (first, second)]
    pooled = None if first.pooled is None or second.pooled is None else torch.cat([first.pooled, second.pooled])
    return Text(torch.cat(hidden), pooled)
