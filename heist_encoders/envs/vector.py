"""Many games as a gymnasium vector environment: one engine batch and at most one encoder call a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from heist_encoders.arrays import Array
from heist_encoders.engine import Engine
from heist_encoders.envs.games import Games
from heist_encoders.envs.info import Info
from heist_encoders.envs.observations import make_observer
from heist_encoders.envs.openings import Openings
from heist_encoders.envs.options import (
    EnvOptions,
    check_action_array,
    check_count,
    check_reset_options,
)
from heist_encoders.envs.rendering import FPS, Film, Picture, draw
from heist_encoders.envs.situations import SITUATION, asked_for_each
from heist_encoders.envs.starts import CurriculumState
from heist_encoders.errors import ConfigError
from heist_encoders.tasks.starts import Placed

if TYPE_CHECKING:
    from heist_encoders.zoo.encoder import Encoder


class HeistVectorEnv(VectorEnv[Array, Array, Array]):
    """``num_envs`` Procgen games in lockstep. Made by ``make_vector_env`` or ``gymnasium.make_vec``.

    Equal, field by field, to as many ``HeistEnv`` in a ``SyncVectorEnv``: the step after an episode's end opens the
    next level of that game, ignores its action and gives reward 0 (``AutoresetMode.NEXT_STEP``). The observation at
    an episode's end is the last frame before it.

    ``info`` holds ``level_seed`` int64 (N,), ``level_complete`` bool (N,), and ``frame`` uint8 (N, 64, 64, 3) with
    ``frames_in_info``, each with its mask ``_level_seed``, ... as gymnasium wants it.
    For games that opened a level it also holds what ``HeistEnv`` says of their starts: ``start`` (a dictionary of
    ``progress``, ``cell``, ``distance``) and ``curriculum_bound``. All games share one curriculum.
    """

    metadata: ClassVar[Info] = {  # type: ignore[misc]
        "render_modes": ["rgb_array", "rgb_array_list"],
        "render_fps": FPS,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(self, num_envs: int, options: EnvOptions, *, frames_in_info: bool = False) -> None:
        self.closed = True  # nothing to free until all is built
        if options.render_mode == "human":
            raise ConfigError("a vector environment has no window; use render_mode='rgb_array' or a single environment")
        self.options = options
        self.num_envs = check_count("num_envs", num_envs)
        self.render_mode = options.render_mode
        self._frames_in_info = frames_in_info
        self._film = Film(self.num_envs) if self.render_mode == "rgb_array_list" else None
        self._observer = make_observer(options, self.num_envs)
        self.single_observation_space = self._observer.space
        self.single_action_space = options.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._games = Games(self.num_envs, options)
        self._openings = Openings(self.num_envs, options, self._games.draw_level)
        self._streams: list[np.random.Generator] = [seeding.np_random()[0] for _ in range(self.num_envs)]
        self.closed = False

    @property
    def encoder(self) -> Encoder | None:
        """The ``Encoder`` of the observations, None if they are the frames."""
        return self.options.encoder

    @property
    def engine(self) -> Engine:
        """The game engine, for policies that read its states, as the oracle does. Not to be stepped."""
        return self._games.engine

    @property
    def curriculum(self) -> CurriculumState | None:
        """State of the curriculum of starts, as ``HeistEnv.curriculum``."""
        return self._openings.curriculum_state

    @curriculum.setter
    def curriculum(self, state: Mapping[str, object]) -> None:
        self._openings.curriculum_state = state

    def get_states(self) -> list[bytes]:
        """The whole situations of all games, for ``reset(options={"state": ...})``; see ``HeistEnv.get_state``."""
        return [self._games.get_state(index) for index in range(self.num_envs)]

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> tuple[Array, Info]:
        """Open the next level of every game.

        Args:
            seed: game i draws its levels from ``seed + i``, or from ``seed[i]``; None goes on with its stream.
            options: ``level_seed``, ``progress``, ``cell``, ``offset``, ``rotation`` and ``state`` as in
                ``HeistEnv.reset``, one for all games or one for each; ``reset_mask``: bool (N,), the games to reset;
                the others stand still.

        Returns:
            Observations of all games, and the info of those that were reset.
        """
        options = check_reset_options(options, (*SITUATION, "reset_mask"))
        mask = self._reset_mask(options.pop("reset_mask", None))
        chosen = np.flatnonzero(mask)
        asked = asked_for_each(options, self.options, self.engine, self.num_envs, chosen.tolist())
        self._reseed(seed, chosen)
        placed: dict[int, Placed] = {}
        if asked is None:
            levels, placed = self._openings.next(chosen.tolist(), self._streams)
        else:
            self._openings.begin_elsewhere(asked)
            levels = {i: situation.level_seed for i, situation in asked.items()}
            for i, situation in asked.items():
                placed |= situation.placed(i)
        changed = self._games.open(levels, placed)
        if self._film is not None:
            self._film.add(self._games.frames, mask, mask)
        return self._observer.observe(self._games.frames, changed), self._infos(mask, placed, mask)

    def step(self, actions: ArrayLike) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.bool_], Info]:
        """Make one step in every game; those whose episode ended in the step before open their next level instead.

        Args:
            actions: whole numbers (N,).

        Returns:
            Observations (N, ...), rewards float64 (N,), terminated bool (N,), truncated bool (N,), infos.

        Raises:
            ConfigError: for actions of another shape or range.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        games = self._games
        if (games.level_seeds < 0).any():
            raise ResetNeeded("no level is open; call reset() before step()")
        checked = check_action_array(actions, self.num_envs, self.options.num_actions)
        opened = games.done
        levels, placed = self._openings.next(np.flatnonzero(opened).tolist(), self._streams)
        step = games.step(checked, levels, placed)
        self._openings.end(games.done, games.level_completes)
        observations = self._observer.observe(games.frames, step.changed)
        every = np.ones(self.num_envs, dtype=np.bool_)
        if self._film is not None:
            self._film.add(games.frames, every, opened)
        infos = self._infos(every, placed, opened)
        return observations, step.rewards.astype(np.float64), step.terminated, step.truncated, infos

    def render(self) -> tuple[Picture, ...] | None:  # type: ignore[override]
        """A picture of each game, or a list of them, as ``HeistEnv.render`` gives it; None without a render_mode."""
        if self._film is not None:
            return self._film.take(self.options.encoder)
        if self.render_mode is None:
            return None
        return tuple(draw(self._games.frames, self.options.encoder))

    def close_extras(self, **kwargs: object) -> None:
        """Free the engine; ``close`` calls it once."""
        self._games.close()

    def _reset_mask(self, mask: object) -> NDArray[np.bool_]:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        given = np.asarray(mask)
        if given.dtype != np.bool_ or given.shape != (self.num_envs,) or not given.any():
            raise ConfigError(
                f"reset_mask is {given.dtype} {given.shape} with {np.count_nonzero(given)} set, expected bool "
                f"({self.num_envs},) with at least one True"
            )
        if (self._games.level_seeds[~given] < 0).any():
            raise ResetNeeded("no level is open; call reset() without reset_mask first")
        return given

    def _reseed(self, seed: int | Sequence[int | None] | None, chosen: NDArray[np.intp]) -> None:
        if seed is None:
            return
        if np.ndim(seed) == 0:  # type: ignore[arg-type]
            seeds: list[int | None] = [int(seed) + i for i in range(self.num_envs)]  # type: ignore[arg-type]
        else:
            seeds = list(seed)  # type: ignore[arg-type]
        if len(seeds) != self.num_envs:
            raise ConfigError(f"seed holds {len(seeds)} seeds, expected {self.num_envs}")
        for i in chosen:
            if (value := seeds[i]) is not None:
                self._streams[i] = seeding.np_random(int(value))[0]
                self._openings.reseed(int(i), int(value))

    def _infos(self, mask: NDArray[np.bool_], placed: Mapping[int, Placed], opened: NDArray[np.bool_]) -> Info:
        games = self._games
        infos: Info = {
            "level_seed": np.where(mask, games.level_seeds, 0),
            "level_complete": games.level_completes & mask,
        }
        if self._frames_in_info:
            infos["frame"] = games.frames * mask[:, None, None, None]
        masks = {f"_{key}": mask.copy() for key in infos}
        return infos | masks | self._openings.infos(placed, opened)
