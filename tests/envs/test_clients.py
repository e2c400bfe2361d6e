"""Other people's training loops run on the gymnasium environments as they are."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from heist_encoders.envs import register_encoder_env
from heist_encoders.zoo.encoder import Encoder

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def example(name: str) -> ModuleType:
    """A script of experiments/ as a module."""
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def env_id(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    register_encoder_env("clients-test-v0", encoder.artifact, backend="torch")
    yield "clients-test-v0"
    del gymnasium.registry["clients-test-v0"]


def test_stable_baselines3(env_id: str) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_checker import check_env

    check_env(gymnasium.make(env_id).unwrapped)
    # No episode of memory mode ends within 64 steps, unless by luck.
    mean = example("sb3_ppo").main(["--id", env_id, "--steps", "64", "--envs", "2", "--rollout", "32"])
    assert math.isnan(mean) or 0 <= mean <= 10


def test_cleanrl_style_loop(env_id: str) -> None:
    module = example("cleanrl_ppo")
    arguments = ["--id", env_id, "--steps", "128", "--envs", "4", "--rollout", "16"]
    agent, player, losses = module.main(arguments)
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert player.observation.shape == (4, 22)
    torch.manual_seed(0)
    fresh = module.Agent(22, 9)
    assert any(not torch.equal(a, b) for a, b in zip(agent.parameters(), fresh.parameters(), strict=True))
    again, _, same = module.main(arguments)
    assert same == losses
    assert all(torch.equal(a, b) for a, b in zip(agent.parameters(), again.parameters(), strict=True))


def test_cleanrl_style_loop_learns_at_episodes_ends(env_id: str) -> None:
    """A game that ends every third step, by its exit or by its time limit, in turns: advantages by their definition."""
    module = example("cleanrl_ppo")
    gamma, decay = module.GAMMA, module.GAMMA * module.LAMBDA
    done = torch.tensor([False, False, True, False, False, False, True, False])
    terminated = torch.tensor([False, False, True, False, False, False, False, False])
    valid = ~torch.cat([torch.tensor([False]), done[:-1]])
    rewards = torch.tensor([0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    values = torch.tensor([1.0, 2.0, 3.0, 9.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    unused = torch.zeros(8, 1)
    columns: Any = (values[:, None], rewards[:, None], terminated[:, None], done[:, None], valid[:, None])
    found = module.advantages_of(module.Rollout(unused, unused, unused, *columns))[:, 0]
    last = 10.0 - 3.0
    assert found[2] == pytest.approx(last)
    assert found[1] == pytest.approx((gamma * 3 - 2) + decay * last)
    # Cut by the time limit: the last observation's value goes in, nothing of the next episode does.
    assert found[6] == pytest.approx(gamma * 7.0 - 6.0)
    assert found[5] == pytest.approx((gamma * 6 - 5) + decay * float(found[6]))
    assert valid.tolist() == [True, True, True, False, True, True, True, False]


def test_cleanrl_style_loop_leaves_resets_out(env_id: str) -> None:
    module = example("cleanrl_ppo")
    torch.manual_seed(0)
    envs: Any = gymnasium.make_vec(
        env_id, num_envs=2, vectorization_mode="vector_entry_point", actions="moves", num_levels=1
    )
    player = module.Player(envs, 0)
    rollout = player.play(module.Agent(22, 9), 1_003)
    envs.close()
    ends = rollout.done.nonzero().tolist()
    assert len(ends) >= 2
    for step, game in ends:
        assert not rollout.valid[step + 1, game]
        assert rollout.rewards[step + 1, game] == 0
    assert int((~rollout.valid).sum()) == len([step for step, _ in ends if step + 1 < 1_003])
