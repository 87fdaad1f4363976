"""The denoiser on diffusers' models: what the command line decodes with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SedicError
from .denoiser import AttentionMap, attention_grid, attention_weights
from .energy import find_tokens

CHUNK = 75  # tokens between CLIP's start and end token


class _Stop(Exception):
    pass


def noise_levels(linear_start: float = 0.00085, linear_end: float = 0.012, steps: int = 1000) -> Tensor:
    """σ of Stable Diffusion's 1000 training steps, rising, (steps,): β are squares of evenly spaced numbers."""
    betas = torch.linspace(linear_start**0.5, linear_end**0.5, steps, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)
    return ((1 - kept) / kept).sqrt().float()


def simple_schedule(table: Tensor, steps: int) -> Tensor:
    """Evenly strided levels from the top of the table, then 0; ComfyUI's ``simple``."""
    stride = len(table) / steps
    return torch.tensor([float(table[-(1 + int(i * stride))]) for i in range(steps)] + [0.0])


def karras_schedule(table: Tensor, steps: int, rho: float = 7.0) -> Tensor:
    """Karras et al. (2022), Eq. 5, then 0."""
    low, high = float(table[0]) ** (1 / rho), float(table[-1]) ** (1 / rho)
    return torch.cat([(high + torch.linspace(0, 1, steps) * (low - high)) ** rho, torch.zeros(1)])


SCHEDULES = {"simple": simple_schedule, "karras": karras_schedule}


@dataclass
class DiffusersModels:
    """diffusers' and transformers' models as :class:`~.denoiser.Models`.

    Attributes:
        autoencoder: AutoencoderTiny or AutoencoderKL.
        unet: UNet2DConditionModel.
        controlnet: ControlNetModel, or None.
        text_encoder, tokenizer: CLIPTextModel and CLIPTokenizer.
        prediction: ``epsilon`` or ``v_prediction``.
        latent_condition: whether the ControlNet takes the condition's latent instead of its pixels.
    """

    autoencoder: Any
    unet: Any
    controlnet: Any
    text_encoder: Any
    tokenizer: Any
    prediction: str = "epsilon"
    latent_condition: bool = False
    table: Tensor = field(default_factory=noise_levels)

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @classmethod
    def from_folder(cls, folder: Path, device: str = "cpu") -> DiffusersModels:
        """Reads ``vae``, ``unet``, ``text_encoder``, ``tokenizer``, ``scheduler`` and, if there, ``controlnet``.

        Raises:
            SedicError: a part is missing or cannot be read.
        """
        import diffusers
        import transformers

        def read(part: str, kind: Any, **options: Any) -> Any:
            try:
                return kind.from_pretrained(folder / part, local_files_only=True, **options)
            # tokenizers raises bare Exception for a damaged vocabulary
            except Exception as error:
                raise SedicError(
                    f"{folder / part} cannot be read as a {kind.__name__} ({str(error).strip().splitlines()[0]}); "
                    "--models takes a folder in diffusers' layout, with controlnet beside unet."
                ) from error

        plain = {"low_cpu_mem_usage": False}  # otherwise diffusers asks for accelerate, line after line
        unet = read("unet", diffusers.UNet2DConditionModel, **plain).to(device)
        controlnet = None
        if (folder / "controlnet").is_dir():
            controlnet = read("controlnet", diffusers.ControlNetModel, **plain).to(device)
        return cls(
            autoencoder=read("vae", diffusers.AutoencoderKL, **plain).to(device),
            unet=unet,
            controlnet=controlnet,
            text_encoder=read("text_encoder", transformers.CLIPTextModel).to(device),
            tokenizer=read("tokenizer", transformers.CLIPTokenizer),
            prediction=read("scheduler", diffusers.DDIMScheduler).config.prediction_type,
            latent_condition=controlnet is not None
            and controlnet.config.conditioning_channels == unet.config.in_channels,
        )

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        pixels = image.to(self.device, self.autoencoder.dtype) * 2 - 1
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
        return noise * (1 + sigma**2).sqrt() + latent

    def condition(self, text: str, negative: str, scale: float, image: Tensor) -> DiffusersDenoiser:
        hint = self.encode(image) if self.latent_condition else image.to(self.device)
        return DiffusersDenoiser(self, self.embed(text), self.embed(negative), scale, hint)

    def token_positions(self, text: str, phrase: str) -> Sequence[int]:
        return find_tokens(self._chunks(text).flatten().tolist(), self._tokens(phrase))

    @torch.no_grad()
    def embed(self, text: str) -> Tensor:
        """Text to (1, 77·chunks, C): long texts are encoded in chunks of 75 tokens, as ComfyUI does."""
        hidden = self.text_encoder(self._chunks(text).to(self.device))[0]
        return hidden.reshape(1, -1, hidden.shape[-1])

    def _tokens(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _chunks(self, text: str) -> Tensor:
        tokens = self._tokens(text)
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        filling = end if self.tokenizer.pad_token_id is None else self.tokenizer.pad_token_id
        chunks = []
        for start in range(0, max(len(tokens), 1), CHUNK):
            chunk = [begin, *tokens[start : start + CHUNK], end]
            chunks.append(chunk + [filling] * (CHUNK + 2 - len(chunk)))
        return torch.tensor(chunks)


@dataclass
class DiffusersDenoiser:
    """:class:`~.denoiser.Denoiser` for one stage; ``hint`` is the ControlNet's condition."""

    models: DiffusersModels
    positive: Tensor
    negative: Tensor
    scale: float
    hint: Tensor

    @torch.no_grad()
    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        if self.scale == 1:
            return self._predict(x, sigma, self.positive)
        length = max(self.positive.shape[1], self.negative.shape[1])
        texts = torch.cat([_repeat_to(t, length) for t in (self.positive, self.negative)])
        positive, negative = self._predict(x.expand(2, -1, -1, -1), sigma, texts).chunk(2)
        return negative + (positive - negative) * self.scale

    def attention(self, x: Tensor, sigma: Tensor, layers: str) -> list[AttentionMap]:
        modules = attention_modules(self.models.unet, layers)
        recorders = {module: _Recorder(module.processor) for module in modules}
        last = modules[-1]
        recorders[last].last = True
        for module, recorder in recorders.items():
            module.processor = recorder
        try:
            self._predict(x, sigma, self.positive)
        except _Stop:
            pass
        finally:
            for module, recorder in recorders.items():
                module.processor = recorder.original
        weights = [recorder.weights for recorder in recorders.values()]
        return [AttentionMap(w, attention_grid(w.shape[1], x.shape[-2], x.shape[-1])) for w in weights]

    def _predict(self, x: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
        models = self.models
        variance = 1 + sigma**2
        z = (x / variance.sqrt()).to(models.unet.dtype)
        log_sigmas = models.table.to(sigma.device).log()
        time = (log_sigmas - sigma.log()).abs().argmin()
        text = text.to(z.dtype)
        residuals: dict[str, Any] = {}
        if models.controlnet is not None:
            hint = self.hint.to(z.dtype).expand(len(z), -1, -1, -1)
            down, middle = models.controlnet(z, time, text, controlnet_cond=hint, return_dict=False)
            residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        output = models.unet(z, time, text, **residuals).sample.float()
        if models.prediction == "v_prediction":
            return x / variance - output * sigma / variance.sqrt()
        return x - output * sigma


class _Recorder:
    """An attention processor that keeps the weights of the wrapped module's forward pass."""

    def __init__(self, original: Any):
        self.original, self.weights, self.last = original, torch.empty(0), False

    def __call__(self, attention: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, **_: Any) -> Tensor:
        query, key = attention.to_q(hidden_states), attention.to_k(encoder_hidden_states)
        self.weights = attention_weights(query, key, attention.heads)
        if self.last:
            raise _Stop
        return self.original(attention, hidden_states, encoder_hidden_states=encoder_hidden_states)


def attention_modules(unet: nn.Module, layers: str) -> list[Any]:
    """The cross-attention modules of the chosen block, in the order in which they run."""
    ups = [block for block in unet.up_blocks if getattr(block, "has_cross_attention", False)]  # type: ignore[union-attr]
    choices = {"middle block": unet.mid_block}
    choices |= {f"{rank} up block": block for rank, block in zip(("first", "second"), ups, strict=False)}
    if layers not in choices:
        raise SedicError(f"This model has no {layers} with cross-attention; choose from {', '.join(choices)}.")
    return [
        transformer.attn2
        for attention in choices[layers].attentions  # type: ignore[union-attr]
        for transformer in attention.transformer_blocks
    ]


def _repeat_to(text: Tensor, length: int) -> Tensor:
    """Texts of different lengths are repeated to a common one; attention over repeated tokens is unchanged."""
    return text.repeat(1, -(-length // text.shape[1]), 1)[:, :length]
