"""The embedded autoencoder: a principal-component transform of 8×8 blocks, corrected by residual networks.

TAESD's shape (Bohan, 2023) spends most of its work on 64 channels at full size and learns slowly on a CPU. Here no
convolution runs at full size, and before any training the linear path is already the best linear code of its length
(:func:`~sedic.training.diffusion.autoencoder.start_from_components`); the networks only correct it. Outside it looks
like diffusers' ``AutoencoderTiny``.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 8


class Residual(nn.Module):
    """x + a small network of x, (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class Encoder(nn.Module):
    """(B, 3, H, W) in [-1, 1] -> (B, C, H/8, W/8)."""

    def __init__(self, latent_channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(3 * CELL**2, latent_channels, 1)
        self.body = nn.Sequential(
            nn.Conv2d(3 * CELL**2, width, 3, padding=1), *[Residual(width) for _ in range(depth)], nn.SiLU()
        )
        self.correction = nn.Conv2d(width, latent_channels, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        blocks = F.pixel_unshuffle(pixels, CELL)  # B,3,H,W -> B,192,H/8,W/8
        return self.linear(blocks) + self.correction(self.body(blocks))


class Decoder(nn.Module):
    """(B, C, h, w) -> (B, 3, 8h, 8w), about [-1, 1]."""

    def __init__(self, latent_channels: int, width: int, depth: int, fine_width: int, fine_depth: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(latent_channels, 3 * CELL**2, 1)
        self.coarse = nn.Sequential(
            nn.Conv2d(latent_channels, width, 3, padding=1), *[Residual(width) for _ in range(depth)], nn.SiLU()
        )
        self.widen = nn.Conv2d(width, 4 * fine_width, 1)
        self.fine = nn.Sequential(*[Residual(fine_width) for _ in range(fine_depth)], nn.SiLU())
        self.correction = nn.Conv2d(fine_width, 3 * (CELL // 2) ** 2, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        fine = F.pixel_shuffle(self.widen(self.coarse(latent)), 2)  # B,4F,h,w -> B,F,2h,2w
        corrected = F.pixel_shuffle(self.correction(self.fine(fine)), CELL // 2)  # B,48,2h,2w -> B,3,8h,8w
        return F.pixel_shuffle(self.linear(latent), CELL) + corrected


class Autoencoder(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] <-> latents (B, ``latent_channels``, H/8, W/8) of about unit deviation.

    Args:
        latent_channels: of the latent.
        encoder_width, encoder_depth: channels and residual blocks of the encoder, at 1/8 size.
        width, depth: the decoder's at 1/8 size.
        fine_width, fine_depth: the decoder's at 1/4 size.
    """

    def __init__(
        self,
        latent_channels: int,
        encoder_width: int,
        encoder_depth: int,
        width: int,
        depth: int,
        fine_width: int,
        fine_depth: int,
    ) -> None:
        super().__init__()
        self.config = SimpleNamespace(latent_channels=latent_channels, scaling_factor=1.0)
        self.encoder = Encoder(latent_channels, encoder_width, encoder_depth)
        self.decoder = Decoder(latent_channels, width, depth, fine_width, fine_depth)

    @property
    def dtype(self) -> torch.dtype:
        return self.encoder.linear.weight.dtype

    def encode(self, pixels: Tensor) -> SimpleNamespace:
        """The latent as ``.latents``; H and W must be multiples of 8."""
        return SimpleNamespace(latents=self.encoder(pixels))

    def decode(self, latent: Tensor) -> SimpleNamespace:
        """The picture as ``.sample``."""
        return SimpleNamespace(sample=self.decoder(latent))
