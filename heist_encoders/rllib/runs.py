"""A PPO run from its options to its final return, and one run for each of several seeds."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.errors import ArtifactError, ConfigError
from heist_encoders.files import write_atomically
from heist_encoders.json_text import plain, read_json
from heist_encoders.rllib.options import PPOOptions
from heist_encoders.rllib.run_options import BC, PPORunOptions
from heist_encoders.rllib.taught import record_in
from heist_encoders.rllib.training import (
    PROGRESS,
    RUN,
    START,
    PPOResult,
    checkpoint_of,
    environment_of,
    refuse_other_files,
    train_ppo,
)

EVALUATION, SEEDS, VIDEOS = "evaluation.json", "seeds.json", "videos"
RESAMPLES = 2000
Listener = Callable[[dict[str, Any]], None]


def train_run(
    options: PPORunOptions,
    out: str | Path,
    listen: Listener | None = None,
    begun: Listener | None = None,
    cloning: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Train, log, film and measure one policy; goes on where it was, and returns at once when all is there.

    Besides what ``train_ppo`` writes: ``ppo.yaml`` (all options), ``evaluation.json`` (the final figures), ``videos/``,
    ``warm-start/`` (the cloned policy of ``warm_start: bc``) and what the loggers write.

    Args:
        options: of the run; its ``seeds`` are ignored.
        out: the run's folder.
        listen: gets each line of the progress.
        begun: as in ``train_ppo``.
        cloning: progress of ``clone``, for ``warm_start: bc``.

    Returns:
        ``out``, ``checkpoint``, ``env_steps``, ``seconds``, ``last`` (the last line, or None), ``class`` (a sentence:
        what the policy was taught with), ``training`` (the same as a record) and ``evaluation`` (what
        ``Evaluation.to_dict`` gives of the final levels, None if there are none).
    """
    from heist_encoders.policies.card import class_sentence
    from heist_encoders.rllib.ppo import ppo_config
    from heist_encoders.rllib.run_logs import RunLogs

    folder = Path(out).absolute()
    config = ppo_config(options=_with_start(options, folder, cloning))
    training = record_in(config)
    if options.video_every:
        config.callbacks(on_train_result=functools.partial(_film, every=options.video_every, folder=str(folder)))
    logs: RunLogs | None = None

    def after(line: dict[str, Any]) -> None:
        nonlocal logs
        if options.log:
            logs = logs or RunLogs(options.log, folder, options.to_dict(), line["env_steps"])
            logs.write(line)
        if listen is not None:
            listen(line)

    try:
        result = train_ppo(config, steps=options.steps, out=folder, callback=after, options=options, begun=begun)
    finally:
        if logs is not None:
            logs.close()
    taught = class_sentence(training)
    return {
        "out": str(folder),
        "checkpoint": str(result.checkpoint),
        "env_steps": result.env_steps,
        "seconds": result.seconds,
        "last": result.history[-1] if result.history else None,
        "class": taught,
        "training": training,
        "evaluation": _measure(result, folder, options, taught) if options.final_levels else None,
    }


def _with_start(options: PPORunOptions, folder: Path, progress: Callable[[str, int, int], None] | None) -> PPOOptions:
    """The options of PPO; ``warm_start: bc`` has become the folder of a policy, which is cloned unless it is there."""
    if options.warm_start != BC:
        return options.ppo
    from heist_encoders.envs.options import find_for_game
    from heist_encoders.policies.artifact import is_policy, load_policy, save_policy
    from heist_encoders.policies.clone import clone
    from heist_encoders.policies.heads import HeadConfig, head_kind
    from heist_encoders.training.hardware import torch_threads

    place = folder / START
    artifact = find_for_game(options.encoder, options.game, options.distribution_mode, options.other_game)
    if is_policy(place):
        known = load_policy(place, encoder=artifact).training.get("demonstration_frames")
        if known != options.warm_start_frames:
            raise ConfigError(
                f"{folder} holds a PPO run with warm_start_frames = {known}, here {options.warm_start_frames}; choose "
                "another folder"
            )
    else:
        refuse_other_files(folder)
        with torch_threads(1):
            policy = clone(
                artifact, mode=artifact.distribution_mode, frames=options.warm_start_frames,
                head=HeadConfig(kind=head_kind(options.head, artifact.encoding_shape)), seed=options.seed or 0, name=BC,
                backend=options.backend, workers=options.threads or 1, progress=progress,
            )  # fmt: skip
        save_policy(policy, place)
    return PPOOptions.resolve(options.ppo, warm_start=str(place))


def state_of(out: Path) -> dict[str, Any]:
    """How far the run in a folder has come: iteration, env_steps, seconds; {} if there is none."""
    try:
        return environment_of(checkpoint_of(out))
    except ArtifactError:
        return {}


def _measure(result: PPOResult, folder: Path, options: PPORunOptions, taught: str) -> dict[str, Any]:
    """Figures of the trained policy on the evaluation levels; those of the same policy on as many levels are kept."""
    from heist_encoders.rllib.evaluation import evaluate_policy

    about = {"trained_steps": result.env_steps, "num_levels": options.final_levels}
    try:
        known: dict[str, Any] = read_json(folder / EVALUATION)
    except (OSError, ValueError):
        known = {}
    if known and all(known.get(key) == value for key, value in about.items()):
        return known
    found = evaluate_policy(str(result.checkpoint), levels=EVALUATION_LEVELS[: options.final_levels])
    figures: dict[str, Any] = plain({**found.to_dict(), **about, "class": taught})  # of one level, no interval: null
    write_atomically(folder / EVALUATION, json.dumps(figures, indent=2) + "\n")
    return figures


class _Recorder:
    """A policy whose frames and captions are kept."""

    def __init__(self, policy: Any) -> None:
        self._policy, self.name = policy, policy.name
        self.frames: list[Any] = []
        self.captions: list[str] = []
        self._total = 0.0

    def start(self, games: Sequence[int]) -> None:
        """A new episode."""
        self._policy.start(games)

    def act(self, seen: Any) -> Any:
        """The policy's actions."""
        from heist_encoders.evaluation.captions import caption

        actions = self._policy.act(seen)
        self._total += float(seen.rewards[0]) if self.frames else 0.0
        self.captions.append(caption(len(self.frames), self._total, int(actions[0])))
        self.frames.append(seen.frames[0].copy())
        return actions


def _film(*, algorithm: Any, result: dict[str, Any], every: int, folder: str, **_: Any) -> None:
    """RLlib's ``on_train_result``: every so many iterations, the policy on the first evaluation level as an mp4."""
    from heist_encoders.evaluation.captions import captioned
    from heist_encoders.evaluation.video import enlarge, write_video
    from heist_encoders.policies.play import ActionRepeat, play_episodes
    from heist_encoders.rllib.batch_policy import RLlibPolicy

    iteration = int(result["training_iteration"])
    if iteration % every:
        return
    options = algorithm.config.env_config
    player = ActionRepeat(RLlibPolicy.from_algorithm(algorithm), options.get("action_repeat", 1))
    recorder = _Recorder(player)
    play_episodes(recorder, EVALUATION_LEVELS[:1], options, num_games=1)
    pictures = [
        captioned(enlarge(frame, 4), text) for frame, text in zip(recorder.frames, recorder.captions, strict=True)
    ]
    place = Path(folder) / VIDEOS
    place.mkdir(exist_ok=True)
    write_video(place / f"{iteration:06d}.mp4", np.stack(pictures))


def seed_folders(options: PPORunOptions, out: Path) -> dict[int, Path]:
    """Seed -> folder of its run.

    Raises:
        ConfigError: if ``out`` holds a single run.
    """
    if (out / RUN).exists():
        raise ConfigError(f"{out} holds a PPO run of one seed; choose another folder for runs of several")
    return {seed: out / f"seed-{seed}" for seed in options.seeds}


def train_seeds(options: PPORunOptions, out: Path, listen: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """One run a seed, each in a process of its own and its own folder ``seed-<n>``; Ray must be running.

    As many run at once as Ray has CPUs for, on this machine (the env runners of each where the cluster has room).
    Called again, finished runs stay as they are and others go on.

    Args:
        options: of the runs; their ``seed`` is each of ``seeds``.
        out: the folder of all runs.
        listen: called about once a second with the steps done and wanted, over all runs.

    Returns:
        ``out``, ``runs`` (seed -> what ``train_run`` returned) and ``summary`` (see ``summarise``; None without final
        levels); also written to ``seeds.json``.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    folders = seed_folders(options, out)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # A process of its own for each: RLlib seeds whole processes. CPUs are counted here, for an env runner that waits
    # for one that another seed's run holds would wait for ever.
    process: dict[str, Any] = {"num_cpus": 0, "max_retries": 0, "max_calls": 1, "scheduling_strategy": here}
    remote: Any = ray.remote(**process)(train_run)
    cpus = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
    most = max(1, cpus // max(1, options.num_env_runners))
    waiting = list(folders)
    running: dict[Any, int] = {}
    runs: dict[int, dict[str, Any]] = {}
    while waiting or running:
        while waiting and len(running) < most:
            seed = waiting.pop(0)
            own = PPORunOptions.resolve(options, seed=seed, seeds=())
            if state_of(folders[seed]).get("env_steps", 0) >= options.steps:
                runs[seed] = train_run(own, folders[seed])  # all is there: no process for that
            else:
                running[remote.remote(own, str(folders[seed]))] = seed
        done, _ = ray.wait(list(running), timeout=1.0) if running else ([], [])
        for reference in done:
            runs[running.pop(reference)] = ray.get(reference)
        if listen is not None:
            steps = [min(_steps_of(folder), options.steps) for folder in folders.values()]
            listen(sum(steps), options.steps * len(folders))
    runs = {seed: runs[seed] for seed in folders}
    returns = [run["evaluation"]["return_mean"] for run in runs.values() if run["evaluation"]]
    result = {"out": str(out), "runs": runs, "summary": summarise(returns) if returns else None}
    write_atomically(out / SEEDS, json.dumps(result, indent=2) + "\n")
    return result


def _steps_of(folder: Path) -> int:
    """Environment steps in the last whole line of a run's progress, 0 if there is none."""
    try:
        lines = (folder / PROGRESS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    for text in reversed(lines):
        try:
            return int(json.loads(text)["env_steps"])
        except (ValueError, KeyError):
            continue  # half a line
    return 0


def summarise(returns: Sequence[float]) -> dict[str, Any]:
    """The interquartile mean over seeds, with a 95% interval by a percentile bootstrap over seeds.

    As rliable has them for one task. (rliable itself needs arch, which does not import with each pandas.)

    Args:
        returns: mean return of each seed's policy.

    Returns:
        ``return_iqm``, and ``return_interval`` (low, high; None of one seed).
    """
    from scipy import stats

    scores = np.asarray(returns, dtype=np.float64)
    middle = functools.partial(stats.trim_mean, proportiontocut=0.25)
    if len(scores) < 2 or np.ptp(scores) == 0:  # the bootstrap wants scores that differ
        interval = None if len(scores) < 2 else [float(scores[0])] * 2
    else:
        found = stats.bootstrap(
            (scores,), middle, n_resamples=RESAMPLES, method="percentile", random_state=np.random.default_rng(0)
        )
        interval = [float(end) for end in found.confidence_interval]
    return {"return_iqm": float(middle(scores)), "return_interval": interval}


def interval_text(figures: Mapping[str, Any]) -> str:
    """``1.23 to 4.56``, or a dash where one level gives no interval."""
    low, high = figures["return_interval"]
    return "-" if low is None else f"{low:.2f} to {high:.2f}"


def rows(runs: Mapping[int, Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """A row for each seed: seed, steps, success rate, return, its 95% interval over episodes."""
    found = []
    for seed, run in runs.items():
        figures = run["evaluation"]
        found.append(
            (
                str(seed),
                run["env_steps"],
                f"{figures['success_rate']:.1%}",
                f"{figures['return_mean']:.2f}",
                interval_text(figures),
            )
        )
    return found
