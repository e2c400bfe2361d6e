"""Perceptual loss: distance of images in what AlexNet's first two convolutions see."""

from __future__ import annotations

import hashlib
from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from heist_encoders.errors import ArtifactError

WEIGHTS = "alexnet-features-0-3.safetensors"
SHA256 = "f9e51b29d59468b670cacea798ff203c46760931ca268db310a7d6d51566a2ce"

# torchvision's statistics of ImageNet, for images in [0, 1].
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class PerceptualFeatures(nn.Module):
    """AlexNet ``features[0:5]`` (Krizhevsky et al. 2012; torchvision's ImageNet weights) and a sigmoid; frozen.

    The weights come with this package; nothing is downloaded.

    Raises:
        ArtifactError: if the packaged weights are altered.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        blob = resources.files("heist_encoders.autoencoders").joinpath("weights", WEIGHTS).read_bytes()
        found = hashlib.sha256(blob).hexdigest()
        if found != SHA256:
            raise ArtifactError(f"{WEIGHTS} has sha256 {found}, expected {SHA256}; reinstall heist-encoders")
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),  # 64 -> 15
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),  # -> 7
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
        )
        self.features.load_state_dict({k.removeprefix("features."): v for k, v in load(blob).items()})
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """float (B, 3, 64, 64) in [0, 1] -> float (B, 192, 7, 7) in [0.5, 1)."""
        features: Tensor = self.features((images - self.mean) / self.std)
        return torch.sigmoid(features)

    def loss(self, frames: Tensor, reconstruction: Tensor) -> Tensor:
        """Mean squared distance of the features; a float32 scalar. No gradient flows into ``frames``."""
        with torch.no_grad():
            target = self(frames)
        return functional.mse_loss(self(reconstruction).float(), target.float())
