"""The main job: one stage after the other, each skipped when its result is there already."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from heist_encoders.json_text import JsonObject
from heist_encoders.pipeline import policy_stages, stages
from heist_encoders.pipeline.progress import Progress, Silent
from heist_encoders.pipeline.stages import Job
from heist_encoders.pipeline.state import RunOptions, open_state
from heist_encoders.ray_session import quiet_ray


@dataclass(frozen=True)
class Stage:
    """One step of the run.

    Attributes:
        key: its name in ``run.json``.
        title: what it does, for people.
        seconds: what it is expected to take on two cores.
        work: does it and returns a JSON-serialisable result.
        intact: whether what an earlier run left for this result is still there.
        outcome: the result as one line for people.
        ray: whether it needs Ray.
    """

    key: str
    title: str
    seconds: float
    work: Callable[[Job], JsonObject]
    intact: Callable[[Job, JsonObject], bool]
    outcome: Callable[[JsonObject], str]
    ray: bool = False


def plan(options: RunOptions) -> list[Stage]:
    """The stages of a run, in order. Does not touch the disk."""
    found = [
        Stage(
            "data",
            f"generate {options.size:,} balanced frames ({options.mode} mode)",
            8 + options.size / 2500,
            stages.make_data,
            stages.data_intact,
            stages.data_outcome,
            ray=True,
        )
    ]
    for architecture in options.architectures:
        found.append(
            Stage(
                f"sweep:{architecture}",
                f"sweep {architecture}",
                options.seconds_per_architecture + 12,
                stages.make_sweep(architecture),
                stages.artifact_intact,
                stages.sweep_outcome,
                ray=True,
            )
        )
    for architecture in options.architectures:
        found.append(
            Stage(
                f"evaluate:{architecture}",
                f"evaluate {architecture}'s best trial",
                13.0,
                stages.make_evaluation(architecture),
                stages.evaluation_intact,
                stages.evaluation_outcome,
                ray=True,
            )
        )
    if options.train_frames:
        found.append(
            Stage(
                "train",
                f"train the best encoder on {options.train_frames:,} fresh frames",
                15 + options.train_frames / 400,
                policy_stages.make_training,
                policy_stages.training_intact,
                policy_stages.training_outcome,
            )
        )
    if options.policy_frames:
        found.append(
            Stage(
                "policy",
                f"learn to play by reward alone from {options.policy_frames:,} frames of play",
                30 + options.policy_frames / 7_000,
                policy_stages.make_policy,
                policy_stages.policy_intact,
                policy_stages.policy_outcome,
            )
        )
    if options.ppo_steps:
        found.append(
            Stage(
                "ppo",
                f"PPO, {options.ppo_steps:,} steps on the best encoder",
                15 + options.ppo_steps / 1500,
                stages.make_ppo,
                stages.ppo_intact,
                stages.ppo_outcome,
                ray=True,
            )
        )
    found.append(
        Stage("report", "write the report", 20.0, stages.make_report, stages.report_intact, stages.report_outcome)
    )
    return found


def run(out: Path, options: RunOptions, *, workers: int | None = None, progress: Progress | None = None) -> JsonObject:
    """Do what is not done yet of a run in folder ``out``.

    Args:
        out: the run's folder: new, or of an earlier run with the same options.
        options: what to make.
        workers: Ray workers, None: one per CPU. Changes nothing but the time.
        progress: is called throughout.

    Returns:
        ``stages`` (key -> result), ``best`` (name of the best encoder), ``encoder`` (the
        name it has after its longer training), ``report`` (path), ``reused`` (how many stages
        were done before), ``seconds``.

    Raises:
        ConfigError: if the folder can't be used for this run. Whatever the stages raise.
    """
    progress = progress or Silent()
    began = time.monotonic()
    todo = plan(options)
    reused = 0
    with open_state(out, options) as state:
        job = Job(out, options, state, workers, progress)
        waiting = [stage for stage in todo if not _is_done(job, stage)]
        session = None
        try:
            for number, stage in enumerate(todo):
                if stage not in waiting:
                    reused += 1
                    progress.start(number, skipped=True)
                    continue
                progress.start(number)
                if session is None and stage.ray:
                    session = quiet_ray(workers)
                    session.__enter__()
                stage_began = time.monotonic()
                result = stage.work(job)
                state.finish(stage.key, result, time.monotonic() - stage_began)
                progress.say(stage.outcome(result))
        finally:
            if session is not None:
                session.__exit__(None, None, None)
        return {
            "folder": str(out),
            "options": options.to_dict(),
            "stages": {stage.key: state.result(stage.key) for stage in todo},
            "best": stages.best_winner(job)["name"],
            "encoder": stages.encoder_of(job)["name"],
            "report": str(out / stages.REPORT),
            "reused": reused,
            "seconds": round(time.monotonic() - began, 1),
        }


def _is_done(job: Job, stage: Stage) -> bool:
    result = job.state.result(stage.key)
    if result is None:
        return False
    if stage.intact(job, result):
        return True
    job.state.forget(stage.key)
    return False
