"""Games that are played on and on by a scripted policy, each episode on a freshly drawn level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import NOOP, POLICIES
from heist_encoders.engine import RESET, Engine
from heist_encoders.errors import ConfigError, unknown_name
from heist_encoders.tasks import task_of


class Play:
    """A batch of games under a policy. A pure function of its arguments: levels and moves come from ``rng`` alone.

    Args:
        engine: the games.
        levels: range of level seeds to draw from.
        policy: ``random`` (uniform moves), ``oracle`` (shortest paths) or ``mixed`` (each episode follows the oracle
            with a share of random moves drawn once from [0, 1)); the last two only in games that have an oracle.
        rng: source of levels and moves.

    Raises:
        UnknownNameError: for another policy.
        ConfigError: for a policy that the game does not have.
    """

    def __init__(self, engine: Engine, levels: range, policy: str, rng: np.random.Generator) -> None:
        if policy not in POLICIES:
            raise unknown_name("policy", policy, POLICIES)
        task = task_of(engine.game)
        if policy not in task.policies:
            raise ConfigError(f"policy {policy!r} cannot play {engine.game}; expected {' or '.join(task.policies)}")
        self.engine = engine
        self._levels, self._policy, self._rng = levels, policy, rng
        self._num_actions = task.num_moves
        self._oracle = task.oracle()
        engine.load_levels(self._draw(engine.num))
        self._randomness = self._rng.random(engine.num)
        self.fresh = np.ones(engine.num, dtype=bool)
        """bool (num,): games that show the first frame of their episode."""
        self.rewards = np.zeros(engine.num, dtype=np.float32)
        """float32 (num,): of the last step."""

    def _draw(self, count: int) -> list[int]:
        seeds: list[int] = self._rng.integers(self._levels.start, self._levels.stop, count).tolist()
        return seeds

    def step(self) -> None:
        """Play one step; a game whose episode has just ended opens its next level instead."""
        actions = self._rng.integers(0, self._num_actions, self.engine.num)
        randomness = {"random": 1.0, "oracle": 0.0}.get(self._policy, self._randomness)
        by_oracle = self._rng.random(self.engine.num) >= randomness
        for i in np.flatnonzero(by_oracle):
            assert self._oracle is not None  # only random play has none, and its randomness is 1
            actions[i] = self._oracle.action(self.engine.get_state(int(i)))
        self.engine.act(actions)
        seen = self.engine.observe()
        self.rewards = seen.rewards
        ended = np.flatnonzero(seen.first)
        self.fresh[:] = False
        if len(ended):
            # The engine has already begun a level of its own choice: replace it, leaving the other games as they are.
            for i, seed in zip(ended.tolist(), self._draw(len(ended)), strict=True):
                self.engine.queue_level(i, seed)
            self._randomness[ended] = self._rng.random(len(ended))
            self._replace(ended)

    def _replace(self, ended: NDArray[np.int64]) -> None:
        states = [self.engine.get_state(i) for i in range(self.engine.num)]
        actions = np.full(self.engine.num, NOOP)
        actions[ended] = RESET
        self.engine.act(actions)
        for i in np.setdiff1d(np.arange(self.engine.num), ended):
            self.engine.set_state(int(i), states[i])
        self.fresh[ended] = True
