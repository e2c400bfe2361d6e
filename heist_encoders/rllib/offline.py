"""The oracle's moves as RLlib's offline data: Parquet written by Ray workers, and BC or MARWIL that learn from it.

Rows are single steps with the columns of RLlib's own recordings. Observations are encodings of a frozen encoder, not
pixels: each frame is encoded once, not once an epoch.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.offline.offline_prelearner import OfflinePreLearner

from heist_encoders.constants import GAMES, NUM_MOVES
from heist_encoders.data.manifest import CHUNK_FRAMES, DatasetSpec
from heist_encoders.data.pages import check_pages
from heist_encoders.data.stream import stream
from heist_encoders.errors import ConfigError, one_line, unknown_name
from heist_encoders.files import FolderLock, write_atomically
from heist_encoders.json_text import read_json
from heist_encoders.paths import user_path
from heist_encoders.policies.recording import oracle_episodes
from heist_encoders.ray_session import actor_class, quiet_ray
from heist_encoders.rllib.encoding import FrameEncoder
from heist_encoders.rllib.heads import head_module_spec
from heist_encoders.rllib.registration import env_name, register
from heist_encoders.rllib.sharing import placeless, share
from heist_encoders.rllib.taught import keep_record, of_encoder
from heist_encoders.tasks.registry import task_of
from heist_encoders.tasks.targets import move_distribution
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.lookup import find_artifact
from heist_encoders.zoo.options import EncoderOptions

ABOUT: Final = "offline.json"
"""Beside the shards: what was recorded."""
EPISODES_A_SHARD: Final = 64
ALGORITHMS: Final = ("bc", "marwil")
_ABOUT: Final = {"kind", "number", "encoder", "distribution_mode", "normalize", "seed"}
_LONGEST = max(game.time_limit for game in GAMES.values())
"""Steps of an episode at most."""
_WIDTH, _FLOAT_WIDTH, _SLACK = 32, 5, 64
"""Bytes in the pages of a column: for a value at most, with its share of what says which values are missing and where
lists end; for a number of an encoding; and for those shares at least."""
_READ_ROWS = 4096
"""Rows that become episodes together; at most one episode is cut between two such batches."""


def record_oracle(
    encoder: str | Path | Artifact,
    out: str | Path,
    *,
    frames: int | None = None,
    episodes: int | None = None,
    mode: str | None = None,
    normalize: bool = True,
    seed: int = 0,
    workers: int | None = None,
    backend: str = "auto",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write what the oracle would do, or did, as RLlib's offline data.

    Either labelled frames, balanced situations of the training levels, also off the oracle's path (for BC: rows know no
    following step and no reward), or whole episodes of the oracle from true starts (for BC and MARWIL).

    A shard follows from the options and its number alone. Killed, the same call goes on with the shards that are
    missing.

    Args:
        encoder: name, path or artifact; stays as it is.
        out: folder; ``offline.json`` and Parquet shards are written there.
        frames: labelled frames to draw; those in which the oracle has no move are left out. Or
        episodes: episodes of the oracle; one of the two.
        mode: distribution mode; None: the encoder's.
        normalize: encodings by the mean and standard deviation stored in the artifact.
        seed: of the situations or levels, and of the choice among moves that are equally good.
        workers: Ray workers, one CPU each; None: one for each CPU. Never changes the result.
        backend: of the encoder.
        address: of a Ray cluster; None: the connected one, else a local one.
        progress: called with the shards done and of all.

    Returns:
        ``out``, for ``offline_config`` or RLlib's ``config.offline_data(input_=...)``. Columns: ``eps_id`` string,
        ``t`` int32, ``obs`` list of float32 (size,), ``actions`` int64 (0 to 8), ``rewards`` float32, ``terminateds``
        and ``truncateds`` bool, and for episodes ``new_obs``.

    Raises:
        UnknownNameError, ArtifactError: for an encoder that does not exist (for this mode).
        ConfigError: for numbers out of range, a game without an oracle, or a folder that holds other things or that
            another call is writing into.
        ResourceError: if the running Ray has fewer CPUs than ``workers``, or the disk is full.
    """
    if (frames is None) == (episodes is None) or min(
        number for number in (frames, episodes, workers, 1) if number is not None
    ) < 1:
        raise ConfigError(
            f"frames = {frames}, episodes = {episodes}, workers = {workers}: expected one of frames and episodes, and "
            "numbers of at least 1"
        )
    artifact = find_artifact(encoder, mode)
    task = task_of(artifact.game)
    if task.oracle() is None or "oracle_moves" not in task.label_columns():
        raise ConfigError(f"{artifact.game} has no oracle to record; use another game")
    about = {
        "kind": "frames" if frames is not None else "episodes",
        "number": frames or episodes,
        "encoder": artifact.reference,
        "distribution_mode": artifact.distribution_mode,
        "normalize": normalize,
        "seed": seed,
    }
    folder = user_path(out).absolute()
    _open_folder(folder, about)
    shards = list(_shards(about))
    missing = [shard for shard in shards if not (folder / _name(shard[0])).exists()]
    done = len(shards) - len(missing)
    if progress is not None:
        progress(done, len(shards))
    if missing:
        with FolderLock(folder), quiet_ray(workers, address) as cpus:
            for leftover in folder.glob(".*.parquet"):  # of a recording that was killed while it wrote
                leftover.unlink()
            share(artifact)
            for number, content in _recorded(about, missing, min(workers or cpus, len(missing)), backend):
                write_atomically(folder / _name(number), content)
                done += 1
                if progress is not None:
                    progress(done, len(shards))
    return folder


def offline_about(data: str | Path) -> dict[str, Any]:
    """What ``record_oracle`` wrote into a folder: its options, and ``rows``, how many steps or frames there are.

    Raises:
        ConfigError: if it wrote nothing there, or has not finished.
    """
    folder = user_path(data).absolute()
    try:
        about: dict[str, Any] = read_json(folder / ABOUT)
        if not isinstance(about, dict) or about.keys() != _ABOUT or type(about["number"]) is not int:
            raise ValueError(f"it has not the entries {sorted(_ABOUT)}")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {folder / ABOUT}: {error}; expected a folder of record_oracle's") from None
    count = -(-about["number"] // _shard_size(about))
    there = {int(path.stem) for path in folder.glob("*.parquet") if re.fullmatch("[0-9]{6,9}", path.stem)}
    missing = count - sum(number < count for number in there)
    if missing > 0:
        raise ConfigError(f"{folder} lacks {missing} shards; record it again with the same options to go on")
    with _unreadable(folder):
        rows = sum(pq.read_metadata(folder / _name(number)).num_rows for number in range(count))
    return {**about, "rows": rows}


def check_shards(data: str | Path, about: Mapping[str, Any], size: int) -> None:
    """Compare the shards with what ``record_oracle`` writes, before Ray Data unpacks them.

    Args:
        data: the folder.
        about: what ``offline_about`` gave.
        size: numbers of an encoding.

    Raises:
        ConfigError: for other columns, more rows than can be, or pages that say that they unpack to more than these.
    """
    folder = user_path(data).absolute()
    schema = _table_schema(size, following=about["kind"] == "episodes")
    lists = {f"{field.name}.list.element": size for field in schema if pa.types.is_fixed_size_list(field.type)}
    widths = {field.name: _WIDTH for field in schema if f"{field.name}.list.element" not in lists}
    widths |= dict.fromkeys(lists, _FLOAT_WIDTH)
    with _unreadable(folder):
        for shard, number in _shards(about):
            most = number if about["kind"] == "frames" else number * _LONGEST
            with pa.memory_map(str(folder / _name(shard))) as file:
                content = memoryview(file.read_buffer()).cast("B")
                rows = check_pages(content, widths, counts=lists, slack=_SLACK)
                if rows > most or not pq.read_schema(pa.BufferReader(content)).equals(schema):
                    raise pa.ArrowInvalid(f"{_name(shard)} holds {rows} rows of other columns")


@contextmanager
def _unreadable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # the last by names in the footer
        raise ConfigError(
            f"cannot read the shards in {folder}: {one_line(error)}; record it again in a new folder"
        ) from None


def offline_config(
    data: str | Path,
    algorithm: str = "bc",
    *,
    head: str = "auto",
    planner: Mapping[str, Any] | None = None,
    seed: int | None = 0,
) -> Any:
    """A BCConfig or MARWILConfig of RLlib's on what ``record_oracle`` wrote: chain on.

        algorithm = offline_config("data/moves").training(lr=1e-3).build_algo()
        algorithm.train()
        export_policy(algorithm, "runs/bc")

    The module is that of ``ppo_config``, and so is the environment, for ``evaluate_policy``. The policy is of class D;
    ``export_policy`` writes that and the number of demonstrations.

    Args:
        data: the folder.
        algorithm: ``bc`` or ``marwil``; MARWIL needs episodes.
        head: ``planner``, ``mlp`` or ``auto``. Without memory: rows are single steps.
        planner: sizes of the planner.
        seed: of the initial weights.

    Raises:
        UnknownNameError: for another algorithm or head.
        ConfigError: for a folder that is none, not finished or not as it was written, or MARWIL on labelled frames.
    """
    from ray.rllib.algorithms.bc import BCConfig
    from ray.rllib.algorithms.marwil import MARWILConfig

    if algorithm not in ALGORITHMS:
        raise unknown_name("algorithm", algorithm, ALGORITHMS)
    about = offline_about(data)
    labelled = about["kind"] == "frames"
    if algorithm == "marwil" and labelled:
        raise ConfigError(f"{data} holds labelled frames, which have no returns for MARWIL; record episodes, or use bc")
    artifact = find_artifact(about["encoder"])
    check_shards(data, about, math.prod(artifact.encoding_shape))
    register(artifact.name)
    spec = head_module_spec(artifact.encoding_shape, head, planner=planner)
    chosen: Any = BCConfig if algorithm == "bc" else MARWILConfig
    config = chosen()
    config.environment(
        env_name(artifact.name),
        env_config={
            "encoder": artifact.reference,
            "distribution_mode": about["distribution_mode"],
            "normalize": about["normalize"],
            "actions": "moves",
        },
        # Nothing is played while RLlib learns from data: it makes no environment to ask.
        observation_space=gym.spaces.Box(-np.inf, np.inf, (math.prod(artifact.encoding_shape),), np.float32),
        action_space=gym.spaces.Discrete(NUM_MOVES),
    )
    config.env_runners(gym_env_vectorize_mode="vector_entry_point")
    config.offline_data(
        input_=[str(user_path(data).absolute() / _name(shard)) for shard, _ in _shards(about)],
        dataset_num_iters_per_learner=1,
        map_batches_kwargs={"concurrency": 1, "num_cpus": 1},
        **({"ignore_final_observation": True} if labelled else _AS_EPISODES),
    )
    config.training(train_batch_size_per_learner=512, lr=2e-3, grad_clip=1.0, grad_clip_by="global_norm")
    config.rl_module(rl_module_spec=spec, model_config=spec.model_config)
    config.debugging(seed=seed)
    keep_record(
        config,
        {
            "class": "D",
            "method": "behaviour cloning (RLlib's BC)" if algorithm == "bc" else "RLlib's MARWIL",
            "demonstration_frames": about["rows"],
            "demonstrations": about["kind"],
            **of_encoder(artifact),
        },
    )
    return config


class StepsToEpisodes(OfflinePreLearner):
    """Puts the steps of an episode together again. RLlib makes an episode of each row, whose value target would be the
    reward and the value, as it was before any training, of the next observation."""

    def _map_to_episodes(self, batch: Mapping[str, Any], to_numpy: bool = False, **_: Any) -> dict[str, list[Any]]:
        ids, steps = np.asarray(batch["eps_id"]), np.asarray(batch["t"])
        cuts = np.flatnonzero((ids[1:] != ids[:-1]) | (steps[1:] != steps[:-1] + 1)) + 1
        episodes = []
        for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), len(ids)], strict=True):
            episode = SingleAgentEpisode(
                id_=f"{ids[start]}-{steps[start]}",
                observations=[*batch["obs"][start:stop], batch["new_obs"][stop - 1]],
                actions=list(batch["actions"][start:stop]),
                rewards=list(batch["rewards"][start:stop]),
                terminated=bool(batch["terminateds"][stop - 1]),
                truncated=bool(batch["truncateds"][stop - 1]),
                len_lookback_buffer=0,
            )
            episodes.append(episode.to_numpy() if to_numpy else episode)
        return {"episodes": episodes}


_AS_EPISODES = {"prelearner_class": StepsToEpisodes, "input_read_batch_size": _READ_ROWS}


def _open_folder(folder: Path, about: dict[str, Any]) -> None:
    """Make the folder, or check that what lies in it goes on here."""
    file = folder / ABOUT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if file.exists():
            known = read_json(file)
            for key, value in about.items():
                there, here = placeless(known.get(key)), placeless(value)
                if there != here:
                    raise ConfigError(
                        f"{folder} holds a recording with {key} = {there!r}, here {here!r}; choose another folder"
                    )
        elif any(not path.name.startswith(f".{Path(ABOUT).stem}.") for path in folder.iterdir()):
            raise ConfigError(f"{folder} holds other files; choose a new or empty folder")
        else:
            write_atomically(file, json.dumps(about, indent=2) + "\n")
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot record into {folder}: {error}; choose another folder") from None


def _name(shard: int) -> str:
    return f"{shard:06d}.parquet"


def _shard_size(about: Mapping[str, Any]) -> int:
    return CHUNK_FRAMES if about["kind"] == "frames" else EPISODES_A_SHARD


def _shards(about: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Number and frames (or episodes) of each shard."""
    size = _shard_size(about)
    for shard, start in enumerate(range(0, about["number"], size)):
        yield shard, min(size, about["number"] - start)


def _recorded(
    about: dict[str, Any], shards: Sequence[tuple[int, int]], workers: int, backend: str
) -> Iterator[tuple[int, bytes]]:
    """The number and content of each shard, as they get done."""
    from ray.util import ActorPool

    options: dict[str, Any] = {"num_cpus": 1, "max_restarts": -1, "max_task_retries": -1}
    worker = actor_class(Recorder).options(scheduling_strategy="SPREAD", **options)
    pool = ActorPool([worker.remote(about, backend) for _ in range(workers)])
    yield from pool.map_unordered(lambda actor, shard: actor.record.remote(*shard), list(shards))


class Recorder:
    """Makes shards, each a function of its number.

    Args:
        about: what is recorded, as in ``offline.json``.
        backend: of the encoder.
    """

    def __init__(self, about: dict[str, Any], backend: str) -> None:
        self._about = about
        self._encode = FrameEncoder(
            about["encoder"],
            normalize=about["normalize"],
            options=EncoderOptions(device="cpu", backend=backend, threads=1),
        )

    def record(self, shard: int, number: int) -> tuple[int, bytes]:
        """The shard's number and its content as Parquet.

        Args:
            shard: its number.
            number: of frames to draw, or of episodes.
        """
        make = _labelled_frames if self._about["kind"] == "frames" else _oracle_episodes
        sink = io.BytesIO()
        rows = make(self._encode, self._about["seed"], shard, number)
        pq.write_table(rows, sink, compression="zstd", use_dictionary=False)  # see check_pages
        return shard, sink.getvalue()


def _labelled_frames(encode: FrameEncoder, seed: int, shard: int, number: int) -> Any:
    artifact = encode.artifact
    spec = DatasetSpec.from_dict(
        {
            "game": artifact.game,
            "distribution_mode": artifact.distribution_mode,
            "use_backgrounds": artifact.use_backgrounds,
            "balance": task_of(artifact.game).strategies[0],
            "seed": seed,
        }
    )
    rows = next(stream(spec, batch_size=CHUNK_FRAMES, start=shard))
    moves = move_distribution(rows.labels["oracle_moves"][:number].astype(np.int64))
    actions = (np.random.default_rng([seed, shard]).random(moves.shape) * moves).argmax(axis=1)
    known = np.flatnonzero(moves.any(axis=1))
    return _table(
        episode=[f"{shard}-{row}" for row in known.tolist()],
        step=np.zeros(len(known), np.int32),
        observations=encode(rows.frames[known]),
        actions=actions[known],
        rewards=np.zeros(len(known), np.float32),
        terminated=np.ones(len(known), np.bool_),
        truncated=np.zeros(len(known), np.bool_),
    )


def _oracle_episodes(encode: FrameEncoder, seed: int, shard: int, number: int) -> Any:
    artifact = encode.artifact
    options = {
        "game": artifact.game,
        "distribution_mode": artifact.distribution_mode,
        "use_backgrounds": artifact.use_backgrounds,
    }
    episodes = oracle_episodes(number, options, encode, [seed, shard])
    steps = np.concatenate([np.arange(len(episode.actions), dtype=np.int32) for episode in episodes])
    last = np.concatenate([np.arange(len(episode.actions)) == len(episode.actions) - 1 for episode in episodes])
    solved = np.concatenate([np.full(len(episode.actions), episode.success) for episode in episodes])
    return _table(
        episode=[f"{shard}-{number}" for number, episode in enumerate(episodes) for _ in episode.actions],
        step=steps,
        observations=np.concatenate([episode.observations[:-1] for episode in episodes]),
        following=np.concatenate([episode.observations[1:] for episode in episodes]),
        actions=np.concatenate([episode.actions for episode in episodes]),
        rewards=np.concatenate([episode.rewards for episode in episodes]),
        terminated=last & solved,
        truncated=last & ~solved,
    )


def _table(
    *, episode: Sequence[str], step: Any, observations: Any, actions: Any, rewards: Any, terminated: Any,
    truncated: Any, following: Any = None,
) -> Any:  # fmt: skip
    def rows(encodings: Any) -> Any:
        return pa.FixedSizeListArray.from_arrays(pa.array(encodings.reshape(-1)), encodings.shape[1])

    columns = {
        "eps_id": pa.array(episode, pa.string()),
        "t": pa.array(step),
        "obs": rows(observations),
        "actions": pa.array(actions.astype(np.int64)),
        "rewards": pa.array(rewards),
        "terminateds": pa.array(terminated),
        "truncateds": pa.array(truncated),
    }
    if following is not None:
        columns["new_obs"] = rows(following)
    return pa.table(columns, schema=_table_schema(observations.shape[1], following=following is not None))


def _table_schema(size: int, *, following: bool) -> pa.Schema:
    encoding = pa.list_(pa.float32(), size)
    fields = [
        ("eps_id", pa.string()), ("t", pa.int32()), ("obs", encoding), ("actions", pa.int64()),
        ("rewards", pa.float32()), ("terminateds", pa.bool_()), ("truncateds", pa.bool_()),
    ]  # fmt: skip
    return pa.schema([*fields, ("new_obs", encoding)] if following else fields)
