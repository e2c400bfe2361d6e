"""Whether Ray has what a configuration asks for: checked before RLlib waits for it without a word."""

from __future__ import annotations

from typing import Any

from heist_encoders.errors import ResourceError


def check_resources(config: Any) -> None:
    """Compare what an AlgorithmConfig's actors need with what the running Ray has in all.

    Args:
        config: an RLlib AlgorithmConfig. The driver itself runs outside of Ray's accounting.

    Raises:
        ResourceError: if there are fewer CPUs or GPUs than asked for: the actors would stay pending forever.
    """
    import ray

    needed = {"CPU": 0.0, "GPU": 0.0}
    runners = config.num_env_runners + config.evaluation_num_env_runners
    needed["CPU"] += runners * config.num_cpus_per_env_runner
    needed["GPU"] += runners * config.num_gpus_per_env_runner
    if config.num_learners:
        per_learner = config.num_cpus_per_learner
        needed["CPU"] += config.num_learners * (1 if per_learner == "auto" else per_learner)
        needed["GPU"] += config.num_learners * config.num_gpus_per_learner
    if not any(needed.values()):
        return
    have: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for kind, amount in needed.items():
        if amount > have.get(kind, 0.0):
            raise ResourceError(
                f"{amount:g} {kind}s asked for ({runners} env runners, {config.num_learners} learners), Ray has "
                f"{have.get(kind, 0.0):g}; lower num_env_runners or start Ray with more"
            )


def limit_threads(threads: int) -> None:
    """Cap torch's threads in this process: more of them fight over the cores and an update takes ten times longer."""
    import torch

    torch.set_num_threads(threads)
