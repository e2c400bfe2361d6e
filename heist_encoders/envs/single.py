"""One game as a gymnasium environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from heist_encoders.arrays import Array
from heist_encoders.engine import Engine
from heist_encoders.envs.games import Games
from heist_encoders.envs.info import Info
from heist_encoders.envs.observations import make_observer
from heist_encoders.envs.openings import Openings
from heist_encoders.envs.options import EnvOptions, check_reset_options
from heist_encoders.envs.rendering import FPS, Film, Picture, Window, draw, render_modes
from heist_encoders.envs.situations import SITUATION, asked_for
from heist_encoders.envs.starts import CurriculumState
from heist_encoders.errors import ConfigError

if TYPE_CHECKING:
    from heist_encoders.zoo.encoder import Encoder


class HeistEnv(gymnasium.Env[Array, np.int64]):
    """A Procgen game, seen as frames or through an encoder. Made by ``make_env`` or ``gymnasium.make``.

    ``info`` holds ``frame`` (uint8 (64, 64, 3)), ``level_seed`` (int) and ``level_complete`` (bool).
    That of a reset also holds ``start`` if the episode begins elsewhere than at the level's own start: ``progress``
    (int), ``cell`` (int64 (2,)) and ``distance`` (int, steps to the exit); and with a curriculum ``curriculum_bound``.
    """

    def __init__(self, options: EnvOptions) -> None:
        self.options = options
        self.metadata = {"render_modes": render_modes(), "render_fps": FPS}
        self.render_mode = options.render_mode
        self._window = Window(f"{options.game} ({options.distribution_mode})") if self.render_mode == "human" else None
        self._film = Film(1) if self.render_mode == "rgb_array_list" else None
        self._observer = make_observer(options, 1)
        self.observation_space = self._observer.space
        self.action_space = options.action_space
        self._games = Games(1, options)
        self._openings = Openings(1, options, self._games.draw_level)

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
        """State of the curriculum of starts: ``bound``, ``previous_bound`` and ``results``; None if there is none.

        Plain values that can be stored, and set in another environment to go on there. A reset's seed leaves it alone.
        """
        return self._openings.curriculum_state

    @curriculum.setter
    def curriculum(self, state: Mapping[str, object]) -> None:
        self._openings.curriculum_state = state

    def get_state(self) -> bytes:
        """The whole situation, for ``reset(options={"state": ...})`` of any environment with the same game options.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset and after an episode's end.
        """
        return self._games.get_state(0)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Array, Info]:
        """Open the next level.

        Args:
            seed: starts the stream that levels are drawn from; the same seed gives the same levels always.
            options: ``{"level_seed": n}`` opens exactly level n, at its own start, and leaves the stream alone;
                ``{"level_seed": n, "progress": p, "cell": (x, y)}`` opens it with p events done (0 to twice its number
                of keys: key blue, door blue, key green, ...) and the agent in that cell, (0, 0) being the lower left,
                in its middle unless ``offset`` ([0, 1), two numbers) and ``rotation`` (radians) say otherwise;
                ``{"state": get_state()}`` goes on from there.

        Raises:
            ConfigError, EngineError: in one line, for a situation that there is not.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._openings.reseed(0, seed)
        asked = asked_for(check_reset_options(options, SITUATION), self.options, self.engine, 0)
        if asked is None:
            levels, placed = self._openings.next([0], [self.np_random])
        else:
            self._openings.begin_elsewhere([0])
            levels, placed = {0: asked.level_seed}, asked.placed(0)
        changed = self._games.open(levels, placed)
        observation = self._observer.observe(self._games.frames, changed)[0]
        self._show(opened=True)
        return observation, self._info() | self._openings.info(placed.get(0))

    def step(self, action: object) -> tuple[Array, float, bool, bool, Info]:
        """Make one step.

        Raises:
            ConfigError: for an action outside the action space.
            gymnasium.error.ResetNeeded: before the first reset and after an episode's end.
        """
        if self._games.level_seeds[0] < 0 or self._games.done[0]:
            raise ResetNeeded("the episode has ended or not begun; call reset() before step()")
        if not self.action_space.contains(action):
            raise ConfigError(f"action {action!r}: expected a whole number in 0..{self.options.num_actions - 1}")
        step = self._games.step(np.array([action]))
        self._openings.end(step.terminated | step.truncated, self._games.level_completes)
        observation = self._observer.observe(self._games.frames, step.changed)[0]
        self._show()
        return (
            observation,
            float(step.rewards[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            self._info(),
        )

    def render(self) -> Picture | None:  # type: ignore[override]
        """The frame and, beside it, its reconstruction: uint8 (512, 1024, 3), or (512, 512, 3) of a pixel environment.

        With ``rgb_array_list`` a list of such pictures, one for each reset and step since the last reset or ``render``.
        None without a render_mode, and in ``human`` mode, where every reset and step shows it.
        """
        if self.render_mode == "rgb_array":
            picture: NDArray[np.uint8] = draw(self._games.frames, self.options.encoder)[0]
            return picture
        if self._film is not None:
            return self._film.take(self.options.encoder)[0]
        self._show()
        return None

    def close(self) -> None:
        """Free the engine and close the window."""
        self._games.close()
        if self._window is not None:
            self._window.close()

    def _show(self, *, opened: bool = False) -> None:
        if self._film is not None:
            self._film.add(self._games.frames, np.ones(1, np.bool_), np.array([opened]))
        if self._window is not None:
            self._window.show(draw(self._games.frames, self.options.encoder)[0])

    def _info(self) -> Info:
        return {
            "frame": self._games.frames[0].copy(),
            "level_seed": int(self._games.level_seeds[0]),
            "level_complete": bool(self._games.level_completes[0]),
        }
