"""A batch of games with exact episodes: what the single and the vector environment share.

The engine resets within the step that ends an episode and chooses levels itself. Here the step after an episode's end
is the reset, every level is chosen by the caller, and the two ways in which an episode ends are distinguished.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from numpy.typing import NDArray

from heist_encoders.arrays import Integers
from heist_encoders.constants import FRAME_SHAPE, GAMES, NOOP
from heist_encoders.engine import RESET, Engine
from heist_encoders.envs.options import EnvOptions
from heist_encoders.envs.starts import start_states_of
from heist_encoders.tasks.starts import Placed, StartStates


class Step(NamedTuple):
    """What happened in one step. Fresh arrays.

    Attributes:
        rewards: float32 (N,), with the options' shaping; 0 where a level was opened.
        terminated: bool (N,): the level was completed, or in other games than Heist the agent died.
        truncated: bool (N,): the game's time limit was reached, or that of the options.
        changed: bool (N,): the frame differs from the one before, or a level was opened.
    """

    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    changed: NDArray[np.bool_]


class Games:
    """``num`` games in lockstep.

    Attributes:
        frames: uint8 (N, 64, 64, 3), what the games show; at an episode's end the last frame before it, because the
            engine does not draw the one after (it does where the options' time limit cut it). A fresh array after
            every step, never written to again.
        level_seeds: int64 (N,), the levels being played.
        level_completes: bool (N,), True on the step that completed the level.
        done: bool (N,), True where an episode has ended and no level has been opened since.
    """

    def __init__(self, num: int, options: EnvOptions) -> None:
        self.num = num
        self.options = options
        self.time_limit = GAMES[options.game].time_limit
        self._engine: Engine | None = Engine(
            num,
            game=options.game,
            distribution_mode=options.distribution_mode,
            use_backgrounds=options.use_backgrounds,
        )
        self._limit = options.starts.time_limit or self.time_limit
        self._steps = np.zeros(num, dtype=np.int64)  # since the episode began here
        self._engine_steps = np.zeros(num, dtype=np.int64)  # since the level was opened
        shaped = options.starts.shaping > 0
        self._states: StartStates | None = start_states_of("shaping", options.game) if shaped else None
        self._distances = np.zeros(num)  # to the goal, in cells; -1: unknown
        self.frames = np.zeros((num, *FRAME_SHAPE), dtype=np.uint8)
        self.level_seeds = np.full(num, -1, dtype=np.int64)
        self.level_completes = np.zeros(num, dtype=np.bool_)
        self.done = np.zeros(num, dtype=np.bool_)

    @property
    def engine(self) -> Engine:
        """The engine. Raises gymnasium.error.ClosedEnvironmentError after ``close``."""
        if self._engine is None:
            raise ClosedEnvironmentError("the environment is closed; make another one")
        return self._engine

    def draw_level(self, random: np.random.Generator) -> int:
        """A level of the level set, drawn by ``random``."""
        return int(random.integers(self.options.start_level, self.options.last_level, endpoint=True))

    def open(self, levels: Mapping[int, int], placed: Mapping[int, Placed] | None = None) -> NDArray[np.bool_]:
        """Open ``levels`` (game -> level seed), whether their episodes have ended or not; the other games stand still.

        Args:
            levels: as in ``step``.
            placed: as in ``step``.

        Returns:
            bool (N,): whose frame changed.
        """
        others = [index for index in range(self.num) if index not in levels]
        states = {index: self.engine.get_state(index) for index in others if self.level_seeds[index] >= 0}
        done, completes = self.done.copy(), self.level_completes.copy()
        steps, engine_steps = self._steps.copy(), self._engine_steps.copy()
        distances = self._distances.copy()
        seeds, frames = self.level_seeds.copy(), self.frames
        step = self.step(np.full(self.num, NOOP), levels, placed)
        for index, state in states.items():
            self.engine.set_state(index, state)
        for now, before in (
            (self.done, done),
            (self.level_completes, completes),
            (self._steps, steps),
            (self._engine_steps, engine_steps),
            (self._distances, distances),
            (self.level_seeds, seeds),
            (self.frames, frames),
            (step.changed, np.zeros_like(step.changed)),
        ):
            now[others] = before[others]
        return step.changed

    def step(
        self,
        actions: Integers,
        levels: Mapping[int, int] | None = None,
        placed: Mapping[int, Placed] | None = None,
    ) -> Step:
        """Step every game.

        Args:
            actions: int (N,), 0..14; ignored for the games in ``levels``.
            levels: game -> level seed to open in this step. All games that are ``done`` must be there.
            placed: game -> the state that it is put into, for some of the games in ``levels``.
        """
        levels, placed = levels or {}, placed or {}
        opened, ended, truncated, completed = (np.zeros(self.num, dtype=np.bool_) for _ in range(4))
        opened[list(levels)] = True
        before, rewards = self.frames, np.zeros(self.num, dtype=np.float32)
        for left in reversed(range(self.options.action_repeat)):
            over = opened | ended
            if left and over.all():
                continue
            sent = np.where(over, NOOP, actions).astype(np.int32)
            if not left:  # last, so that a level that is opened stands as it was opened
                for index, level in levels.items():
                    if index not in placed:  # of those the whole state is replaced
                        self.engine.queue_level(index, level)
                        sent[index] = RESET
            self.engine.act(sent)
            if not left:
                for index, start in placed.items():
                    self.engine.place(index, start.level_seed, start.state)
            seen = self.engine.observe()
            self._engine_steps += 1
            ending = seen.first & ~over
            ended |= ending
            completed |= ending & seen.level_completes
            truncated |= ending & ~seen.level_completes & (self._engine_steps >= self.time_limit)
            rewards[~over] += seen.rewards[~over]
            seen.frames[ended] = self.frames[ended]
            self.frames = seen.frames
        self._steps += 1
        cut = ~opened & ~ended & (self._steps >= self._limit)
        changed = differing(self.frames, before) | opened
        self._steps[opened] = self._engine_steps[opened] = 0
        for index, start in placed.items():
            self._engine_steps[index] = start.steps
        self.level_seeds[opened] = seen.level_seeds[opened]
        self.level_completes, self.done = completed, ended | cut
        if self._states is not None:
            rewards += self._shaping(self._states, opened, completed, ended, changed)
        return Step(rewards=rewards, terminated=ended & ~truncated, truncated=truncated | cut, changed=changed)

    def _shaping(
        self,
        states: StartStates,
        opened: NDArray[np.bool_],
        completed: NDArray[np.bool_],
        ended: NDArray[np.bool_],
        changed: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """float32 (N,), the reward for coming nearer; 0 where the distance is unknown from the episode's start on, and
        where the game's time limit ended it.
        """
        now = np.where(opened, -1, self._distances)
        now[completed] = 0
        moved = np.flatnonzero(changed & ~ended)
        seeds, blobs = self.level_seeds[moved].tolist(), [self.engine.get_state(game) for game in moved.tolist()]
        options = self.options
        found = states.distances(options.distribution_mode, options.use_backgrounds, seeds, blobs)
        now[moved] = np.where(found >= 0, found, now[moved])
        nearer = np.where(opened | (self._distances < 0), 0, self._distances - now)
        self._distances = now
        return (options.starts.shaping * nearer).astype(np.float32)

    def get_state(self, index: int) -> bytes:
        """The whole situation of a game. Raises ResetNeeded before its first level and after an episode's end."""
        if self.level_seeds[index] < 0 or self.done[index]:
            raise ResetNeeded(f"game {index} is in no episode; call reset() before its state is taken")
        return self.engine.get_state(index)

    def close(self) -> None:
        """Free the engine. May be called again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def differing(frames: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (N,): which of two uint8 (N, 64, 64, 3) batches differ, compared eight bytes at a time."""
    left = frames.reshape(len(frames), -1).view(np.uint64)  # (N, 1536)
    right = others.reshape(len(others), -1).view(np.uint64)
    differ: NDArray[np.bool_] = (left != right).any(axis=1)
    return differ
