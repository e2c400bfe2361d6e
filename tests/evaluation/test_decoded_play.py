"""Playing by reconstructions: what was lost shows in play, and what says nothing is left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from heist_encoders.autoencoders import create_autoencoder
from heist_encoders.constants import EVALUATION_LEVELS, NOOP
from heist_encoders.errors import ConfigError
from heist_encoders.evaluation.decoded_play import ThroughReconstructions, play_reconstructions, played
from heist_encoders.policies.artifact import load_policy
from heist_encoders.policies.play import StepInput
from heist_encoders.zoo import find_artifact

LEVELS = EVALUATION_LEVELS[:8]


def seen(games: list[int], value: int) -> StepInput:
    frames = np.full((len(games), 64, 64, 3), value, np.uint8)
    return StepInput(np.array(games), frames, np.zeros(len(games), np.float32), SimpleNamespace())  # type: ignore[arg-type]


def test_the_policy_sees_reconstructions_until_the_patience_is_at_its_end() -> None:
    asked: list[tuple[list[int], int]] = []

    def act(given: StepInput) -> Any:
        asked.append((given.games.tolist(), int(given.frames[0, 0, 0, 0])))
        return np.full(len(given.games), 7)

    policy: Any = SimpleNamespace(name="fake", start=lambda games: None, act=act)
    runner = ThroughReconstructions(policy, lambda frames: frames + 1, patience=2)
    runner.start([0, 3])
    assert runner.act(seen([0, 3], 5)).tolist() == [7, 7]
    runner.start([3])
    assert runner.act(seen([0, 3], 5)).tolist() == [7, 7]
    assert runner.act(seen([0, 3], 5)).tolist() == [NOOP, 7]
    assert runner.act(seen([0, 3], 5)).tolist() == [NOOP, NOOP]
    assert asked == [([0, 3], 6), ([0, 3], 6), ([3], 6)]


def test_it_tells_a_good_encoder_from_a_random_one() -> None:
    policy = load_policy("best", distribution_mode="easy")
    artifact = find_artifact("grid", "easy")
    trained = play_reconstructions(artifact.load_model(), policy, LEVELS)
    torch.manual_seed(0)
    untrained = play_reconstructions(create_autoencoder("grid", artifact.params), policy, LEVELS, patience=40)
    assert trained.success_rate >= 0.75
    assert untrained.success_rate <= 0.25
    assert trained.player == "policy"


def test_what_says_nothing_is_left_out() -> None:
    unpool = find_artifact("conv_unpool", "easy")
    assert played(unpool.load_model(), unpool, 2) is None
    with pytest.raises(ConfigError, match="decoder of conv_unpool is given more than the encoding"):
        play_reconstructions(unpool.load_model(), load_policy("best", distribution_mode="easy"), LEVELS)
