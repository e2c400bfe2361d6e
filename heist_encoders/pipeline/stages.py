"""The stages of a run: what each makes, how to check that it is still there, and its outcome in a line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ConfigError, HeistEncodersError
from heist_encoders.json_text import JsonObject, read_json
from heist_encoders.pipeline.progress import Progress
from heist_encoders.pipeline.state import RunOptions, RunState
from heist_encoders.ray_tasks import Ahead

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset

DATA, SWEEPS, EVALUATION, PPO, REPORT = "data", "sweeps", "evaluation", "ppo", "report.html"

TRIALS_PER_ARCHITECTURE = 2
TRIAL_TEST_FRAMES, SWEEP_PROBE_FRAMES = 512, 600
"""What a trial's test loss is taken on, and its probe fitted on: of two trials the better one is wanted, no figure."""
PROBE_FRAMES, MAP_SAMPLES, WANTED = 2_500, 4_500, ("miou", "map_presence_f1")
"""What an evaluation may spend on probes. Enough to rank the best trials; ``heist-encoders evaluate`` takes more."""
TEST_FRAMES = 512
"""Frames that an evaluation measures reconstruction on."""
SEEDS = 2
"""Seeds of the probes in an evaluation: they run side by side, and their standard deviation says how sure a lead is."""
PATIENT = 1_000
"""Epochs before the first probe within a trial, more than any takes."""
MAX_LATENCY_MS = 15.0
"""Three times a sweep's usual limit: here it is measured while all cores are busy, on whatever machine this is."""


@dataclass(frozen=True)
class Job:
    """What every stage is given."""

    out: Path
    options: RunOptions
    state: RunState
    workers: int | None
    progress: Progress
    ahead: Ahead = field(default_factory=Ahead)

    def dataset(self) -> Dataset:
        """The run's dataset, which the first stage made."""
        from heist_encoders.data.dataset import open_dataset

        return open_dataset(self.out / DATA)


def make_data(job: Job) -> JsonObject:
    """Generate the dataset and decode it once."""
    from heist_encoders.data.generate import generate
    from heist_encoders.data.manifest import DatasetSpec

    options = job.options
    spec = DatasetSpec.from_dict(
        {"distribution_mode": options.mode, "size": options.size, "seed": options.seed, "balance": "elements"}
    )
    dataset = generate(spec, job.out / DATA, workers=job.workers, progress=job.progress.count)
    job.progress.count(1, 1, "decoding the frames to a memory map")
    for split in ("train", "test"):
        dataset.frames(split)
    return {"path": str(job.out / DATA), "hash": dataset.hash, "size": len(dataset)}


def data_intact(job: Job, result: JsonObject) -> bool:
    """Whether the dataset is there and the same; its bytes are compared by ``heist-encoders verify``."""
    try:
        return bool(job.dataset().hash == result["hash"])
    except HeistEncodersError:
        return False


def data_outcome(result: JsonObject) -> str:
    """A line about the dataset."""
    return f"  {result['size']:,} frames in {result['path']}, hash {result['hash'][:16]}"


def make_sweep(architecture: str) -> Callable[[Job], JsonObject]:
    """The stage that searches an architecture's hyperparameters and promotes the best trial."""

    def work(job: Job) -> JsonObject:
        from heist_encoders.pipeline.progress import sweep_listener
        from heist_encoders.tuning import sweep

        seconds = job.options.seconds_per_architecture
        folder = job.out / SWEEPS / architecture
        result = sweep(
            architecture,
            job.dataset(),
            out=folder,
            preset="quick",
            num_samples=TRIALS_PER_ARCHITECTURE,
            # Both trials at a time on two cores: nobody is stopped early, and each is probed once, at its end.
            scheduler="none",
            grace_epochs=PATIENT,
            # A trial ends by itself after its share; this is for a machine on which something hangs.
            time_budget_s=seconds * 3 + 300,
            train={
                "max_seconds": max(1.0, 0.9 * seconds),
                "epoch_samples": min(4096, job.options.size // 4),
                "test_samples": TRIAL_TEST_FRAMES,
            },
            objective={
                "probe_frames": max(64, min(SWEEP_PROBE_FRAMES, job.options.size // 2)),
                "max_latency_ms": MAX_LATENCY_MS,
            },
            seed=job.options.seed,
            resume=(folder / "sweep.json").is_file(),
            progress=sweep_listener(job.progress),
        )
        best = result.best
        if best is None:
            raise ConfigError(
                f"the sweep of {architecture} found no encoder within the limits in {seconds:g} s "
                f"({len(result.table)} trials, see {folder}); choose another --out and more --seconds-per-architecture"
            )
        return {
            "family": architecture,
            **_promote(job, folder, architecture, best["trial_id"]),
            "sweep": str(folder),
            "trials": len(result.table),
            "metric": result.plan["objective"]["metric"],
            "objective": best["objective"],
            "latent_dimension": int(best["latent_dimension"]),
            "latency_ms": best["latency_ms"],
            "config": {key: best[key] for key in result.plan["searched"]},
        }

    return work


def _promote(job: Job, sweep: Path, architecture: str, trial_id: str) -> JsonObject:
    """Give the best trial's encoder a name of its own, or find it under the one it got before an interruption."""
    from heist_encoders.pipeline.winner import free_name
    from heist_encoders.tuning import promote_winner
    from heist_encoders.zoo import find_artifact

    name, there = free_name(f"{architecture}-{job.out.resolve().name}", trial_id)
    artifact = find_artifact(name) if there else promote_winner(sweep, name)
    return {"name": artifact.name, "artifact": str(artifact.path), "sha256": artifact.sha256}


def artifact_intact(job: Job, result: JsonObject) -> bool:
    """Whether the encoder is in the zoo with the same weights."""
    from heist_encoders.zoo import load_artifact

    try:
        return bool(load_artifact(result["artifact"]).sha256 == result["sha256"])
    except HeistEncodersError:
        return False


def sweep_outcome(result: JsonObject) -> str:
    """A line about the best trial."""
    return (
        f"  best of {result['trials']} trials: {result['name']}, {result['metric']} {result['objective']:.3f}, "
        f"latent dimension {result['latent_dimension']}, {result['latency_ms']:.2f} ms"
    )


def make_evaluation(architecture: str) -> Callable[[Job], JsonObject]:
    """The stage that measures what a sweep promoted: figures go into the artifact, all files into the run's folder.

    The first of these stages begins the others too, as many at a time as there are CPUs.
    """

    def work(job: Job) -> JsonObject:
        for other in job.options.architectures:
            if job.state.result(f"evaluate:{other}") is None:
                begin_measuring(job, result_of(job, f"sweep:{other}"))
        return measured(job, result_of(job, f"sweep:{architecture}"))

    return work


def begin_measuring(job: Job, made: JsonObject) -> None:
    """Begin ``measured`` in a Ray task."""
    job.ahead.begin(f"evaluate {made['name']}", evaluated, *_of_evaluation(job, made))


def measured(job: Job, made: JsonObject) -> JsonObject:
    """Evaluate an artifact: the figures go into it, all files into the run's folder.

    Args:
        job: the run.
        made: ``name``, ``artifact`` (path) and ``sha256``.
    """
    from heist_encoders.zoo import load_artifact, update_metrics

    def waiting() -> None:
        job.progress.count(0, 1, f"{job.ahead.done()} of the others done")

    metrics = job.ahead.result(f"evaluate {made['name']}", waiting, evaluated, *_of_evaluation(job, made))
    update_metrics(load_artifact(made["artifact"]), metrics)
    probes = metrics.get("probes", {})
    return {
        "name": made["name"],
        "folder": str(job.out / EVALUATION / made["name"]),
        "sha256": made["sha256"],
        "miou": probes.get("miou"),
        "std": (probes.get("std") or {}).get("miou"),
        "plan_accuracy": probes.get("plan_accuracy"),
        "map_presence_f1": probes.get("map_presence_f1"),
    }


def _of_evaluation(job: Job, made: JsonObject) -> tuple[Path, Path, Path, int]:
    out = job.out.absolute()
    return Path(made["artifact"]).absolute(), out / DATA, out / EVALUATION / made["name"], job.options.seed


def evaluated(artifact: Path, data: Path, folder: Path, seed: int) -> JsonObject:
    """The figures of an artifact; pictures and figures also go into ``folder``."""
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.evaluation.evaluate import evaluate
    from heist_encoders.training.hardware import torch_threads
    from heist_encoders.zoo import load_artifact

    dataset = open_dataset(data)
    with torch_threads(1):  # probes gain nothing from more, and suffer when other programs compute
        metrics = evaluate(
            load_artifact(artifact), dataset, out=folder, seed=seed, seeds=SEEDS, plan_samples=0,
            probe_frames=PROBE_FRAMES, map_samples=_map_samples(dataset), wanted=WANTED, test_frames=TEST_FRAMES,
        )  # fmt: skip
    return {key: value for key, value in metrics.items() if key != "folder"}


def _map_samples(dataset: Dataset) -> int:
    """Frames that the map's probe is shown; of a small dataset each one twice."""
    return min(MAP_SAMPLES, 2 * len(dataset))


def evaluation_intact(job: Job, result: JsonObject) -> bool:
    """Whether the evaluation's figures are there."""
    try:
        metrics = read_json(Path(result["folder"]) / "metrics.json")
    except (OSError, ValueError):
        return False
    return bool(metrics.get("sha256") == result["sha256"])


def evaluation_outcome(result: JsonObject) -> str:
    """A line about what can be read from an encoder's encodings."""
    spread = f" ± {result['std']:.3f}" if result.get("std") is not None else ""
    found = result.get("map_presence_f1")  # not in runs that an earlier version began
    presence = "" if found is None else f", presence F1 {found:.3f}"
    return f"  {result['name']}: mIoU {result['miou']:.3f}{spread}{presence}"


def best_winner(job: Job) -> JsonObject:
    """The result of the sweep whose best trial has the highest mIoU in the evaluation."""

    def miou(architecture: str) -> float:
        value = result_of(job, f"evaluate:{architecture}").get("miou")
        return -1.0 if value is None or math.isnan(value) else float(value)

    return result_of(job, f"sweep:{max(job.options.architectures, key=miou)}")


def encoder_of(job: Job) -> JsonObject:
    """Name, artifact and hash of what policies are trained on: the best encoder, after its longer training if it had
    one."""
    return job.state.result("train") or best_winner(job)


def make_ppo(job: Job) -> JsonObject:
    """Train PPO on the best encoder and compare it with the random policy on fixed levels."""
    from heist_encoders.rllib import evaluate_policy, ppo_config, train_ppo

    best = encoder_of(job)
    options = job.options
    folder = job.out / PPO
    config = ppo_config(best["name"], distribution_mode=options.mode, seed=options.seed)
    total = options.ppo_steps

    def listen(line: JsonObject) -> None:
        # RLlib's mean return is left out: of the first episodes only the short ones, the successes, have ended.
        detail = f"{line['env_steps']:,} of {total:,} steps, {line['steps_per_second']:,.0f} steps/s"
        job.progress.count(0.9 * line["env_steps"], total, detail)

    trained = train_ppo(config, steps=total, out=folder, callback=listen, checkpoint_seconds=20.0)
    figures = {}
    for number, (player, policy) in enumerate((("policy", trained.checkpoint), ("random", "random"))):
        job.progress.count(0.9 + 0.05 * number, 1, f"{player} on {options.evaluation_levels} evaluation levels")
        found = evaluate_policy(
            policy,
            levels=options.evaluation_levels,
            env_config={"distribution_mode": options.mode},
            greedy=False,
            seed=options.seed,
        )
        figures[player] = {
            "success_rate": found.success_rate, "mean_return": found.mean_return, "mean_length": found.mean_length,
        }  # fmt: skip
    return {
        "encoder": best["name"],
        "folder": str(folder),
        "checkpoint": str(trained.checkpoint),
        "env_steps": trained.env_steps,
        "training_seconds": round(trained.seconds, 1),
        "levels": options.evaluation_levels,
        **figures,
    }


def ppo_intact(job: Job, result: JsonObject) -> bool:
    """Whether the last checkpoint is there."""
    return Path(result["checkpoint"]).is_dir()


def ppo_outcome(result: JsonObject) -> str:
    """A line about the policy."""
    policy, chance = result["policy"], result["random"]
    return (
        f"  {result['encoder']}: after {result['env_steps']:,} steps return {policy['mean_return']:.2f} on "
        f"{result['levels']} levels never trained on; a random policy has {chance['mean_return']:.2f}"
    )


def begin_references(job: Job) -> None:
    """Begin what the report compares the encoders with, in a Ray task."""
    job.ahead.begin("references", referred, *_of_references(job))


def _of_references(job: Job) -> tuple[Path, Path, int]:
    return Path(best_winner(job)["artifact"]).absolute(), job.out.absolute() / DATA, job.options.seed


def referred(artifact: Path, data: Path, seed: int) -> list[JsonObject]:
    """The reference rows beside an artifact and others: its architecture untrained, raw pixels, the true state."""
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.evaluation.references import reference_rows
    from heist_encoders.training.hardware import torch_threads
    from heist_encoders.zoo import load_artifact

    best, dataset = load_artifact(artifact), open_dataset(data)
    with torch_threads(1):
        return reference_rows(
            dataset, [best.architecture], params={best.architecture: best.params},
            seed=seed, seeds=SEEDS, train_limit=PROBE_FRAMES, map_samples=_map_samples(dataset), wanted=WANTED,
        )  # fmt: skip


def make_report(job: Job) -> JsonObject:
    """Write the HTML page."""
    from heist_encoders.evaluation.report import write_report
    from heist_encoders.tuning.results import load_result

    options = job.options
    entries = []
    sweeps = {}
    for architecture in options.architectures:
        entries.append(result_of(job, f"evaluate:{architecture}")["folder"])
        winner = result_of(job, f"sweep:{architecture}")
        sweeps[architecture] = load_result(winner["sweep"])
    longer, policy, ppo = (job.state.result(stage) for stage in ("train", "policy", "ppo"))
    if longer is not None:
        entries.append(longer["folder"])
    job.progress.count(0, 1, "what probes read from raw pixels and an untrained encoder")
    references = job.ahead.result("references", lambda: None, referred, *_of_references(job))
    path = write_report(
        entries,
        job.out / REPORT,
        references=references,
        packaged=options.mode,
        dataset=job.dataset(),
        sweeps=sweeps,
        policy=policy,
        ppo=None if ppo is None else _ppo_section(ppo),
    )
    return {"path": str(path)}


def _ppo_section(result: JsonObject) -> JsonObject:
    return {
        "table": [
            {"player": player, **{key: round(value, 3) for key, value in result[player].items()}}
            for player in ("policy", "random")
        ],
        "text": f"PPO on {result['encoder']}, {result['env_steps']:,} steps. The table is over {result['levels']} "
        "fixed evaluation levels, each played once to its end. Fewer than a million steps show that the chain works, "
        "not how good a policy gets.",
    }


def report_intact(job: Job, result: JsonObject) -> bool:
    """Whether the page is there."""
    return Path(result["path"]).is_file()


def report_outcome(result: JsonObject) -> str:
    """Where the page is."""
    return f"  {result['path']}"


def result_of(job: Job, stage: str) -> JsonObject:
    """The result of a stage that is done."""
    result = job.state.result(stage)
    assert result is not None, stage
    return result
