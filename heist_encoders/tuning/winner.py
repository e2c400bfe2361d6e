"""From a sweep to an artifact in the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ConfigError, DatasetError
from heist_encoders.json_text import JsonObject
from heist_encoders.tuning.results import ARTIFACT, SweepResult, load_result

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact


def promote_winner(
    sweep: str | Path | SweepResult, name: str | None = None, *, rank: int = 1, overwrite: bool = False
) -> Artifact:
    """Make a trial of a sweep, by default the best one within the limits, an artifact of the zoo.

    Promoting the same trial under the same name again changes nothing. Reads JSON and safetensors only, so it works
    for an interrupted sweep and for one whose Tune state is damaged. Mean and standard deviation of the encodings
    are taken anew from the sweep's dataset, where it still lies at its path.

    Args:
        sweep: The sweep's folder or result.
        name: The artifact's name; ``<architecture>-<name of the folder>`` by default.
        rank: Which row of the results, from 1.
        overwrite: Replace an artifact of that name.

    Raises:
        ConfigError: if the folder holds no sweep, or no trial of that rank within the limits.
        ArtifactError: if the trial's artifact is damaged, or ``name`` is taken.
    """
    from heist_encoders.zoo import promote

    result = sweep if isinstance(sweep, SweepResult) else load_result(sweep)
    source, provenance = winner_of(result, rank)
    plan = result.plan
    name = name or f"{plan['autoencoder']}-{result.path.resolve().name}"
    same = _promoted_before(name, provenance)
    if same is not None:
        return same
    artifact = promote(source, name, provenance=provenance, overwrite=overwrite)
    return _with_full_statistics(artifact, plan)


def winner_of(result: SweepResult, rank: int = 1) -> tuple[Path, JsonObject]:
    """The artifact's folder of a trial of ``result``, and the provenance for a card: which trial of which sweep.

    Raises:
        ConfigError: if no trial of that rank lies within the limits.
    """
    row, plan = _row(result, rank), result.plan
    return result.path / row["checkpoint"] / ARTIFACT, {
        "sweep": result.path.resolve().name,
        "space": plan["space"],
        "trial": int(row["trial"]),
        "trial_id": row["trial_id"],
        "rank": int(row["rank"]),
        "trials": len(result.table),
        "objective": float(row["objective"]),
        "metric": plan["objective"]["metric"],
        "limits": {key: plan["objective"][key] for key in ("max_latent_dimension", "max_latency_ms")},
        "seed": plan["seed"],
        "dataset_hash": plan["dataset"]["hash"],
        "config": {key: row[key] for key in plan["searched"]},
        "versions": plan["versions"],
    }


def _row(result: SweepResult, rank: int) -> JsonObject:
    usable = result.table[result.table["feasible"] & (result.table["checkpoint"] != "")]
    if not len(usable):
        limits = result.plan["objective"]
        raise ConfigError(
            f"{result.path}: none of {len(result.table)} trials has a checkpoint within the limits (encoding size "
            f"{limits['max_latent_dimension']}, {limits['max_latency_ms']:g} ms); let it run longer or raise the limits"
        )
    rows = usable[usable["rank"] == rank]
    if not len(rows):
        ranks = ", ".join(str(r) for r in usable["rank"])
        raise ConfigError(f"{result.path}: no trial of rank {rank} within the limits; there are {ranks}")
    return {str(key): value for key, value in rows.iloc[0].to_dict().items()}


def _promoted_before(name: str, provenance: JsonObject) -> Artifact | None:
    """The artifact that an earlier call made of the same trial under this name."""
    from heist_encoders.errors import ArtifactError, UnknownNameError
    from heist_encoders.zoo import find_artifact

    try:
        artifact = find_artifact(name)
    except (ArtifactError, UnknownNameError):
        return None
    keys = ("sweep", "trial_id", "objective", "seed", "dataset_hash")
    known = all(artifact.provenance.get(key) == provenance[key] for key in keys)
    return artifact if known else None


def _with_full_statistics(artifact: Artifact, plan: JsonObject) -> Artifact:
    """The artifact with mean and standard deviation over the whole dataset, unchanged if that can't be opened."""
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.zoo import save_artifact

    try:
        dataset = open_dataset(plan["dataset"]["path"])
    except (DatasetError, OSError):
        return artifact
    if dataset.hash != plan["dataset"]["hash"]:
        return artifact
    return save_artifact(
        artifact.path,
        artifact.load_model(),
        name=artifact.name,
        dataset=dataset,
        training=artifact.training,
        metrics=artifact.metrics,
        provenance=artifact.provenance,
    )
