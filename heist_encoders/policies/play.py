"""Whole episodes: every level of a list once, from its true start to its end, whatever policy plays.

RLlib's own evaluation stops at the first K episodes that finish, and in Heist those are the successes: a random policy
looks perfect at first. Here every listed level counts once, whatever the length of its episode.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import NOOP, NUM_ACTIONS, NUM_MOVES
from heist_encoders.deprecation import old_names
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject
from heist_encoders.tasks.registry import task_of

if TYPE_CHECKING:
    from heist_encoders.engine import Engine
    from heist_encoders.tasks.base import Oracle

_ENGINE_OPTIONS = ("game", "distribution_mode", "use_backgrounds")


@dataclasses.dataclass(frozen=True)
class LevelResult:
    """One episode: the level, its number of keys (the task's ``level_group``; -1 if it has none), success, return and
    length in steps."""

    level_seed: int
    num_keys: int
    success: bool
    episode_return: float
    length: int


class StepInput(NamedTuple):
    """What a policy sees of the games that wait for an action.

    Attributes:
        games: int (n,), index of each game in the engine.
        frames: uint8 (n, 64, 64, 3).
        rewards: float32 (n,), of the step that led here; meaningless right after a start.
        engine: the engine that plays them, for policies that read its states.
    """

    games: NDArray[np.int64]
    frames: NDArray[np.uint8]
    rewards: NDArray[np.float32]
    engine: Engine


class BatchPolicy(Protocol):
    """Chooses actions for many games at once."""

    name: str

    def start(self, games: Sequence[int]) -> None:
        """New episodes have begun in these games: forget what was played there."""

    def act(self, seen: StepInput, /) -> NDArray[np.int64]:
        """int (n,): an action for each game, 0..14."""


class ActionRepeat:
    """A policy that is asked every few steps, its actions held meanwhile.

    Args:
        policy: what is asked.
        steps: of the game for which an action is held.
    """

    def __init__(self, policy: BatchPolicy, steps: int) -> None:
        self.name = policy.name
        self._policy, self._steps = policy, steps
        self._held: dict[int, tuple[int, int]] = {}
        """Game -> its action, and for how many more steps."""

    def start(self, games: Sequence[int]) -> None:
        """New episodes have begun in these games: no action is held there."""
        self._policy.start(games)
        for game in games:
            self._held.pop(int(game), None)

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """int (n,): the policy's actions."""
        games = seen.games.tolist()
        due = np.array([row for row, game in enumerate(games) if not self._held.get(game, (0, 0))[1]], np.int64)
        if len(due):
            asked = StepInput(seen.games[due], seen.frames[due], seen.rewards[due], seen.engine)
            for row, action in zip(due.tolist(), self._policy.act(asked).tolist(), strict=True):
                self._held[games[row]] = action, self._steps
        for game in games:
            action, left = self._held[game]
            self._held[game] = action, left - 1
        return np.array([self._held[game][0] for game in games], np.int64)


class RandomPolicy:
    """Uniformly random actions; the same for the same seed."""

    name = "random"

    def __init__(self, actions: str = "moves", seed: int = 0) -> None:
        self._num_actions = NUM_MOVES if actions == "moves" else NUM_ACTIONS
        self._random = np.random.default_rng(seed)

    def start(self, games: Sequence[int]) -> None:
        """Nothing to forget."""

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """Uniform draws."""
        return self._random.integers(self._num_actions, size=len(seen.games))


class OraclePolicy:
    """The oracle: shortest paths, read from the game's state. The best that a policy can do.

    Plays any game whose task has an oracle.
    """

    name = "oracle"

    def __init__(self) -> None:
        self._oracle: Oracle | None = None

    def start(self, games: Sequence[int]) -> None:
        """Nothing to forget."""

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """The next moves of the shortest paths. Raises ConfigError for a game without an oracle."""
        oracle = self._oracle or task_of(seen.engine.game).oracle()
        if oracle is None:
            raise ConfigError(f"{seen.engine.game} has no oracle; use another policy")
        self._oracle = oracle
        return np.array([oracle.action(seen.engine.get_state(game)) for game in seen.games.tolist()])


def play_episodes(
    policy: BatchPolicy,
    levels: Sequence[int],
    options: JsonObject,
    *,
    num_games: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> list[LevelResult]:
    """Play every level once: a batch of games, each of which takes the next level when it has ended one.

    Args:
        policy: what plays.
        levels: level seeds.
        options: ``game``, ``distribution_mode`` and ``use_backgrounds`` of the engine; others are ignored.
        num_games: games in a batch.
        progress: called with the number of levels done and of all.

    Returns:
        A result for each level, in their order.
    """
    from heist_encoders.engine import RESET, Engine

    num = min(num_games, len(levels))
    waiting = list(range(num, len(levels)))[::-1]
    current = list(range(num))
    """Which level (an index) each game plays, -1 when none is left."""
    results: dict[int, LevelResult] = {}
    returns, lengths = np.zeros(num), np.zeros(num, dtype=np.int64)
    keys = [-1] * num
    with Engine(num, **{key: options[key] for key in _ENGINE_OPTIONS if key in options}) as engine:
        engine.load_levels([levels[index] for index in current])
        opened = list(range(num))
        while len(results) < len(levels):
            for game in opened:
                keys[game] = _num_keys(engine, game)
                returns[game] = lengths[game] = 0
            if opened:
                policy.start(opened)
            before = engine.observe()
            games = np.flatnonzero([level >= 0 and level not in results for level in current])
            actions = np.full(num, NOOP)
            opened = []
            for game in range(num):
                if current[game] in results and waiting:
                    current[game] = waiting.pop()
                    engine.queue_level(game, levels[current[game]])
                    actions[game] = RESET
                    opened.append(game)
            if len(games):
                actions[games] = policy.act(StepInput(games, before.frames[games], before.rewards[games], engine))
            engine.act(actions)
            after = engine.observe()
            returns[games] += after.rewards[games]
            lengths[games] += 1
            for game in games[after.first[games]].tolist():
                results[current[game]] = LevelResult(
                    level_seed=int(levels[current[game]]),
                    num_keys=keys[game],
                    success=bool(after.level_completes[game]),
                    episode_return=float(returns[game]),
                    length=int(lengths[game]),
                )
                if progress is not None:
                    progress(len(results), len(levels))
    return [results[index] for index in range(len(levels))]


def _num_keys(engine: Engine, game: int) -> int:
    group = task_of(engine.game).level_group(engine, game)
    return -1 if group is None else group


if not TYPE_CHECKING:
    __getattr__ = old_names(
        __name__,
        {"Turn": "StepInput", "Player": "BatchPolicy", "RandomPlayer": "RandomPolicy", "OraclePlayer": "OraclePolicy"},
    )
