"""The curriculum moves starts back from the exit, as far as the agent succeeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from heist_encoders.envs import make_env, make_vector_env
from heist_encoders.envs.starts import Curriculum, StartOptions
from heist_encoders.errors import ConfigError
from heist_encoders.tasks.heist.solver import Oracle


def test_the_curriculum_moves_back_down_to_true_starts() -> None:
    env = make_vector_env(
        None, num_envs=16, distribution_mode="easy", start_share=1.0, start_distribution="curriculum",
        curriculum_bound=8, curriculum_window=4, num_levels=20,
    )  # fmt: skip
    assert env.curriculum == {"bound": 8, "previous_bound": 0, "results": []}
    info = env.reset(seed=0)[1]
    oracle = Oracle()
    shares, bounds = [], [int(info["curriculum_bound"][0])]
    opened = [info]
    for _ in range(500):
        info = env.step([oracle.action(env.engine.get_state(i)) for i in range(16)])[4]
        if "curriculum_bound" in info:
            opened.append(info)
            bounds.append(int(info["curriculum_bound"].max()))
    for info in opened:
        begun = info["_curriculum_bound"]
        shares.append((begun & info.get("_start", np.zeros(16, bool))).sum() / begun.sum())
    assert bounds == sorted(bounds)
    assert bounds[0] == 8
    assert env.curriculum["bound"] > 30
    assert shares[0] > 0.8
    assert np.mean(shares[-20:]) < 0.4


def test_the_curriculum_stays_where_it_fails() -> None:
    env = make_env(None, distribution_mode="easy", start_share=1.0, start_distribution="curriculum",
                   curriculum_window=3, time_limit=2)  # fmt: skip
    env.reset(seed=0)
    for _ in range(30):
        while not any(env.step(4)[2:4]):
            pass
        assert env.reset()[1]["curriculum_bound"] == 4
    assert env.curriculum == {"bound": 4, "previous_bound": 0, "results": [False] * 3}


def make_curriculum(window: int = 4, threshold: float = 0.75) -> Curriculum:
    options = {"start_share": 1.0, "start_distribution": "curriculum"}
    return Curriculum(
        StartOptions.from_dict({**options, "curriculum_window": window, "curriculum_threshold": threshold})
    )


def test_results_count_in_the_order_of_beginning() -> None:
    """Else the first results after a move would be successes, for failures take until the time limit."""
    curriculum = make_curriculum()
    for game in range(8):
        curriculum.begin(game, 3)
    for game in (4, 5, 6, 7):
        curriculum.end(game, True)
    assert curriculum.state == {"bound": 4, "previous_bound": 0, "results": []}
    for game in (0, 1, 2, 3):
        curriculum.end(game, False)
    # The window slides over False * 4, then one True after the other, and is full of what moves it at the third.
    assert curriculum.state == {"bound": 5, "previous_bound": 4, "results": []}


def test_only_the_frontier_counts() -> None:
    curriculum = make_curriculum(window=2, threshold=1.0)
    curriculum.state = {"bound": 10, "previous_bound": 8}
    for game, distance in enumerate((8, 3, None, 9, 10)):
        curriculum.begin(game, distance)
        curriculum.end(game, True)
    assert curriculum.state == {"bound": 12, "previous_bound": 10, "results": []}
    curriculum.begin(0, 11)
    curriculum.begin(0, 12)  # the one before was left unfinished
    curriculum.end(0, False)
    curriculum.end(0, True)  # has none
    assert curriculum.state["results"] == [False]


def test_the_curriculum_can_be_carried_over() -> None:
    options: dict[str, Any] = {"distribution_mode": "easy", "start_share": 1.0, "start_distribution": "curriculum"}
    env, other = make_env(None, **options), make_vector_env(None, num_envs=2, **options)
    env.curriculum = {"bound": 20, "previous_bound": 16, "results": [True, False]}
    other.curriculum = env.curriculum
    assert other.curriculum == {"bound": 20, "previous_bound": 16, "results": [True, False]}
    assert other.reset(seed=0)[1]["curriculum_bound"].tolist() == [20, 20]
    for state in ({}, {"bound": 0}, {"bound": 3, "previous_bound": 3}, {"bound": 3, "results": [1]}, {"bound": "3"}, 3):
        with pytest.raises(ConfigError, match="curriculum"):
            env.curriculum = state  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="no curriculum"):
        make_env(None).curriculum = {"bound": 4}
    assert make_env(None).curriculum is None
