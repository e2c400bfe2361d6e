"""The stages after the sweeps: the best encoder is trained for longer, and a policy learns to play on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.errors import ConfigError, HeistEncodersError
from heist_encoders.json_text import JsonObject, read_json
from heist_encoders.pipeline.stages import Job, artifact_intact, begin_references, best_winner, encoder_of, measured

if TYPE_CHECKING:
    from heist_encoders.policies.evaluate import Evaluation
    from heist_encoders.policies.play import LevelResult
    from heist_encoders.policies.policy import Policy
    from heist_encoders.training.report import Progress
    from heist_encoders.zoo import Artifact

TRAINING, POLICY, VIDEO = "training", "policy", "policy.mp4"
VIDEO_KEYS = 3
"""Keys of the level in the video, if the policy solves one that has so many."""


def make_training(job: Job) -> JsonObject:
    """Train the best encoder's configuration on frames of which none is seen twice, promote and evaluate it."""
    from heist_encoders.data.stream import FrameStream
    from heist_encoders.training.config import TrainConfig
    from heist_encoders.training.report import read_record
    from heist_encoders.training.train import train
    from heist_encoders.zoo import load_artifact, save_artifact

    begin_references(job)  # a training keeps one CPU busy
    best, dataset, frames = best_winner(job), job.dataset(), job.options.train_frames
    config, _ = read_record(load_artifact(best["artifact"]).training, where=best["artifact"])
    epoch = max(1, min(frames, max(config.batch_size, frames // 5)))
    longer = {"max_samples": frames, "max_epochs": 10**6, "epoch_samples": epoch, "patience": 10**6, "threads": 1}
    stream = FrameStream(dataset.spec, dataset)

    def listen(state: Progress) -> None:
        detail = f"{state.samples:,} of {frames:,} frames, {state.samples_per_second:,.0f} frames/s"
        job.progress.count(0.9 * min(state.samples, frames), frames, detail)  # whole batches may be more

    folder = job.out / TRAINING
    result = train(
        TrainConfig.from_dict({**config.to_dict(), **longer}), stream, out=folder / "checkpoints", progress=listen
    )
    saved = save_artifact(
        folder / "artifact", result, name=f"{best['name']}-long", dataset=stream, training=result.record()
    )
    artifact = _promote(saved, best, frames)
    made = {"name": artifact.name, "artifact": str(artifact.path), "sha256": artifact.sha256}
    figures = measured(job, made)
    return {**made, **figures, "winner": best["name"], "family": best["family"], "frames": result.samples}


def _promote(saved: Artifact, best: JsonObject, frames: int) -> Artifact:
    """Give the encoder a name of its own, or find it under the one it got before an interruption."""
    from heist_encoders.pipeline.winner import free_name
    from heist_encoders.zoo import find_artifact, promote

    key = f"{best['sha256'][:16]}-{frames}-{saved.sha256[:16]}"
    name, there = free_name(f"{best['name']}-long", key)
    return find_artifact(name) if there else promote(saved, name, provenance={"trial_id": key, "winner": best["name"]})


def training_intact(job: Job, result: JsonObject) -> bool:
    """Whether encoder and evaluation are there."""
    from heist_encoders.pipeline.stages import evaluation_intact

    return artifact_intact(job, result) and evaluation_intact(job, result)


def training_outcome(result: JsonObject) -> str:
    """A line about the encoder."""
    return f"  {result['name']}: {result['frames']:,} frames, mIoU {result['miou']:.3f}"


def make_policy(job: Job) -> JsonObject:
    """Learn to play on the encoder by reward alone, play evaluation levels, and save the policy here and by name."""
    from heist_encoders.policies.artifact import save_policy
    from heist_encoders.policies.card import class_sentence
    from heist_encoders.policies.evaluate import play_levels
    from heist_encoders.policies.self_imitation import self_imitate
    from heist_encoders.ray_session import cpu_count
    from heist_encoders.training.hardware import torch_threads
    from heist_encoders.zoo import load_artifact

    options, encoder = job.options, encoder_of(job)
    share = {"play": (0.0, 0.4, "steps played"), "learn": (0.4, 0.5, "frames learned from")}

    def listen(number: int, part: str, done: int, total: int) -> None:
        start, length, words = share[part]
        job.progress.count(start + length * done / total, 1, f"{done:,} of {total:,} {words}")

    artifact = load_artifact(encoder["artifact"])
    name = _policy_name(job.out.resolve().name, encoder["sha256"])
    with torch_threads(1):
        policy = self_imitate(
            artifact, mode=options.mode, frames=options.policy_frames, rounds=1, batch_size=64,
            seed=options.seed, name=name, workers=min(2, cpu_count()), progress=listen,
        )  # fmt: skip
        levels = EVALUATION_LEVELS[: options.evaluation_levels]
        job.progress.count(0.9, 1, f"policy and random moves on {len(levels)} evaluation levels")
        repeats = {"random": policy.action_repeat, "single_moves": 1}
        for who, repeat in repeats.items():  # while the policy plays
            job.ahead.begin(who, play_random, options.mode, levels, options.seed, repeat)
        played = {"policy": play_levels(policy, options.mode, levels, seed=options.seed)}
        for who, repeat in repeats.items():
            played[who] = job.ahead.result(who, lambda: None, play_random, options.mode, levels, options.seed, repeat)
        figures = {who: found.to_dict() for who, found in played.items()}
        policy.metrics = {"evaluation": figures["policy"], "random_player": figures["random"]}
        folders = (job.out / POLICY, policies_home() / name)
        for folder in folders:
            save_policy(policy, folder, replace=True)
        job.progress.count(0.95, 1, "a video of a level with three keys")
        video = _video(job, policy, played["policy"].levels)
    return {
        "name": name,
        "folder": str(folders[0]),
        "encoder": encoder["name"],
        "class": class_sentence(policy.training),
        "action_repeat": policy.action_repeat,
        "seconds": policy.training["seconds"],
        "levels": len(levels),
        **figures,
        "video": video,
    }


def play_random(mode: str, levels: Sequence[int], seed: int, action_repeat: int) -> Evaluation:
    """How random moves play, each held for some steps."""
    from heist_encoders.policies.evaluate import play_levels

    return play_levels("random", mode, levels, seed=seed, action_repeat=action_repeat)


def policies_home() -> Path:
    """Where the user's policies lie by name."""
    from heist_encoders.paths import home

    return home() / "policies"


def _policy_name(name: str, encoder: str) -> str:
    """``name``, else ``name-2`` ...: the first that no policy on another encoder has."""
    from heist_encoders.policies.artifact import PACKAGED

    for count in range(1, 10_000):
        candidate = name if count == 1 else f"{name}-{count}"
        folder = policies_home() / candidate
        if (PACKAGED / candidate).exists():
            continue
        if not folder.exists():
            return candidate
        try:
            if read_json(folder / "config.json")["encoder"]["sha256"] == encoder:
                return candidate
        except (OSError, ValueError, KeyError, TypeError):
            continue  # what is damaged keeps its name
    raise ConfigError(f"all names from {name} to {name}-9999 are taken; remove some of {policies_home()}")


def _video(job: Job, policy: Policy, levels: Sequence[LevelResult]) -> JsonObject | None:
    """A film of the policy as it solves a level, original beside reconstruction.

    Of the levels that it solved in the evaluation those with three keys come first; None if it solves none.
    """
    from heist_encoders.errors import MissingDependencyError
    from heist_encoders.evaluation.video import reconstruction_video
    from heist_encoders.policies.policy import solved_game

    solved = sorted(
        (level for level in levels if level.success), key=lambda level: (-min(level.num_keys, VIDEO_KEYS), level.length)
    )
    keys = {level.level_seed: level.num_keys for level in solved}
    found = solved_game(policy, [level.level_seed for level in solved[:8]], seed=job.options.seed)
    if found is None:
        return None
    level, frames = found
    try:
        path = reconstruction_video(policy.artifact.load_model(), frames, job.out / VIDEO)
    except MissingDependencyError:  # no ffmpeg
        path = reconstruction_video(policy.artifact.load_model(), frames, (job.out / VIDEO).with_suffix(".gif"))
    return {"path": str(path), "level_seed": level, "num_keys": keys[level], "length": len(frames)}


def policy_intact(job: Job, result: JsonObject) -> bool:
    """Whether the policy is there, in the run's folder and by name, with the encoder that it needs."""
    from heist_encoders.policies.artifact import load_policy

    try:
        for place in (result["folder"], policies_home() / result["name"]):
            load_policy(Path(place), distribution_mode=job.options.mode)
    except HeistEncodersError:
        return False
    video = result["video"]
    return video is None or Path(video["path"]).is_file()


def policy_outcome(result: JsonObject) -> str:
    """A line about the policy."""
    policy, chance = result["policy"], result["random"]
    low, high = policy["return_interval"]
    return (
        f"  {result['name']}: return {policy['return_mean']:.2f} ({low:.2f} to {high:.2f}) on {result['levels']} "
        f"levels never trained on, random moves, held as long, {chance['return_mean']:.2f}. {result['class']}"
    )
