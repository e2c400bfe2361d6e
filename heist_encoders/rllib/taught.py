"""What a policy was taught with: kept in its configuration, written beside checkpoints and into policy artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from heist_encoders.policies.clone import used_labels

if TYPE_CHECKING:
    from heist_encoders.policies.policy import Policy
    from heist_encoders.rllib.options import PPOOptions
    from heist_encoders.zoo.artifact import Artifact

KEY: Final = "heist_training"
"""Key of an AlgorithmConfig's ``learner_config_dict``, where RLlib leaves room for what others need."""


def keep_record(config: Any, record: Mapping[str, Any]) -> None:
    """Put a training record into an AlgorithmConfig."""
    config.learners(learner_config_dict={KEY: dict(record)})


def record_in(config: Any) -> dict[str, Any]:
    """The training record in an AlgorithmConfig; {} if there is none."""
    return dict((getattr(config, "learner_config_dict", None) or {}).get(KEY) or {})


def of_encoder(artifact: Artifact) -> dict[str, Any]:
    """What a record says of the frozen encoder: its frames, and whether labels had a part in its training."""
    return {"encoder_frames": artifact.training.get("samples"), "encoder_labels": used_labels(artifact)}


def ppo_record(options: PPOOptions, artifact: Artifact, start: Policy | None = None) -> dict[str, Any]:
    """The record of PPO: its class (see ``policies.card.CLASSES``) and the frames that it was taught with.

    Args:
        options: of the training.
        artifact: its encoder.
        start: the policy that a warm start begins with; its demonstrations count, and its class if that is a later one.

    Returns:
        ``method``, ``encoder_frames``, ``encoder_labels``, what the start's record holds, and ``class`` where that is
        known.
    """
    record = {**(start.training if start else {}), "method": "PPO", **of_encoder(artifact)}
    labels = {True: "B", False: "A", None: None}[record["encoder_labels"]]
    grades = ["C" if options.reads_states else labels]
    if start is not None:
        grades.append(start.training.get("class"))
        record["method"] = f"{start.training.get('method', 'a policy')}, then PPO"
        record["warm_start"] = start.name
    record.pop("class", None)
    if "D" in grades or None not in grades:
        record["class"] = max(grade for grade in grades if grade)
    return record
