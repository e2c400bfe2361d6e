"""DAgger: what is played, what is asked of the oracle, what is learned from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from heist_encoders.constants import TRAIN_LEVELS
from heist_encoders.errors import ConfigError
from heist_encoders.policies.dagger import Trainee, dagger
from heist_encoders.policies.heads import HeadConfig, HeadPolicy
from heist_encoders.policies.policy import Policy
from heist_encoders.zoo.artifact import Artifact
from tests.zoo.making import played_frames


def fresh(artifact: Artifact, lstm: int = 0, seed: int = 0, num_actions: int = 9) -> Policy:
    torch.manual_seed(seed)
    config = HeadConfig(kind="mlp", hiddens=[64], lstm=lstm)
    head = HeadPolicy(artifact.encoding_shape, config, num_actions=num_actions)
    return Policy(head, artifact, backend="torch")


def test_every_step_has_the_oracles_moves_and_episodes_end(artifact: Artifact) -> None:
    trainee = Trainee(fresh(artifact, lstm=4), games=6, max_steps=5, seed=3)
    try:
        first, second = trainee.play(8, 0.0), trainee.play(4, 1.0)
    finally:
        trainee.close()
    assert first.encodings.shape == (6, 8, *artifact.encoding_shape)
    np.testing.assert_allclose(first.moves.sum(-1), 1, rtol=1e-6)
    assert first.first[:, 0].all()
    assert first.first[:, 5].all(), "after 5 steps comes another level"
    assert not first.first[:, 1:5].all()
    assert first.state is not None
    assert second.state is not None
    assert not first.state[0].any()
    assert second.state[0].any(), "the memory goes on from one chunk to the next"


def test_a_head_with_all_of_procgens_actions_learns_the_moves(artifact: Artifact) -> None:
    policy = fresh(artifact, num_actions=15)
    learned = dagger(policy, steps=1024, games=16, chunk=8, lr=3e-3)
    frames = played_frames(16)
    before, after = (torch.from_numpy(p.logits(frames)).softmax(1)[:, 9:].sum() for p in (policy, learned))
    assert after < before / 2, "the six others are never the oracle's"


def test_the_oracle_alone_solves_levels_of_the_training_range(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainee = Trainee(fresh(artifact), games=8, max_steps=400, seed=0)
    opened: list[int] = []
    queue = trainee._engine.queue_level
    monkeypatch.setattr(trainee._engine, "queue_level", lambda game, seed: (opened.append(seed), queue(game, seed)))
    try:
        trainee.play(150, 1.0)
    finally:
        trainee.close()
    assert trainee.episodes >= 8
    assert trainee.solved == trainee.episodes
    assert len(set(opened)) == len(opened)
    assert all(seed in TRAIN_LEVELS for seed in opened)


@pytest.mark.parametrize("lstm", [0, 16])
def test_learns_and_leaves_the_first_policy_alone(artifact: Artifact, lstm: int) -> None:
    policy = fresh(artifact, lstm)
    before = {name: value.clone() for name, value in policy.head.state_dict().items()}
    seen: list[int] = []
    learned = dagger(
        policy, steps=1024, games=16, chunk=8, lr=3e-3, oracle_share=0.5, seed=1,
        progress=lambda done, total, ended, solved: seen.append(done),
    )  # fmt: skip
    assert seen == list(range(128, 1025, 128))
    assert all(torch.equal(value, before[name]) for name, value in policy.head.state_dict().items())
    trainee = Trainee(policy, games=32, max_steps=100, seed=9)
    try:
        chunk = trainee.play(4, 1.0)
    finally:
        trainee.close()
    losses = []
    for model in (policy.head, learned.head):
        x = torch.from_numpy(chunk.encodings[:, 0]).float()
        target = torch.from_numpy(chunk.moves[:, 0])
        with torch.no_grad():
            losses.append(float(nn.functional.cross_entropy(model(x)[0], target)))
    assert losses[1] < losses[0] - 0.04
    assert learned.training["class"] == "D"
    assert learned.training["demonstration_frames"] == 1024
    assert learned.training["method"] == "DAgger"


def test_unrolled_is_step_by_step() -> None:
    torch.manual_seed(0)
    head = HeadPolicy((5,), HeadConfig(kind="mlp", hiddens=[8], lstm=6)).eval()
    x, first = torch.randn(3, 4, 5), torch.zeros(3, 4, dtype=torch.bool)
    first[:, 0] = True
    first[1, 2] = True
    start = (torch.randn(3, 6), torch.randn(3, 6))
    with torch.no_grad():
        whole = head.unroll(x, first, start)
        state = start
        for step in range(4):
            keep = (~first[:, step, None]).float()
            logits, _, state = head(x[:, step], (state[0] * keep, state[1] * keep))
            torch.testing.assert_close(whole[:, step], logits)


def test_same_seed_same_policy(artifact: Artifact) -> None:
    weights = [dagger(fresh(artifact), steps=128, games=8, chunk=8, seed=seed).head.logits.weight for seed in (0, 0, 1)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"steps": 8, "games": 0}, {"steps": 8, "oracle_share": 1.5}, {"steps": 8, "replay": -1}]
)
def test_numbers_out_of_range(artifact: Artifact, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected numbers of at least 1"):
        dagger(fresh(artifact), **wrong)  # type: ignore[arg-type]
