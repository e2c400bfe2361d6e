"""The options that every environment takes, checked once, for single and vector environments alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from heist_encoders.elements import (
    DISTRIBUTION_MODES,
    EVALUATION_LEVELS,
    GAMES,
    MAX_LEVEL_SEED,
    NUM_ACTIONS,
    NUM_MOVES,
)
from heist_encoders.envs.starts import StartOptions, start_options
from heist_encoders.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact
    from heist_encoders.zoo.encoder import Encoder

ACTIONS = {"all": NUM_ACTIONS, "moves": NUM_MOVES}
"""Name of an action set -> its size. The moves are Procgen's actions 0 to 8, under the same numbers."""


@dataclass(frozen=True)
class EnvOptions:
    """What an environment plays and shows, with nothing left open.

    Attributes:
        game: one of Procgen's 16 games.
        distribution_mode: ``easy``, ``hard`` or ``memory``.
        use_backgrounds: draw textured backgrounds.
        num_levels: size of the level set; 0: every level from ``start_level`` on, less the evaluation levels.
        start_level: first level of the set.
        num_actions: 15 or 9.
        normalize: bring encodings to mean 0 and deviation 1 with the artifact's stored statistics.
        render_mode: None, ``rgb_array`` or ``human``.
        encoder: turns frames into observations; None shows the frames themselves.
        starts: where episodes of training begin, and their time limit.
    """

    game: str
    distribution_mode: str
    use_backgrounds: bool
    num_levels: int
    start_level: int
    num_actions: int
    normalize: bool
    render_mode: str | None
    encoder: Encoder | None
    starts: StartOptions = field(default_factory=StartOptions)

    @property
    def last_level(self) -> int:
        """The last level of the set. Without a size it ends before the evaluation levels, unless it starts in them."""
        if self.num_levels:
            return self.start_level + self.num_levels - 1
        return EVALUATION_LEVELS.start - 1 if self.start_level < EVALUATION_LEVELS.start else MAX_LEVEL_SEED

    @property
    def action_space(self) -> spaces.Discrete[Any]:
        """The actions of one game."""
        return spaces.Discrete(self.num_actions)


def resolve_options(
    encoder: str | Path | Artifact | Encoder | Mapping[str, str] | None,
    *,
    distribution_mode: str | None = None,
    num_levels: int = 0,
    start_level: int = 0,
    game: str | None = None,
    use_backgrounds: bool | None = None,
    actions: str = "all",
    normalize: bool = False,
    device: str = "cpu",
    backend: str = "auto",
    precision: str = "float32",
    threads: int | None = None,
    render_mode: str | None = None,
    **starts: Any,
) -> EnvOptions:
    """Check options, fill in what was left open from the encoder's artifact, and load the encoder.

    Raises:
        UnknownNameError: for an unknown encoder, game, distribution_mode, action set, backend or render_mode.
        ConfigError: for a number out of range.
        ArtifactError: for an encoder that is damaged, or trained on another mode of the game.
    """
    if game is not None and game not in GAMES:
        raise unknown_name("game", game, GAMES)
    if distribution_mode is not None and distribution_mode not in DISTRIBUTION_MODES:
        raise unknown_name("distribution_mode", distribution_mode, DISTRIBUTION_MODES)
    if actions not in ACTIONS:
        raise unknown_name("action set", str(actions), ACTIONS)
    if render_mode not in (None, "rgb_array", "human"):
        raise unknown_name("render_mode", str(render_mode), ("rgb_array", "human"))
    _check_levels(num_levels, start_level)
    # Not the number of games: on one machine, ``auto`` is the same backend in single and vector environments.
    compute = {"device": device, "backend": backend, "precision": precision, "threads": threads}
    found = None if encoder is None else _find(encoder, game, distribution_mode, compute)
    artifact = found.artifact if found else None
    game = game or (artifact.game if artifact else "heist")
    if distribution_mode is None:
        distribution_mode = _default_mode(game, artifact)
    if use_backgrounds is None:
        use_backgrounds = artifact.use_backgrounds if artifact else False
    return EnvOptions(
        game=game,
        distribution_mode=distribution_mode,
        use_backgrounds=use_backgrounds,
        num_levels=int(num_levels),
        start_level=int(start_level),
        num_actions=ACTIONS[actions],
        normalize=normalize,
        render_mode=render_mode,
        encoder=found,
        starts=start_options(starts, game),
    )


def _check_levels(num_levels: Any, start_level: Any) -> None:
    for name, value in (("num_levels", num_levels), ("start_level", start_level)):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise ConfigError(f"{name} = {value!r}: expected a whole number")
    if num_levels < 0:
        raise ConfigError(f"num_levels = {num_levels}: expected 0 (every level from start_level on) or more")
    if not 0 <= start_level <= MAX_LEVEL_SEED:
        raise ConfigError(f"start_level = {start_level}: expected 0..{MAX_LEVEL_SEED}")
    if start_level + num_levels - 1 > MAX_LEVEL_SEED:
        raise ConfigError(
            f"start_level = {start_level} with num_levels = {num_levels} ends beyond the last level, "
            f"{MAX_LEVEL_SEED}; use fewer levels or an earlier start"
        )


def _find(
    encoder: str | Path | Artifact | Encoder | Mapping[str, str],
    game: str | None,
    distribution_mode: str | None,
    compute: dict[str, Any],
) -> Encoder:
    from heist_encoders.zoo.encoder import Encoder

    if isinstance(encoder, Encoder):
        find_for_game(encoder.artifact, game, distribution_mode)
        return encoder
    artifact = find_for_game(encoder, game, distribution_mode)
    return Encoder(artifact, **compute)


def find_for_game(
    encoder: str | Path | Artifact | Mapping[str, str], game: str | None, distribution_mode: str | None
) -> Artifact:
    """The artifact to look at a game with. Its mode must be the game's, unless it was trained on another game.

    Args:
        encoder: as in ``find_artifact``.
        game: the game to be played; None: the one that the artifact was trained on.
        distribution_mode: the mode to be played; None: the artifact's.

    Raises:
        UnknownNameError, ArtifactError: as ``find_artifact`` does.
    """
    from heist_encoders.zoo.lookup import find_artifact
    from heist_encoders.zoo.names import family_of

    if isinstance(encoder, str) and family_of(encoder) and game in (None, "heist"):
        return find_artifact(encoder, distribution_mode)
    artifact = find_artifact(encoder)
    return find_artifact(artifact, distribution_mode if game in (None, artifact.game) else None)


def _default_mode(game: str, artifact: Artifact | None) -> str:
    if artifact is not None and artifact.game == game:
        return artifact.distribution_mode
    # Procgen's own default for the others, which do not all have a memory mode.
    return "memory" if game == "heist" else "hard"


def check_num_envs(num_envs: Any) -> int:
    """A number of games as int, or a ConfigError."""
    if isinstance(num_envs, bool) or not hasattr(num_envs, "__index__") or num_envs < 1:
        raise ConfigError(f"num_envs = {num_envs!r}: expected a whole number, at least 1")
    return int(num_envs)


def check_action_array(actions: Any, num_envs: int, num_actions: int) -> Any:
    """int64 (num_envs,) of actions in 0..num_actions - 1, or a ConfigError."""
    import numpy as np

    values = np.asarray(actions)
    if values.shape != (num_envs,) or values.dtype.kind not in "iu":
        raise ConfigError(
            f"actions are {values.dtype} {values.shape}, expected {num_envs} whole numbers, one for each environment"
        )
    if values.size and not 0 <= values.min() <= values.max() < num_actions:
        raise ConfigError(f"actions reach from {values.min()} to {values.max()}, expected 0..{num_actions - 1}")
    return values


def check_reset_options(options: Mapping[str, Any] | None, known: tuple[str, ...]) -> dict[str, Any]:
    """The options of a reset as a dictionary, or UnknownNameError for one that is not among ``known``."""
    options = dict(options or {})
    for name in options:
        if name not in known:
            raise unknown_name("reset option", name, known)
    return options


def check_level(level: Any) -> int:
    """A level seed as int, or a ConfigError."""
    if isinstance(level, bool) or not hasattr(level, "__index__") or not 0 <= int(level) <= MAX_LEVEL_SEED:
        raise ConfigError(f"level_seed = {level!r}: expected a whole number in 0..{MAX_LEVEL_SEED}")
    return int(level)
