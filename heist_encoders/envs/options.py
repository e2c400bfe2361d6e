"""The options that every environment takes, checked once, for single and vector environments alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, SupportsIndex

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike
from pydantic import Field, model_validator
from typing_extensions import Self

from heist_encoders.arrays import Integers
from heist_encoders.config import one_of
from heist_encoders.constants import (
    DEFAULT_GAME,
    DISTRIBUTION_MODES,
    EVALUATION_LEVELS,
    GAMES,
    MAX_ACTION_REPEAT,
    MAX_LEVEL_SEED,
    NUM_ACTIONS,
    NUM_MOVES,
)
from heist_encoders.envs.starts import StartOptions, check_starts
from heist_encoders.errors import ArtifactError, ConfigError, unknown_name
from heist_encoders.tasks.registry import task_of
from heist_encoders.zoo.options import EncoderOptions

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact
    from heist_encoders.zoo.encoder import Encoder

ACTIONS = {"all": NUM_ACTIONS, "moves": NUM_MOVES}
"""Name of an action set -> its size. The moves are Procgen's actions 0 to 8, under the same numbers."""


class GameOptions(EncoderOptions, StartOptions):
    """What is played, what an agent sees of it and may do: the part that environments and PPO have in common.

    Two defaults differ between ``gymnasium.make`` (here) and ``ppo_config`` (``PPOOptions``), on purpose. An
    environment shows a game as it is: every action of Procgen's (``actions="all"``), encodings as the encoder gives
    them (``normalize=False``). ``ppo_config`` sets up what learns best: only the actions that do something in Heist
    (``moves``), and encodings on one scale (``normalize=True``).
    """

    distribution_mode: Annotated[str | None, one_of(DISTRIBUTION_MODES)] = None
    """``memory`` (big maze, 8x8 cells in view), ``easy`` or ``hard`` (the whole maze in view); None: the encoder's,
    ``memory`` for frames of Heist. An architecture's name takes the packaged artifact of that mode"""

    num_levels: int = Field(default=0, ge=0)
    """size of the set of levels; 0: every level from ``start_level`` on, less the evaluation levels (from 1.5e9 on)
    unless it starts among them"""

    start_level: int = Field(default=0, ge=0, le=MAX_LEVEL_SEED)
    """first level of the set"""

    game: Annotated[str | None, one_of(GAMES)] = None
    """one of Procgen's 16 games; None: the one that the encoder was trained on, or Heist"""

    other_game: bool = False
    """let an encoder look at another game than it was trained on, which is refused otherwise: its encodings mean little
    there"""

    use_backgrounds: bool | None = None
    """draw textured backgrounds; None: as the encoder was trained, or no"""

    actions: Annotated[str, one_of(ACTIONS, "action set")] = "all"
    """``all`` (Procgen's 15) or ``moves`` (the 9 that matter in Heist)"""

    action_repeat: int = Field(default=1, ge=1, le=MAX_ACTION_REPEAT)
    """steps of the game for which an action is held, fewer where the episode ends; their rewards are summed"""

    normalize: bool = False
    """bring encodings to mean 0 and standard deviation 1 with the statistics stored in the artifact"""

    device: str = "cpu"

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if self.start_level + self.num_levels - 1 > MAX_LEVEL_SEED:
            raise ValueError(
                f"start_level = {self.start_level} with num_levels = {self.num_levels} ends beyond the last level, "
                f"{MAX_LEVEL_SEED}; use fewer levels or an earlier start"
            )
        return self

    @property
    def encoder_options(self) -> EncoderOptions:
        """The part that concerns the encoder."""
        return EncoderOptions(**{name: getattr(self, name) for name in EncoderOptions.model_fields})


class EnvConfig(GameOptions):
    """The options of ``gymnasium.make`` and ``make_env``, and of RLlib's ``env_config``, as the user gives them."""

    render_mode: Annotated[str | None, one_of(("rgb_array", "rgb_array_list", "human"))] = None
    """``rgb_array``, ``rgb_array_list`` or ``human``: the frame and, beside it, its reconstruction"""


@dataclass(frozen=True)
class EnvOptions:
    """What an environment plays and shows, with nothing left open: made of an ``EnvConfig`` by ``resolve_options``.

    Attributes:
        game: one of Procgen's 16 games.
        distribution_mode: ``easy``, ``hard`` or ``memory``.
        use_backgrounds: draw textured backgrounds.
        num_levels: size of the level set; 0: every level from ``start_level`` on, less the evaluation levels.
        start_level: first level of the set.
        num_actions: 15 or 9.
        action_repeat: steps of the game in a step of the environment.
        normalize: bring encodings to mean 0 and standard deviation 1 with the artifact's stored statistics.
        render_mode: None, ``rgb_array``, ``rgb_array_list`` or ``human``.
        encoder: turns frames into observations; None shows the frames themselves.
        starts: where episodes of training begin, and their time limit.
    """

    game: str
    distribution_mode: str
    use_backgrounds: bool
    num_levels: int
    start_level: int
    num_actions: int
    action_repeat: int
    normalize: bool
    render_mode: str | None
    encoder: Encoder | None
    starts: StartOptions = field(default_factory=StartOptions)

    @property
    def last_level(self) -> int:
        """The last level of the set. Without a size it ends before the evaluation levels, unless it starts in them."""
        return level_set(self.start_level, self.num_levels)[-1]

    @property
    def action_space(self) -> spaces.Discrete[np.int64]:
        """The actions of one game."""
        return spaces.Discrete(self.num_actions)


def level_set(start_level: int, num_levels: int) -> range:
    """The levels that an environment with these options plays."""
    if num_levels:
        return range(start_level, start_level + num_levels)
    return range(start_level, EVALUATION_LEVELS.start if start_level < EVALUATION_LEVELS.start else MAX_LEVEL_SEED + 1)


def resolve_options(
    encoder: str | Path | Artifact | Encoder | Mapping[str, str] | None, config: EnvConfig | None = None
) -> EnvOptions:
    """Fill in what was left open from the encoder's artifact, and load the encoder.

    Raises:
        UnknownNameError: for an unknown encoder.
        ArtifactError: for an encoder that is damaged, or trained on another mode of the game.
    """
    config = config or EnvConfig()
    game, distribution_mode, use_backgrounds = config.game, config.distribution_mode, config.use_backgrounds
    found = None if encoder is None else _find(encoder, config)
    artifact = found.artifact if found else None
    game = game or (artifact.game if artifact else DEFAULT_GAME)
    if distribution_mode is None:
        distribution_mode = _default_mode(game, artifact)
    if use_backgrounds is None:
        use_backgrounds = artifact.use_backgrounds if artifact else False
    check_starts(config, game)
    return EnvOptions(
        game=game,
        distribution_mode=distribution_mode,
        use_backgrounds=use_backgrounds,
        num_levels=config.num_levels,
        start_level=config.start_level,
        num_actions=ACTIONS[config.actions],
        action_repeat=config.action_repeat,
        normalize=config.normalize,
        render_mode=config.render_mode,
        encoder=found,
        starts=config.start_options,
    )


def _find(encoder: str | Path | Artifact | Encoder | Mapping[str, str], config: EnvConfig) -> Encoder:
    from heist_encoders.zoo.encoder import Encoder

    wanted = (config.game, config.distribution_mode, config.other_game)
    if isinstance(encoder, Encoder):
        find_for_game(encoder.artifact, *wanted)
        return encoder
    return Encoder(find_for_game(encoder, *wanted), config.encoder_options)


def find_for_game(
    encoder: str | Path | Artifact | Mapping[str, str],
    game: str | None,
    distribution_mode: str | None,
    other_game: bool = False,
) -> Artifact:
    """The artifact to look at a game with. Its mode must be the game's, unless it was trained on another game.

    Args:
        encoder: as in ``find_artifact``.
        game: the game to be played; None: the one that the artifact was trained on.
        distribution_mode: the mode to be played; None: the artifact's.
        other_game: whether it may have been trained on another game than ``game``.

    Raises:
        UnknownNameError, ArtifactError: as ``find_artifact`` does.
        ArtifactError: if it was trained on another game, unless that is allowed.
    """
    from heist_encoders.zoo.lookup import find_artifact
    from heist_encoders.zoo.names import architecture_of

    if isinstance(encoder, str) and architecture_of(encoder) and game in (None, DEFAULT_GAME):
        return find_artifact(encoder, distribution_mode)
    artifact = find_artifact(encoder)
    if not other_game:
        check_same_game(artifact, game)
    return find_artifact(artifact, distribution_mode if game in (None, artifact.game) else None)


def check_same_game(artifact: Artifact, game: str | None) -> None:
    """Raise ArtifactError if the artifact was trained on another game than ``game``."""
    if game not in (None, artifact.game):
        raise ArtifactError(
            f"{artifact.name} was trained on frames of {artifact.game}, asked for {game}; use an encoder trained on "
            f"{game}, or say other_game=True to look at {game} with this one all the same"
        )


def _default_mode(game: str, artifact: Artifact | None) -> str:
    if artifact is not None and artifact.game == game:
        return artifact.distribution_mode
    return task_of(game).default_mode


def check_count(name: str, number: object) -> int:
    """The number called ``name`` as int, or a ConfigError unless it is whole and at least 1."""
    if isinstance(number, bool) or not isinstance(number, SupportsIndex) or int(number) < 1:
        raise ConfigError(f"{name} = {number!r}: expected a whole number, at least 1")
    return int(number)


def limited(options: EnvOptions, max_episode_steps: int) -> EnvOptions:
    """Options with a time limit of at most ``max_episode_steps``, or a ConfigError."""
    limit = min(
        check_count("max_episode_steps", max_episode_steps), options.starts.time_limit or GAMES[options.game].time_limit
    )
    return replace(options, starts=options.starts.model_copy(update={"time_limit": limit}))


def check_action_array(actions: ArrayLike, num_envs: int, num_actions: int) -> Integers:
    """int64 (num_envs,) of actions in 0..num_actions - 1, or a ConfigError."""
    values = np.asarray(actions)
    if values.shape != (num_envs,) or values.dtype.kind not in "iu":
        raise ConfigError(
            f"actions are {values.dtype} {values.shape}, expected {num_envs} whole numbers, one for each environment"
        )
    if values.size and not 0 <= values.min() <= values.max() < num_actions:
        raise ConfigError(f"actions reach from {values.min()} to {values.max()}, expected 0..{num_actions - 1}")
    return values


def check_reset_options(options: Mapping[str, object] | None, known: tuple[str, ...]) -> dict[str, object]:
    """The options of a reset as a dictionary, or UnknownNameError for one that is not among ``known``."""
    options = dict(options or {})
    for name in options:
        if name not in known:
            raise unknown_name("reset option", name, known)
    return options


def check_level(level: object) -> int:
    """A level seed as int, or a ConfigError."""
    if isinstance(level, bool) or not isinstance(level, SupportsIndex) or not 0 <= int(level) <= MAX_LEVEL_SEED:
        raise ConfigError(f"level_seed = {level!r}: expected a whole number in 0..{MAX_LEVEL_SEED}")
    return int(level)
