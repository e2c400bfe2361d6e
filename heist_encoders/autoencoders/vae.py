"""vae_paper and vae_alex: the variational autoencoder of World Models (Ha and Schmidhuber 2018)."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.layers import LatentSize, PixelToMap, Widths4, initialise_colours
from heist_encoders.autoencoders.registry import register_autoencoder
from heist_encoders.config import Config
from heist_encoders.json_text import JsonObject


class VaePaperParams(Config):
    """Sizes of ``VaePaper``."""

    channels: Widths4 = (32, 64, 128, 256)
    """Of the four convolutions; the decoder mirrors them."""
    latent_size: LatentSize = 22


class VaeAlexParams(VaePaperParams):
    """Sizes of ``VaeAlex``."""

    latent_size: LatentSize = 64


class _Vae(BaseAutoencoder):
    """Four conv 4x4/2 with BN and leaky ReLU, linear to mean and log variance; mirror decoder."""

    params: VaePaperParams

    def __init__(self, params: VaePaperParams) -> None:
        super().__init__(params)
        widths = (3, *params.channels)
        down: list[nn.Module] = []
        for before, after in pairwise(widths):  # 64 -> 31 -> 14 -> 6 -> 2
            down += [
                nn.Conv2d(before, after, 4, stride=2, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(inplace=True),
            ]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        initialise_colours(self.encoder)
        features = params.channels[-1] * 2 * 2
        self.mean = nn.Linear(features, params.latent_size)
        self.log_variance = nn.Linear(features, params.latent_size)
        self.expand = nn.Linear(params.latent_size, features)
        first, second, third, _ = params.channels
        self.decoder = nn.Sequential(
            PixelToMap(features, third, 5, stride=2, bias=False),  # 1 -> 5
            nn.BatchNorm2d(third),
            nn.LeakyReLU(inplace=True),
            nn.ConvTranspose2d(third, second, 5, stride=2, bias=False),  # -> 13
            nn.BatchNorm2d(second),
            nn.LeakyReLU(inplace=True),
            nn.ConvTranspose2d(second, first, 6, stride=2, bias=False),  # -> 30
            nn.BatchNorm2d(first),
            nn.LeakyReLU(inplace=True),
            nn.ConvTranspose2d(first, 3, 6, stride=2),  # -> 64
        )

    def encode(self, frames: Tensor) -> Tensor:
        mean: Tensor = self.mean(self.encoder(frames))
        return mean.float()

    def decode(self, latent: Tensor) -> Tensor:
        """float (B, latent_size) -> float (B, 3, 64, 64) in [0, 1]."""
        hidden = self.expand(latent)  # (B, 4 * c3)
        return torch.sigmoid(self.decoder(hidden[:, :, None, None]))

    def forward(self, frames: Tensor) -> Output:
        """Draws the latent in train mode; takes its mean in eval mode."""
        features = self.encoder(frames)  # (B, 4 * c3)
        mean = self.mean(features).float()
        log_variance = self.log_variance(features).float().clamp(-10.0, 10.0)
        latent = mean
        if self.training:
            latent = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return Output(self.decode(latent), mean, mean, log_variance)


@register_autoencoder(name="vae_paper")
class VaePaper(_Vae):
    """The VAE of World Models. Encoding: (latent_size,), its mean."""

    Params = VaePaperParams
    default_training: ClassVar[JsonObject] = {
        "batch_size": 32,
        "schedule": "cosine",
        "loss": {"beta": 1e-6},
    }


@register_autoencoder(name="vae_alex")
class VaeAlex(_Vae):
    """The same, wider at the bottleneck and trained with a perceptual loss. Encoding: (latent_size,), its mean."""

    Params = VaeAlexParams
    default_training: ClassVar[JsonObject] = {
        "batch_size": 32,
        "schedule": "cosine",
        "loss": {"beta": 1e-6, "perceptual": 0.1},
    }
