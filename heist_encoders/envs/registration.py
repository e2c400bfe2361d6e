"""Gymnasium ids. Light: nothing but gymnasium is imported here, so that ``import heist_encoders`` stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium

from heist_encoders.constants import GAMES
from heist_encoders.errors import ConfigError, unknown_name
from heist_encoders.zoo.names import PIXELS_ID, architectures, env_id_of

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact

_SINGLE = "heist_encoders.envs.make:make_env"
_VECTOR = "heist_encoders.envs.make:make_vector_env"


def registered_ids() -> list[str]:
    """The ids in gymnasium's registry that belong to this package."""
    return [id for id, spec in gymnasium.registry.items() if spec.entry_point == _SINGLE]


def register_all() -> None:
    """Register the ids of the architectures, of the pixels, and of the user's artifacts. May be called again."""
    from heist_encoders.paths import user_folders

    _register(PIXELS_ID, {"encoder": None})
    for architecture, env_id in architectures().items():
        _register(env_id, {"encoder": architecture})
    for name in user_folders():
        env_id = env_id_of(name)
        if env_id not in gymnasium.registry:
            try:
                _register(env_id, {"encoder": name})
            except gymnasium.error.Error:
                continue  # a folder that the user made by hand, whose name cannot be an id


def register_encoder_env(
    id: str, encoder: str | Path | Artifact, *, game: str | None = None, **options: object
) -> None:
    """Make a gymnasium id of any encoder, for any of Procgen's 16 games.

    Args:
        id: the new id, ``my-encoder-v0`` for example.
        encoder: its name, path, URI or artifact; it is looked up now, and loaded when an environment is made.
        game: the game to play; None: the one that the encoder was trained on. Naming another one here is saying so:
            ``other_game`` becomes one of the options.
        options: fields of ``EnvConfig``: defaults that ``gymnasium.make`` can override.

    Raises:
        ConfigError: if the id cannot be used or is taken, or an option is out of range.
        UnknownNameError: for an unknown encoder, game or option.
        ArtifactError: if the artifact is damaged.

    Examples:
        >>> import gymnasium
        >>> heist_encoders.register_encoder_env("my-moves-v0", "vae_paper", distribution_mode="easy", actions="moves")
        >>> env = gymnasium.make("my-moves-v0")
        >>> env.action_space, env.observation_space.dtype
        (Discrete(9), dtype('float32'))
    """
    from heist_encoders.envs.options import EnvConfig, find_for_game
    from heist_encoders.zoo.artifact import Artifact
    from heist_encoders.zoo.lookup import is_place

    if game is not None and game not in GAMES:
        raise unknown_name("game", game, GAMES)
    config = EnvConfig.resolve(**options)
    artifact = find_for_game(encoder, game, config.distribution_mode, other_game=True)
    if isinstance(encoder, Artifact | Path) or is_place(encoder):
        encoder = str(artifact.path)  # absolute: the working directory may be another one by then
    if game not in (None, artifact.game):
        options["other_game"] = True
    kwargs = {"encoder": encoder, "game": game or artifact.game, **options}
    if id in gymnasium.registry and gymnasium.registry[id].kwargs != kwargs:
        raise ConfigError(f"the id {id!r} is taken; choose another")
    try:
        _register(id, kwargs)
    except gymnasium.error.Error as error:
        raise ConfigError(f"id {id!r}: {' '.join(str(error).split())}") from None


def _register(id: str, kwargs: dict[str, object]) -> None:
    if id in gymnasium.registry:
        return
    gymnasium.register(id=id, entry_point=_SINGLE, vector_entry_point=_VECTOR, kwargs=kwargs)
