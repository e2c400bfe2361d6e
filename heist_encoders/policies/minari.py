"""The oracle's episodes as a Minari dataset, for other people's offline reinforcement learning."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import DISTRIBUTION_MODES
from heist_encoders.errors import ConfigError, MissingDependencyError, unknown_name
from heist_encoders.policies.recording import Episode, oracle_episodes
from heist_encoders.zoo.files import whole_folder
from heist_encoders.zoo.names import PIXELS_ID

_TOGETHER = 64
"""Episodes played at the same time, and kept in memory until they are written."""


def record_minari(
    dataset_id: str,
    *,
    episodes: int,
    mode: str = "easy",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Write whole episodes of the oracle as a local Minari dataset: all of it or nothing. Needs the extra ``minari``.

    The levels are of the training range; ``infos["level_seed"]`` names them. Observations are frames, flat uint8
    (12288,): Minari would keep those of shape (64, 64, 3) as JPEG, which changes them.
    ``load_encoder(...).encode(flat.reshape(-1, 64, 64, 3))`` encodes them. After ``import heist_encoders``,
    ``recover_environment`` gives ``heist-pixels-v0`` with the same flat observations.

    Args:
        dataset_id: Minari's name, such as ``heist/oracle-easy-v0``. It lies where Minari keeps its datasets
            (``MINARI_DATASETS_PATH``).
        episodes: how many.
        mode: distribution mode.
        seed: of the levels.
        progress: called with the episodes played and of all.

    Returns:
        The ``minari.MinariDataset``.

    Raises:
        MissingDependencyError: without Minari.
        ConfigError: for an id that is taken or cannot be, or numbers out of range.
        UnknownNameError: for a mode that does not exist.
        ArtifactError, ResourceError: if it cannot be written.
    """
    if episodes < 1:
        raise ConfigError(f"episodes = {episodes}: expected at least 1")
    if mode not in DISTRIBUTION_MODES:
        raise unknown_name("distribution_mode", mode, DISTRIBUTION_MODES)
    place = _place(dataset_id)
    import minari
    from minari.dataset.minari_storage import MinariStorage
    from minari.namespace import create_namespace, list_local_namespaces

    env: Any = gym.wrappers.FlattenObservation(gym.make(PIXELS_ID, distribution_mode=mode, actions="moves"))
    try:
        spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
        game = env.unwrapped.options.game
        with whole_folder(place, replace=False) as folder:
            storage = MinariStorage.new(folder / "data", **spaces, env_spec=env.spec, data_format="arrow")
            storage.update_metadata(
                {
                    "dataset_id": dataset_id,
                    "algorithm_name": "shortest-path oracle",
                    "description": f"Episodes of the shortest-path oracle of Procgen's {game}, {mode} mode, training "
                    "levels, from their true starts. Observations are flat frames (64, 64, 3).",
                    "minari_version": minari.__version__,
                }
            )
            for part, start in enumerate(range(0, episodes, _TOGETHER)):
                number = min(_TOGETHER, episodes - start)
                played = oracle_episodes(
                    number, {"game": game, "distribution_mode": mode}, lambda frames: frames, [seed, part]
                )
                storage.update_episodes([_buffer(start + row, episode) for row, episode in enumerate(played)])
                if progress is not None:
                    progress(start + number, episodes)
    finally:
        env.close()
    namespace, _, _ = dataset_id.rpartition("/")
    if namespace and namespace not in list_local_namespaces():
        create_namespace(namespace)
    return minari.load_dataset(dataset_id)


def check_minari(dataset_id: str) -> None:
    """Whether ``record_minari`` could begin. Raises as it does."""
    _place(dataset_id)


def _place(dataset_id: str) -> Path:
    """The folder in which Minari looks for a dataset; what a killed recording left beside it is removed."""
    try:
        from minari.dataset.minari_dataset import parse_dataset_id
        from minari.storage.datasets_root_dir import get_dataset_path
    except ImportError:
        raise MissingDependencyError("Minari is not installed; pip install 'heist-encoders[minari]'") from None
    try:
        parse_dataset_id(dataset_id)
    except (ValueError, TypeError):  # the last where there is no version
        raise ConfigError(f"{dataset_id!r} is no id of Minari's; expected one such as heist/oracle-easy-v0") from None
    place: Path = get_dataset_path(dataset_id)
    if place.exists():
        raise ConfigError(f"Minari has a dataset {dataset_id!r} at {place} already; choose another id or delete it")
    for leftover in place.parent.glob(f".{place.name}.*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    return place


def _buffer(number: int, episode: Episode) -> Any:
    from minari.data_collector.episode_buffer import EpisodeBuffer

    last = np.arange(len(episode.actions)) == len(episode.actions) - 1
    flat: NDArray[np.uint8] = episode.observations.reshape(len(episode.observations), -1)
    return EpisodeBuffer(
        id=number,
        observations=list(flat),
        actions=list(episode.actions),
        rewards=episode.rewards.tolist(),
        terminations=(last & episode.success).tolist(),
        truncations=(last & (not episode.success)).tolist(),
        infos={"level_seed": [episode.level_seed] * len(flat)},
    )
