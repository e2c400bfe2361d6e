"""What a caller of ``reset`` asks for: a level, a situation in it, or a saved state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from heist_encoders.engine import Engine
from heist_encoders.envs.options import EnvOptions, check_level
from heist_encoders.envs.starts import start_states_of
from heist_encoders.errors import ConfigError
from heist_encoders.tasks.starts import Placed

SITUATION = ("level_seed", "progress", "cell", "offset", "rotation", "state")
"""Options of a reset."""
_NEEDS = {"progress": "cell", "cell": "progress", "offset": "cell", "rotation": "cell"}


class Asked(NamedTuple):
    """A level, and the state to begin at; None for the level's own start."""

    level_seed: int
    start: Placed | None

    def placed(self, game: int) -> dict[int, Placed]:
        """The start of this game, if there is one."""
        return {} if self.start is None else {game: self.start}


def asked_for(given: Mapping[str, object], options: EnvOptions, engine: Engine, game: int) -> Asked | None:
    """What a reset's options say, None if they say nothing.

    Args:
        given: some of ``SITUATION``; a value of None counts as absent.
        options: of the environment.
        engine: of the environment.
        game: the index of the game that is to be reset.

    Raises:
        ConfigError, EngineError: in one line, for what can't be.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return None
    if given.keys() == {"level_seed"}:
        return Asked(check_level(given["level_seed"]), None)
    states = start_states_of(f"reset option {min(given.keys() - {'level_seed'})}", options.game)
    if "state" in given:
        if len(given) > 1:
            raise ConfigError(f"reset options {', '.join(sorted(given))}: expected state alone, which says everything")
        placed = states.saved(
            given["state"], options.distribution_mode, options.use_backgrounds, engine.get_state(game)
        )
        return Asked(placed.level_seed, placed)
    for name in given:
        needed = _NEEDS.get(name)
        if needed is not None and needed not in given:
            raise ConfigError(f"reset option {name} without {needed}: expected level_seed, progress and cell together")
    if "level_seed" not in given:
        raise ConfigError("reset options progress and cell without level_seed: expected the level that they are in")
    seed = check_level(given.pop("level_seed"))
    return Asked(seed, states.situation(options.distribution_mode, options.use_backgrounds, seed, **given))


def asked_for_each(
    given: Mapping[str, object], options: EnvOptions, engine: Engine, num: int, games: Sequence[int]
) -> dict[int, Asked] | None:
    """The same for ``games`` of a batch of ``num``: each option is one value for all, or a list of ``num`` of them."""
    columns = {name: _each(name, value, num) for name, value in given.items() if value is not None}
    if not columns:
        return None
    asked = {}
    for game in games:
        one = asked_for({name: values[game] for name, values in columns.items()}, options, engine, game)
        if one is None:
            raise ConfigError(f"reset options for game {game} are all None, expected a level or state for each game")
        asked[game] = one
    return asked


def _each(name: str, value: object, num: int) -> Sequence[object]:
    if isinstance(value, bytes):
        return [value] * num
    depth = 1 if name in ("cell", "offset") else 0
    if name != "state" and np.asarray(value).ndim == depth:
        return [value] * num
    values = list(value) if isinstance(value, Sequence | np.ndarray) else []
    if len(values) != num:
        raise ConfigError(f"reset option {name} holds {len(values)} values, expected 1 or {num}")
    return values
