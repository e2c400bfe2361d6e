"""PPO from a configuration to a trained policy on disk: metrics a line an iteration, checkpoints, resuming."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym

from heist_encoders.config import Config
from heist_encoders.errors import ArtifactError, ConfigError, HeistEncodersError, one_line
from heist_encoders.files import LOCK, FolderLock, full_disk_told, prepare_folder, write_atomically
from heist_encoders.json_text import read_json
from heist_encoders.paths import user_path
from heist_encoders.rllib.sharing import placeless
from heist_encoders.rllib.taught import record_in
from heist_encoders.training.hardware import keep_memory

PROGRESS = "progress.jsonl"
RUN = "ppo.json"
OPTIONS = "ppo.yaml"
CHECKPOINTS = "checkpoints"
START = "warm-start"
"""Sub-folder of a run with the policy that was cloned for it."""
ENVIRONMENT = "heist_encoders.json"
"""Beside RLlib's files in a checkpoint: the environment, what the policy was taught with, how far the run had come."""

_KEEP = 2
_IDENTITY = (
    "env", "env_config", "model_config", "lr", "gamma", "lambda_", "entropy_coeff", "vf_loss_coeff", "clip_param",
    "train_batch_size_per_learner", "minibatch_size", "num_epochs", "seed", "use_kl_loss", "grad_clip",
)  # fmt: skip
_LATER = ("use_kl_loss", "grad_clip")
"""Of these what runs of earlier versions did not write down; they go on."""


@dataclasses.dataclass(frozen=True)
class PPOResult:
    """A finished training.

    Attributes:
        out: its folder.
        checkpoint: the last checkpoint, RLlib's own.
        env_steps: environment steps trained on, over all resumptions.
        seconds: wall time of the iterations, over all resumptions.
        history: the lines of ``progress.jsonl``.
    """

    out: Path
    checkpoint: Path
    env_steps: int
    seconds: float
    history: list[dict[str, Any]]


def train_ppo(
    config: Any,
    *,
    steps: int,
    out: str | Path,
    callback: Callable[[dict[str, Any]], bool | None] | None = None,
    resume: bool = True,
    checkpoint_seconds: float = 60.0,
    options: Config | None = None,
    begun: Callable[[dict[str, Any]], None] | None = None,
) -> PPOResult:
    """Train until ``steps`` environment steps were played.

    Writes into ``out``: ``ppo.json`` (what is trained), ``progress.jsonl`` (a line an iteration) and ``checkpoints/``
    (the last two, RLlib's own format). Killed or interrupted, the same call goes on from the last checkpoint; called
    again when it is finished, it returns what is there.

    Args:
        config: from ``ppo_config`` or ``offline_config``, or any AlgorithmConfig on one of this package's environments.
        steps: environment steps in all (rows learned from, where RLlib learns from offline data); whole iterations are
            done, so a few more are possible.
        out: the run's folder.
        callback: gets each new line of the history; returns True to stop.
        resume: go on from a checkpoint in ``out``; False refuses a folder that holds a run.
        checkpoint_seconds: time between checkpoints; the last iteration always gets one.
        options: what ``config`` was made of, kept as ``ppo.yaml``.
        begun: called before anything is built, with the iteration, env_steps and seconds that it goes on from.

    Raises:
        ConfigError: if ``out`` cannot be written, holds another run, or another run is writing there.
        ArtifactError: if the checkpoint to go on from was cut or altered.
        ResourceError: if Ray has fewer CPUs than the configuration asks for, or the disk is full.
    """
    out = user_path(out).absolute()
    if steps < 1:
        raise ConfigError(f"steps = {steps}: expected at least 1")
    prepare_folder(out)
    if not (out / RUN).exists():
        refuse_other_files(out)
    with FolderLock(out):
        last = _open_run(out, _identity(config), resume)
        if options is not None:
            write_atomically(out / OPTIONS, options.to_yaml())
        trained = _train(config, steps, out, last, callback, checkpoint_seconds, begun)
    gc.collect()  # an algorithm is a ring of references, which Python would keep until its next full collection
    return trained


def _train(
    config: Any,
    steps: int,
    out: Path,
    last: Path | None,
    callback: Callable[[dict[str, Any]], bool | None] | None,
    checkpoint_seconds: float,
    begun: Callable[[dict[str, Any]], None] | None,
) -> PPOResult:
    state: dict[str, Any] = environment_of(last) if last else {"iteration": 0, "env_steps": 0, "seconds": 0.0}
    history = _restore_history(out / PROGRESS, state["iteration"])
    if begun is not None:
        begun(state)
    if last and state["env_steps"] >= steps:
        return PPOResult(out, last, state["env_steps"], state["seconds"], history)

    iteration, env_steps, seconds = state["iteration"], state["env_steps"], state["seconds"]
    algorithm = config.build_algo()
    try:
        if last:
            _restore(algorithm, last)
        saved = time.perf_counter()
        stop = False
        while not stop:
            started = time.perf_counter()
            with keep_memory():  # a planner's minibatch of 2,048 takes three times as long without
                result = algorithm.train()
            elapsed = time.perf_counter() - started
            iteration, seconds = iteration + 1, seconds + elapsed
            line = _line(result, iteration, env_steps, _steps_of(result, config), seconds, elapsed)
            env_steps = line["env_steps"]
            history.append(line)
            with full_disk_told(out / PROGRESS), (out / PROGRESS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            stop = bool(callback and callback(line)) or env_steps >= steps
            if stop or time.perf_counter() - saved >= checkpoint_seconds:
                progress = {"iteration": iteration, "env_steps": env_steps, "seconds": seconds}
                last = _save(algorithm, out / CHECKPOINTS, {**progress, **_environment(config)})
                saved = time.perf_counter()
    finally:
        algorithm.stop()
    assert last is not None
    return PPOResult(out, last, env_steps, seconds, history)


def checkpoint_of(path: Path) -> Path:
    """The newest checkpoint of a run's folder; a checkpoint's own folder is returned as it is.

    Raises:
        ArtifactError: if there is none.
    """
    path = path.expanduser().absolute()
    if (path / "learner_group").is_dir():
        return path
    found = _checkpoints(path / CHECKPOINTS)
    if not found:
        raise ArtifactError(
            f"{path} holds no checkpoint; expected the folder of a PPO run (with {CHECKPOINTS}/) or of a checkpoint"
        )
    return found[-1]


def environment_of(checkpoint: Path) -> dict[str, Any]:
    """What ``train_ppo`` wrote beside a checkpoint: env, env_config, iteration, env_steps, seconds; {} if nothing."""
    try:
        data: dict[str, Any] = read_json(checkpoint / ENVIRONMENT)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {checkpoint / ENVIRONMENT}: {error}; use another checkpoint") from None
    return data


def _checkpoints(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdigit() and (path / ENVIRONMENT).is_file())


def _open_run(out: Path, identity: dict[str, Any], resume: bool) -> Path | None:
    """Check the run in the folder, or begin it; return its last checkpoint."""
    file = out / RUN
    if file.exists():
        try:
            known = read_json(file)
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read {file}: {error}; choose another folder") from None
        if not resume:
            raise ConfigError(f"{out} already holds a PPO run; choose another folder, or resume it")
        known = known if isinstance(known, dict) else {}
        known = {key: known.get(key, identity[key] if key in _LATER else None) for key in identity}
        if different := _difference(placeless(known), placeless(identity)):
            key, there, here = different
            raise ConfigError(
                f"{out} holds a PPO run with {key} = {_short(there)}, here {_short(here)}; choose another folder"
            )
    else:
        write_atomically(file, json.dumps(identity, indent=2) + "\n")
    found = _checkpoints(out / CHECKPOINTS)
    return found[-1] if found else None


def refuse_other_files(out: Path) -> None:
    """Raise ConfigError if something else lies where a run is to begin than the policy that it starts from."""
    ours = (LOCK, START, f".{START}")
    if out.is_dir() and any(not path.name.startswith(ours) for path in out.iterdir()):
        raise ConfigError(f"{out} holds other files and no PPO run; choose a new or empty folder")


def _restore_history(file: Path, iterations: int) -> list[dict[str, Any]]:
    """The lines up to the checkpoint; later ones, whose training is lost, are dropped from the file."""
    lines: list[dict[str, Any]] = []
    if file.exists():
        for text in file.read_text(encoding="utf-8").splitlines():
            # The last line of a killed run may be half a line.
            with contextlib.suppress(ValueError):
                lines.append(json.loads(text))
    lines = [line for line in lines if line["iteration"] <= iterations]
    write_atomically(file, "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def _steps_of(result: dict[str, Any], config: Any) -> int:
    """Environment steps of an iteration, or rows that it learned from where nothing is played."""
    if config.is_offline:
        return _count(result.get("learners", {}).get("default_policy", {}).get("num_module_steps_trained"))
    return _count(result.get("env_runners", {}).get("num_env_steps_sampled"))


def _line(
    result: dict[str, Any], iteration: int, before: int, played: int, seconds: float, elapsed: float
) -> dict[str, Any]:
    runners = result.get("env_runners", {})
    learner = result.get("learners", {}).get("default_policy", {})
    line: dict[str, Any] = {
        "iteration": iteration,
        "env_steps": before + played,
        "seconds": round(seconds, 3),
        "iteration_seconds": round(elapsed, 3),
        "steps_per_second": round(played / elapsed, 1),
        "episodes": _count(runners.get("num_episodes")),
        "return_mean": _number(runners.get("episode_return_mean")),
        "length_mean": _number(runners.get("episode_len_mean")),
        "entropy": _number(learner.get("entropy")),
        "policy_loss": _number(learner.get("policy_loss")),
        "value_loss": _number(learner.get("vf_loss")),
        "kl": _number(learner.get("mean_kl_loss")),
    }
    evaluation = result.get("evaluation") or {}
    if "success_rate" in evaluation:
        names = ("success_rate", "mean_return", "mean_length", "return_stderr", "num_levels")
        line["evaluation"] = {name: evaluation[name] for name in names if name in evaluation}
    return line


def _number(value: Any) -> float | None:
    """A finite float, else None: no episode has ended yet."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _count(value: Any) -> int:
    """A number of things; RLlib gives NaN where nothing was counted, as when all env runners are gone."""
    return int(_number(value) or 0)


def _save(algorithm: Any, folder: Path, about: dict[str, Any]) -> Path:
    """A checkpoint that is there whole or not at all; the oldest ones go."""
    final = folder / f"{about['iteration']:06d}"
    temporary = folder / f".{final.name}.tmp"
    with full_disk_told(final):
        folder.mkdir(exist_ok=True)
        for leftover in folder.glob(".*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        algorithm.save_to_path(str(temporary))
        write_atomically(temporary / ENVIRONMENT, json.dumps(about, indent=2) + "\n")
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
    for old in _checkpoints(folder)[:-_KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _restore(algorithm: Any, checkpoint: Path) -> None:
    """RLlib's own, but for algorithms without env runners: its method then fails at giving them the weights."""
    from ray.rllib.utils.checkpoints import Checkpointable

    with damage_told(checkpoint):
        if algorithm.env_runner_group is not None:
            algorithm.restore_from_path(str(checkpoint))
        else:
            Checkpointable.restore_from_path(algorithm, str(checkpoint))


@contextlib.contextmanager
def damage_told(checkpoint: Path) -> Iterator[None]:
    """Whatever RLlib raises in the block at reading a checkpoint raises ArtifactError, but for lost processes."""
    from ray.exceptions import RayError, RayTaskError

    try:
        yield
    except HeistEncodersError:
        raise
    except Exception as error:
        if isinstance(error, RayError) and not isinstance(error, RayTaskError):
            raise
        raise ArtifactError(
            f"cannot read the checkpoint {checkpoint} ({type(error).__name__}: {one_line(error)}); if it was cut or "
            "altered, delete it: the one before it, if there is one, takes its place"
        ) from error


def _environment(config: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        json.dumps(
            {
                "env": str(config.env),
                "env_config": dict(config.env_config),
                "vectorize_mode": gym.VectorizeMode(config.gym_env_vectorize_mode).value,
                "training": record_in(config),
            },
            default=str,
        )
    )
    return data


def _identity(config: Any) -> dict[str, Any]:
    """What makes two runs the same run, as JSON values."""
    values = {key: getattr(config, key, None) for key in _IDENTITY}
    values["env_config"] = {key: value for key, value in config.env_config.items() if key != "threads"}
    if warm := (getattr(config, "learner_config_dict", None) or {}).get("warm_start"):
        values["warm_start"] = {key: value for key, value in warm.items() if key not in ("policy", "encoder")}
    values["num_envs"] = config.num_envs_per_env_runner * max(1, config.num_env_runners)
    values["algorithm"] = getattr(config.algo_class, "__name__", str(config.algo_class))
    connector = getattr(config, "_env_to_module_connector", None)
    options = getattr(connector, "keywords", None)
    values["preprocessor"] = options and {key: value for key, value in options.items() if key != "threads"}
    data: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return data


def _difference(there: Any, here: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Where two values differ first: the key, with those of the mappings that it is in, and both values."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            if found := _difference(there.get(key), here.get(key), f"{name}.{key}" if name else key):
                return found
        return None
    return None if there == here else (name, there, here)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
