"""Artifacts for tests: autoencoders with random weights, and statistics of real frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from heist_encoders.autoencoders import create_autoencoder
from heist_encoders.engine import Engine
from heist_encoders.zoo import save_artifact
from heist_encoders.zoo.artifact import Artifact


@dataclass(frozen=True)
class PlayedSpec:
    """What an artifact takes over from a dataset's spec."""

    distribution_mode: str = "memory"
    game: str = "heist"
    use_backgrounds: bool = False


@dataclass(frozen=True)
class Played:
    """Frames of 40 levels after a few random steps, with the interface of a dataset that artifacts need."""

    spec: PlayedSpec = field(default_factory=PlayedSpec)
    hash: str = "0" * 64

    def frames(self, split: str) -> NDArray[np.uint8]:
        return played_frames(40, mode=self.spec.distribution_mode, game=self.spec.game)


def played_frames(num: int, *, mode: str = "memory", game: str = "heist", seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (num, 64, 64, 3): real frames, one game each."""
    actions = np.random.default_rng(seed).integers(0, 9, (5, num))
    with Engine(num, game=game, distribution_mode=mode) as engine:
        engine.load_levels([seed * 1_000 + i for i in range(num)])
        for row in actions:
            engine.act(row)
        return engine.frames.copy()


def make_artifact(
    folder: Path, family: str = "vae_alex", *, mode: str = "memory", seed: int = 0, **more: Any
) -> Artifact:
    """An artifact of a random autoencoder. ``more`` goes to ``save_artifact``."""
    torch.manual_seed(seed)
    model = create_autoencoder(family).eval()
    dataset = Played(PlayedSpec(mode))
    return save_artifact(folder, model, name=folder.name, dataset=dataset, training={"samples": 0}, **more)
