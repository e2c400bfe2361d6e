from __future__ import annotations

import numpy as np
import pytest
import torch

from heist_encoders.errors import ArtifactError, ConfigError
from heist_encoders.policies.clone import clone, encoded_moves
from heist_encoders.policies.heads import HeadConfig
from heist_encoders.policies.planner import plan_accuracy
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.encoder import load_encoder


def test_learns_more_than_chance(artifact: Artifact) -> None:
    seen: dict[str, list[int]] = {"encode": [], "learn": []}
    policy = clone(
        artifact, mode="memory", frames=1008, samples=3000, backend="torch",
        progress=lambda stage, done, _: seen[stage].append(done),
    )  # fmt: skip
    assert policy.head.config.kind == "mlp"
    assert seen["encode"] == [1008]
    assert seen["learn"][-1] == 3000
    encodings, moves = encoded_moves(policy.encoder, "memory", 1008)
    assert encodings.dtype == np.float16
    frequent = np.tile(moves.sum(axis=0), (len(moves), 1))
    with_policy = policy.head(torch.tensor(encodings.astype(np.float32)))[0].detach().numpy()
    assert plan_accuracy(with_policy, moves) > plan_accuracy(frequent, moves) + 0.05
    assert policy.training["class"] == "D"
    assert policy.training["demonstration_frames"] == 1008


def test_same_seed_same_policy(artifact: Artifact) -> None:
    first, second, other = (
        clone(artifact, mode="memory", frames=100, backend="torch", seed=seed).head.logits.weight for seed in (0, 0, 1)
    )
    assert first.equal(second)
    assert not first.equal(other)


def test_frames_are_normalised(artifact: Artifact) -> None:
    encodings, moves = encoded_moves(load_encoder(artifact, backend="torch"), "memory", 1100)
    assert encodings.shape == (1100, *artifact.encoding_shape)
    assert abs(float(encodings.astype(np.float32).mean())) < 1
    np.testing.assert_allclose(moves.sum(axis=1), 1, rtol=1e-5)


def test_errors(artifact: Artifact) -> None:
    with pytest.raises(ArtifactError, match="asked for easy"):
        clone(artifact, mode="easy", frames=10)
    with pytest.raises(ConfigError, match="memory"):
        clone(artifact, mode="memory", frames=10, head=HeadConfig(lstm=4))
    with pytest.raises(ConfigError, match="at least 1"):
        clone(artifact, mode="memory", frames=0)


def test_processes_draw_the_same_frames(artifact: Artifact) -> None:
    encoder = load_encoder(artifact, backend="torch")
    alone, together = (encoded_moves(encoder, "memory", 2100, workers=workers) for workers in (1, 2))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
