"""The only code that touches procgen: a batch of games that can be stepped, sent to any level and set to any state."""

from __future__ import annotations

import functools
import os
import struct
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from heist_encoders.arrays import Integers
from heist_encoders.constants import DEFAULT_GAME, DISTRIBUTION_MODES, GAMES, MAX_LEVEL_SEED, NOOP
from heist_encoders.errors import ConfigError, EngineError, MissingDependencyError, unknown_name

RESET = -1
"""The action that ends an episode at once and opens the next level."""

_STATE_END = struct.pack("<I", 0xCAFECAFE)
_MAX_STATE_SIZE = 2**20
_I4 = struct.Struct("<i")
# The head of a state: version, length of the game's name, the name, 17 numbers of which these two are the level range.
_LEVEL_LOW, _LEVEL_HIGH, _HEAD_NUMBERS = 13, 14, 17
_KEPT_GENERATOR = struct.pack("<ii", 1, 0)
"""A generator's text of no length: the receiver keeps its own. The texts are most of a state's cost."""


class EngineState(bytes):
    """A whole state of a game, as the engine gave it or this package made it.

    The library ends the process on malformed bytes, so an ``Engine`` takes no others. Bytes from elsewhere go through
    ``reset(options={"state": ...})``, which looks at every value of theirs.
    """


class Observation(NamedTuple):
    """What the games show after a step. All arrays are copies.

    Attributes:
        frames: uint8 (N, 64, 64, 3), RGB.
        rewards: float32 (N,), of the step that led here.
        first: bool (N,), True on the first frame of an episode.
        level_seeds: int64 (N,), the level in view.
        level_completes: bool (N,), True where ``first`` and the episode before ended by completing its level.
    """

    frames: NDArray[np.uint8]
    rewards: NDArray[np.float32]
    first: NDArray[np.bool_]
    level_seeds: NDArray[np.int64]
    level_completes: NDArray[np.bool_]


def _procgen() -> Any:
    """The class of procgen's batched games, imported without old gym's notice on stderr."""
    try:
        import gym_notices.notices

        gym_notices.notices.notices.clear()
    except ImportError:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from procgen import ProcgenGym3Env
    except ImportError as error:
        if hiding := _hiding():
            raise MissingDependencyError(
                f"procgen cannot be imported ({error}): {hiding} hides a package of that name; rename the file"
            ) from None
        raise MissingDependencyError(
            f"procgen is not installed ({error}); install procgen==0.10.7 (Python 3.10) or "
            "procgen-mirror==0.10.7 (Python 3.11, 3.12)"
        ) from None
    return ProcgenGym3Env


def _hiding() -> str | None:
    """The file of the user's that was imported in place of a package that procgen needs, if there is one."""
    for name in ("procgen", "gym", "gym3", "gym_notices", "cffi", "filelock", "numpy"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and os.path.basename(file) == f"{name}.py":
            return str(file)
    return None


def check_game(game: str, distribution_mode: str) -> None:
    """Raise UnknownNameError unless ``game`` is one of Procgen's 16 and ``distribution_mode`` easy, hard or memory."""
    if game not in GAMES:
        raise unknown_name("game", game, GAMES)
    if distribution_mode not in DISTRIBUTION_MODES:
        raise unknown_name("distribution_mode", distribution_mode, DISTRIBUTION_MODES)


class Engine:
    """A batch of ``num`` Procgen games in lockstep.

    Games reset in the same step in which an episode ends; ``observe().first`` marks the first frame of the next one.
    Its level is the engine's own choice, unless ``queue_level`` has named one.

    Args:
        num: number of games, at least 1.
        game: one of Procgen's 16 games.
        distribution_mode: ``easy``, ``hard`` or ``memory``.
        use_backgrounds: draw the textured background instead of black.
        render: also draw 512x512 frames at each step; ten times slower.

    Raises:
        UnknownNameError: for a game or mode that does not exist.
        ConfigError: for a number out of range.
        MissingDependencyError: if procgen is not installed.
    """

    def __init__(
        self,
        num: int,
        *,
        game: str = DEFAULT_GAME,
        distribution_mode: str = "memory",
        use_backgrounds: bool = False,
        render: bool = False,
    ) -> None:
        check_game(game, distribution_mode)
        if num < 1:
            raise ConfigError(f"num = {num}: expected at least 1 game")
        supported = GAMES[game].modes
        if distribution_mode not in supported:
            raise ConfigError(f"{game} has no distribution_mode {distribution_mode!r}; it has {', '.join(supported)}")
        self.num = num
        self.game = game
        self.distribution_mode = distribution_mode
        self._env = _procgen()(
            num=num,
            env_name=game,
            distribution_mode=distribution_mode,
            use_backgrounds=use_backgrounds,
            rand_seed=0,
            num_threads=0,  # stepping in the calling thread measured fastest
            render_mode="rgb_array" if render else None,
        )
        env = self._env
        if "dlopen" not in vars(env._ffi):
            # gym3 opens the library for each engine, and cffi keeps all that it ever opened: 10 kB an engine.
            env._ffi.dlopen = functools.cache(env._ffi.dlopen)
        # Looked up now, because cffi takes a lock at the first look-up: a forgotten engine that is garbage-collected
        # while another one is being made would wait for that lock forever.
        _ = env._c_lib.libenv_close
        self._buffer = env._ffi.new(f"char[{_MAX_STATE_SIZE}]")
        self.frames: NDArray[np.uint8] = env._ob["rgb"]
        """uint8 (num, 64, 64, 3): the engine's own buffer, overwritten by the next ``act`` or ``set_state``."""
        env._c_lib.libenv_observe(env._c_env)
        self._set = env._c_lib.set_state

    def act(self, actions: Integers | Sequence[int]) -> None:
        """Step every game: ``actions`` int (num,), 0..14, or -1 to reset that game."""
        values = np.asarray(actions, dtype=np.int32)
        if values.shape != (self.num,):
            raise ConfigError(f"actions of shape {values.shape}: expected ({self.num},)")
        env = self._env
        env._ac["action"][:] = values
        env._c_lib.libenv_act(env._c_env)
        env._c_lib.libenv_observe(env._c_env)

    def observe(self) -> Observation:
        """Copies of what the games show now."""
        env = self._env
        return Observation(
            frames=self.frames.copy(),
            rewards=env._rew.copy(),
            first=env._first.copy(),
            level_seeds=env._info["level_seed"].astype(np.int64),
            level_completes=env._info["prev_level_complete"].astype(np.bool_),
        )

    def render_frames(self) -> NDArray[np.uint8]:
        """uint8 (num, 512, 512, 3) copies of the large frames; needs ``render=True``."""
        if "rgb" not in self._env._info:
            raise ConfigError("large frames are drawn only by Engine(render=True)")
        return np.array(self._env._info["rgb"])

    def get_state(self, index: int) -> EngineState:
        """The whole state of game ``index``, as procgen serialises it. Raises ConfigError if there is no such game."""
        self._check_index(index)
        size = self._env.call_c_func("get_state", index, self._buffer, _MAX_STATE_SIZE)
        return EngineState(self._env._ffi.buffer(self._buffer, size))

    def set_state(self, index: int, state: EngineState) -> None:
        """Put game ``index`` into a state and draw it into ``frames[index]``.

        Raises:
            EngineError: if it is no ``EngineState`` of this game.
            ConfigError: if there is no such game.
        """
        self._check_index(index)
        self._check_state(state)
        self._set(self._env._c_env, index, state, len(state))

    def _check_index(self, index: int) -> None:
        if not 0 <= index < self.num:
            raise ConfigError(f"game {index}: expected 0 to {self.num - 1}")

    def _check_state(self, state: object) -> None:
        if not isinstance(state, EngineState):
            raise EngineError(
                f"state is of type {type(state).__name__}, expected what get_state() returns; for bytes from elsewhere "
                'use reset(options={"state": ...}) of an environment'
            )
        name = self.game.encode()
        head = _I4.pack(len(name)) + name
        if len(state) < 512 or state[4 : 4 + len(head)] != head or state[-4:] != _STATE_END:
            raise EngineError(
                f"{len(state)} bytes that are no state of {self.game}: expected what get_state returns for this game"
            )

    def draw(self, states: NDArray[np.void]) -> NDArray[np.uint8]:
        """Draw states of equal length, with game 0, which stays in the last of them.

        Args:
            states: (N,) of a structured type whose bytes are states of this game, as ``LevelBank.states`` makes them;
                their values are not looked at.

        Returns:
            uint8 (N, 64, 64, 3).

        Raises:
            EngineError: if one is no state of this game.
        """
        size, count = states.dtype.itemsize, len(states)
        content = np.ascontiguousarray(states).view(np.uint8).reshape(count, size)
        name = self.game.encode()
        head = np.frombuffer(_I4.pack(len(name)) + name, np.uint8)
        end = np.frombuffer(_STATE_END, np.uint8)
        if size < 512 or (content[:, 4 : 4 + len(head)] != head).any() or (content[:, -4:] != end).any():
            raise EngineError(f"{count} x {size} bytes that are not all states of {self.game}")
        frames = np.empty((count, *self.frames.shape[1:]), np.uint8)
        frame, env, draw = self.frames[0], self._env._c_env, self._set
        start = self._env._ffi.from_buffer("char[]", content)
        for row in range(count):
            draw(env, 0, start + row * size, size)
            frames[row] = frame
        return frames

    def queue_level(self, index: int, seed: int) -> None:
        """Make the next reset of game ``index`` (act with -1, or the end of its episode) open exactly level ``seed``.

        Raises:
            ConfigError: unless 0 <= seed <= 2**31 - 2.
        """
        self._set_level(index, seed, self._without_generators(self.get_state(index)))

    def place(self, index: int, seed: int, state: EngineState) -> None:
        """Put game ``index`` into a state of level ``seed`` and draw it; its next reset opens that level again.

        A state without generators' texts (see ``state.compact_dtype``) leaves the game its own, so it can be played on.

        Raises:
            ConfigError: unless 0 <= seed <= 2**31 - 2.
            EngineError: as ``set_state`` does.
        """
        self._check_state(state)
        self._set_level(index, seed, bytearray(state))

    def _set_level(self, index: int, seed: int, blob: bytearray) -> None:
        if not 0 <= seed <= MAX_LEVEL_SEED:
            raise ConfigError(f"level seed {seed}: expected 0..{MAX_LEVEL_SEED}")
        start = 8 + len(self.game)
        _I4.pack_into(blob, start + 4 * _LEVEL_LOW, seed)
        _I4.pack_into(blob, start + 4 * _LEVEL_HIGH, seed + 1)
        self.set_state(index, EngineState(blob))

    def _without_generators(self, blob: bytes) -> bytearray:
        """A state without the texts of its first two random number generators (levels, events)."""
        head = 8 + len(self.game) + 4 * _HEAD_NUMBERS
        end = head
        for _ in range(2):
            end += 8 + int(_I4.unpack_from(blob, end + 4)[0])
        return bytearray(blob[:head] + 2 * _KEPT_GENERATOR + blob[end:])

    def load_levels(self, seeds: Mapping[int, int] | Sequence[int]) -> None:
        """Open levels at once.

        Args:
            seeds: level seed of each game, or a mapping game index -> level seed; games that a mapping leaves out
                make a no-op step.
        """
        pairs = dict(seeds) if isinstance(seeds, Mapping) else dict(enumerate(seeds))
        actions = np.full(self.num, NOOP, dtype=np.int32)
        for index, seed in pairs.items():
            self.queue_level(index, int(seed))
            actions[index] = RESET
        self.act(actions)

    def close(self) -> None:
        """Free the games."""
        self._env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
