"""Finishes the embedded models: what they predict in few steps has to look like the photograph.

The run ``diffusion`` teaches UNet, ControlNet and text encoder to denoise; a small network's predictions stay means
of many pictures, and its samples noisy. Here they restore as the decoder asks them to, from noise and after a jump to a
lower noise level, and the decoded prediction is compared with the photograph: by pixels, by features of a pretrained
network, and by a discriminator on those features, which learns at the same time (Sauer et al. 2023, "Adversarial
diffusion distillation", without its teacher). The autoencoder's decoder learns along, and keeps decoding clean latents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.autoencoder import CELL
from ...models.embedded import load, save
from ...models.precision import UNET, autocast
from ...restoration.color_fix import fix_colors
from ..device import CPU, Device
from ..loop import Run
from .examples import Examples, mixed, unmixed
from .likeness import Likeness
from .networks import Networks, watched
from .perceptual import Critic, Features, distances, textures
from .places import energy_of_places
from .samples import sample_sheet

_CLOTH = 8  # cells a side, over which a weave is looked for
_SHIFT = 16  # pixels that the feature network's grid moves at most, lest its own pattern be learnt


@dataclass
class Config:
    """The shipped weights were made with these values; their card says what was done otherwise."""

    minutes: float = 365
    size: int = 256  # of the crops
    whole_from: float = 0.65  # of the time; before it, quarters of the crops: more of them for the same work
    batch: int = 16  # quarters, or as many pixels in whole crops
    rate: float = 4e-4
    clean: int = 2  # examples more whose clean latents the decoder decodes
    larger: float = 0.9  # share of the examples from pictures larger than a crop, most of which are sharper
    pixels: float = 1.5
    tones: float = 2.0  # of the means of 8×8 pixels
    weave: float = 4.0  # of the mean error at each place of the decoder's cells: a pattern that repeats with them
    # Of the features from fine to coarse: so that each moves the networks about half as much as the pixels do. Deep
    # features' gradients are ten times as large, and nearly noise.
    features: tuple[float, ...] = (0.2, 0.2, 0.2, 0.1, 0.03)
    textures: tuple[float, ...] = (1.5, 0.5, 0.6, 0.8, 0.0)  # of the features' statistics over windows
    displeasure: float = 0.15
    likeness: float = 0.0  # of SSIMULACRA2's score, about -50 here; at 0.03 its gradient is as long as textures'
    latents: float = 0.1
    places: float = 0.05
    critic_rate: float = 5e-4
    critic_steps: int = 300  # before its displeasure counts
    jumps: float = 0.5  # share of the examples that stand behind a first step
    restored: float = 0.6  # share whose condition is restored, as the stages before leave it
    no_text: float = 0.1
    degraded_share: float = 0.0
    no_condition: float = 0.0
    seed: int = 0


class Restorer(nn.Module):
    """What is trained: :class:`.diffusion.Networks` and the autoencoder's decoder, started from a folder's weights."""

    def __init__(self, diffusion: Path, autoencoder: Path) -> None:
        super().__init__()
        self.networks = Networks()
        self.networks.unet, self.networks.controlnet = load("unet", diffusion), load("controlnet", diffusion)
        self.networks.text.encoder = load("text_encoder", diffusion)
        rows = load_file(diffusion / "text_encoder.safetensors")["token_embedding.rows"]
        self.networks.text.trained_tokens[rows.long()] = True
        self.decoder = load("autoencoder", autoencoder).decoder
        self.requires_grad_(True).train()


Roundtrip = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def steps_before(
    networks: Networks, batch: dict[str, Tensor], config: Config, kept: Tensor, roundtrip: Roundtrip
) -> None:
    """Puts the examples where the decoder's stages and steps would have taken them: ``z``, ``time``, ``condition``.

    Some have stages behind them, one or two: what a step from noise restores is in their condition, in one region or
    everywhere, after a way through pixels. All begin from noise, and some then go on to a lower noise level by a DDIM
    step: half of them to the second of two steps', which is what decoding takes by default, half of them to any among
    those of two to five steps.

    Args:
        networks: that take the steps.
        batch: from :meth:`.examples.Examples.batch`, and the pictures of the conditions as ``reference``, (B, 3, H, W);
            changed in place.
        config: its ``jumps`` and ``restored``.
        kept: share of the signal at each training step.
        roundtrip: decodes latents, gives them the colours of their references, and encodes them.
    """
    count, last, there = len(batch["target"]), len(kept) - 1, batch["target"].device
    batch["z"], batch["time"] = torch.randn_like(batch["target"]), torch.full((count,), last, device=there)

    def first_step(rows: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The clean latents and the noise that a step from noise finds."""
        arguments = (batch[name][rows] for name in ("time", "tokens", "condition", "strength"))
        with autocast(*UNET, device=there):
            v = networks(noise, *arguments).float()
        return unmixed(noise, v, kept[last])

    stages = (torch.rand(count, device=there) < config.restored).int() * torch.randint(1, 3, (count,), device=there)
    for stage in range(2):
        rows = (stages > stage).nonzero().flatten()
        if len(rows):
            clean, _ = first_step(rows, torch.randn_like(batch["z"][rows]))
            for row, restored in zip(rows.tolist(), roundtrip(clean, batch["reference"][rows]), strict=True):
                present = (batch["masks"][row].mean((1, 2)) > 0).nonzero().flatten()
                whole = not len(present) or torch.rand(()) < 0.4
                mask = 1.0 if whole else batch["masks"][row][present[torch.randint(len(present), ())]]
                batch["condition"][row] = torch.lerp(batch["condition"][row], restored, mask)
    rows = (torch.rand(count, device=there) < config.jumps).nonzero().flatten()
    if len(rows):
        clean, noise = first_step(rows, batch["z"][rows])
        anywhere = torch.randint(int(0.2 * last), int(0.8 * last), (len(rows),), device=there)
        batch["time"][rows] = torch.where(torch.rand(len(rows), device=there) < 0.5, last // 2, anywhere)
        batch["z"][rows] = mixed(clean, noise, kept[batch["time"][rows]].reshape(-1, 1, 1, 1))


class Judge:
    """What the pictures that come out are compared by."""

    def __init__(self, config: Config, device: Device = CPU) -> None:
        self.features, self.critic = device.place(Features()), Critic(config.critic_rate, device)
        self.likeness = device.place(Likeness()) if config.likeness else None
        self.config = config

    def __call__(self, decoded: Tensor, pixels: Tensor, predicted: int) -> dict[str, Tensor]:
        """Weighted terms.

        Args:
            decoded: (B, 3, H, W) in about [-1, 1].
            pixels: the photographs, (B, 3, H, W).
            predicted: how many of the first are the network's predictions; the rest are decoded clean latents.
        """
        down, right = torch.randint(_SHIFT, (2,)).tolist()
        height, width = (n - _SHIFT for n in pixels.shape[-2:])
        window = (..., slice(down, down + height), slice(right, right + width))
        ours, true = (x[window].contiguous(memory_format=torch.channels_last) for x in (decoded, pixels))
        with autocast("convolution", device=ours.device):
            of_ours = self.features(ours)
            with torch.no_grad():
                of_true = self.features(true)
            self.critic.learn([f[:predicted] for f in of_ours], of_true)
            displeasure = self.critic.displeasure([f[:predicted] for f in of_ours])
        shown = self.critic.steps > self.config.critic_steps
        apart, weaker = distances(of_ours, of_true).mean(1), textures(of_ours, of_true).mean(1)
        terms = {
            "pixels": self.config.pixels * (decoded - pixels).abs().mean(),
            "tones": self.config.tones * F.avg_pool2d(decoded - pixels, 8).abs().mean(),
            "weave": self.config.weave * F.avg_pool2d(F.pixel_unshuffle(decoded - pixels, CELL), _CLOTH).abs().mean(),
            "features": apart.new_tensor(self.config.features) @ apart,
            "textures": weaker.new_tensor(self.config.textures) @ weaker,
            "displeasure": self.config.displeasure * shown * displeasure,
        }
        if self.likeness is not None:
            terms["likeness"] = -self.config.likeness * self.likeness(decoded[:predicted], pixels[:predicted]).mean()
        return terms


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> Restorer:
    """Trains, or resumes, in ``out``; the runs ``autoencoder`` and ``diffusion`` must lie beside it.

    Args:
        data: not used: the run ``diffusion`` has gathered all that is needed.
        out: receives the weights of all four embedded models.
        config: how.
        device: where.
    """
    torch.manual_seed(config.seed)
    diffusion, autoencoder = out.parent / "diffusion", out.parent / "autoencoder"
    model = Restorer(diffusion, autoencoder).to(memory_format=torch.channels_last)
    run = Run(out, model, config.minutes, config.rate, warm_up=100, device=device)
    examples, judge, critic = Examples(diffusion, config), Judge(config, device), out / "critic.pt"
    if critic.is_file():
        judge.critic.load_state_dict(torch.load(critic, map_location="cpu", weights_only=True))
    random = np.random.default_rng(config.seed + run.step)
    torch.manual_seed(config.seed + run.step)
    full = examples.latents.shape[-1]
    whole = device.place(load("autoencoder", autoencoder).to(memory_format=torch.channels_last))
    kept = device.batch(examples.kept)

    def decoded(latents: Tensor, decoder: nn.Module = model.decoder) -> Tensor:
        with autocast("convolution", device=latents.device):
            return decoder(latents.contiguous(memory_format=torch.channels_last)).float()

    def roundtrip(clean: Tensor, references: Tensor) -> Tensor:
        pixels = fix_colors(decoded(clean), references).clamp(-1, 1)
        with autocast("convolution", device=pixels.device):
            return whole.encoder(pixels.contiguous(memory_format=torch.channels_last)).float()

    def losses() -> dict[str, Tensor]:
        large = run.seconds / (60 * config.minutes) >= config.whole_from
        count, side = (config.batch // 4, full) if large else (config.batch, full // 2)
        rows = examples.draw(count + config.clean, config.larger)
        batch = device.batch(examples.batch(rows, side, random, pixels=True))
        predicted = {name: value[:count] for name, value in batch.items()}
        with torch.no_grad():
            predicted["reference"] = decoded(predicted["condition"], whole.decoder)
        steps_before(model.networks, predicted, config, kept, roundtrip)
        v, attention = watched(model.networks, predicted)
        clean, _ = unmixed(predicted["z"], v, kept[predicted["time"]].reshape(-1, 1, 1, 1))
        restored = fix_colors(decoded(clean), predicted["reference"])
        pictures = torch.cat([restored, decoded(batch["target"][count:])])
        return {
            **judge(pictures, batch["pixels"], count),
            "latents": config.latents * F.mse_loss(clean, predicted["target"]),
            "places": config.places * energy_of_places(attention, predicted["places"], predicted["masks"]),
        }

    @torch.no_grad()
    def validate(average: Restorer) -> dict[str, float]:
        torch.save(judge.critic.state_dict(), critic)
        export(average)
        return sample_sheet(average.networks, examples, average.decoder, judge.features, out, run.step, device)

    def export(average: Restorer) -> None:
        at_home = device.home(average)
        at_home.networks.save(out)
        finished = load("autoencoder", autoencoder)
        finished.decoder.load_state_dict(at_home.decoder.state_dict())
        save("autoencoder", finished, out)

    run.train(losses, validate, every_minutes=9)
    return run.average
