"""Observation histories: stacked encodings, the previous action and reward. For what one frame does not show.

gymnasium's own ``FrameStackObservation`` stacks for single environments; there is no vector version of it, and none
with actions and rewards. An observation here is one flat row, so that any model takes it:

    [encoding of k - 1 steps ago, ..., encoding now, previous action as one-hot, previous reward]

A row follows from the row before it, so nothing but the last one needs to be kept. At an episode's start the first
encoding fills the stack (as in gymnasium), the action is all zeros and the reward 0.
"""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex, TypeAlias

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from heist_encoders.arrays import Integers, Reals
from heist_encoders.envs.info import Info
from heist_encoders.errors import ConfigError

Rows: TypeAlias = NDArray[np.float32]


class History:
    """How rows are made.

    Args:
        size: latent dimension of the encoder.
        frame_stack: encodings in a row, k >= 1.
        num_actions: length of the one-hot action, which the reward follows; 0 leaves both out.

    Raises:
        ConfigError: for a ``frame_stack`` below 1 or not whole.
    """

    def __init__(self, size: int, *, frame_stack: int = 1, num_actions: int = 0) -> None:
        check_frame_stack(frame_stack)
        self.size = size
        self.stacked = size * frame_stack
        self.num_actions = num_actions
        self.width = self.stacked + (num_actions + 1 if num_actions else 0)

    @property
    def space(self) -> Box:
        """float32 (width,), unbounded."""
        return Box(-np.inf, np.inf, (self.width,), np.float32)

    def start(self, encodings: Rows) -> Rows:
        """First rows of episodes: float32 (N, size) -> (N, width)."""
        rows = np.zeros((len(encodings), self.width), dtype=np.float32)
        rows[:, : self.stacked] = np.tile(encodings, (1, self.stacked // self.size))
        return rows

    def extend(self, rows: Rows, encodings: Rows, actions: ArrayLike, rewards: ArrayLike) -> Rows:
        """The rows after a step.

        Args:
            rows: float32 (N, width), of the step before.
            encodings: float32 (N, size), the new ones.
            actions: int (N,), which led to them.
            rewards: float (N,), of the step.
        """
        following = np.zeros_like(rows)
        following[:, : self.stacked - self.size] = rows[:, self.size : self.stacked]
        following[:, self.stacked - self.size : self.stacked] = encodings
        if self.num_actions:
            following[np.arange(len(rows)), self.stacked + np.asarray(actions, dtype=np.int64)] = 1
            following[:, -1] = rewards
        return following


def make_history(space: object, actions: object, frame_stack: int, previous_action_reward: bool) -> History:
    """The ``History`` for flat encodings and discrete actions.

    Raises:
        ConfigError: for other spaces.
    """
    if not isinstance(space, Box) or space.dtype != np.float32 or len(space.shape) != 1:
        raise ConfigError(
            f"frame_stack and previous_action_reward got observations {space}, expected flat encodings; use them with "
            "an encoder"
        )
    if previous_action_reward and not isinstance(actions, Discrete):
        raise ConfigError(f"previous_action_reward got actions {actions}, expected Discrete(n)")
    num_actions = int(actions.n) if previous_action_reward and isinstance(actions, Discrete) else 0
    return History(space.shape[0], frame_stack=frame_stack, num_actions=num_actions)


def check_frame_stack(frame_stack: object) -> None:
    """ConfigError unless it is a whole number of at least 1."""
    if isinstance(frame_stack, bool) or not isinstance(frame_stack, SupportsIndex) or int(frame_stack) < 1:
        raise ConfigError(f"frame_stack = {frame_stack!r}: expected a whole number, at least 1 (no stacking)")


class HistoryEnv(gymnasium.Wrapper[Rows, np.int64, Rows, np.int64]):
    """A single environment of flat encodings, with rows as observations.

    Args:
        env: float32 (size,) observations, discrete actions.
        frame_stack: encodings in a row.
        previous_action_reward: add them.

    Raises:
        ConfigError: for another environment, or ``frame_stack`` below 1.
    """

    def __init__(
        self, env: gymnasium.Env[Rows, np.int64], *, frame_stack: int = 1, previous_action_reward: bool = False
    ) -> None:
        super().__init__(env)
        self._history = make_history(env.observation_space, env.action_space, frame_stack, previous_action_reward)
        self.observation_space = self._history.space
        self._rows = np.zeros((1, self._history.width), dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Rows, Info]:
        """See gymnasium."""
        encoding, info = self.env.reset(seed=seed, options=options)
        self._rows = self._history.start(encoding[None])
        return self._rows[0].copy(), info

    def step(self, action: np.int64) -> tuple[Rows, SupportsFloat, bool, bool, Info]:
        """See gymnasium."""
        encoding, reward, terminated, truncated, info = self.env.step(action)
        self._rows = self._history.extend(self._rows, encoding[None], np.array([action]), np.array([reward]))
        return self._rows[0].copy(), reward, terminated, truncated, info


class HistoryVectorEnv(VectorWrapper):
    """The same for a vector environment: equal, row by row, to as many ``HistoryEnv``.

    The step after an episode's end opens the next episode (``AutoresetMode.NEXT_STEP``), so its rows start anew.
    """

    def __init__(
        self, env: VectorEnv[Rows, Integers, Reals], *, frame_stack: int = 1, previous_action_reward: bool = False
    ) -> None:
        super().__init__(env)
        if env.metadata.get("autoreset_mode") is not AutoresetMode.NEXT_STEP:
            raise ConfigError(
                f"{env} has autoreset_mode {env.metadata.get('autoreset_mode')}, expected NEXT_STEP; use "
                "make_vector_env, or stack in the single environments"
            )
        self._history = make_history(
            env.single_observation_space, env.single_action_space, frame_stack, previous_action_reward
        )
        self.single_observation_space = self._history.space
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._rows = np.zeros((env.num_envs, self._history.width), dtype=np.float32)
        self._done = np.zeros(env.num_envs, dtype=np.bool_)

    def reset(  # type: ignore[override]
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[Rows, Info]:
        """See gymnasium; with ``reset_mask`` in the options, the other games keep their rows."""
        encodings, infos = self.env.reset(seed=seed, options=options)
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_)))
        self._rows[mask] = self._history.start(encodings[mask])
        self._done[mask] = False
        return self._rows.copy(), infos

    def step(  # type: ignore[override]
        self, actions: ArrayLike
    ) -> tuple[Rows, Reals, NDArray[np.bool_], NDArray[np.bool_], Info]:
        """See gymnasium."""
        encodings, rewards, terminated, truncated, infos = self.env.step(actions)
        rows = self._history.extend(self._rows, encodings, actions, rewards)
        if self._done.any():
            rows[self._done] = self._history.start(encodings[self._done])
        self._rows, self._done = rows, terminated | truncated
        return rows.copy(), rewards, terminated, truncated, infos
