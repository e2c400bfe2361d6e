"""RLlib's own BC learns the oracle's moves from Parquet that Ray tasks wrote, and becomes a policy artifact.

python examples/rllib_bc.py
"""

from __future__ import annotations

from pathlib import Path

from heist_encoders.rllib import evaluate_policy, export_policy, offline_config, record_oracle


def main(
    out: str | Path = "runs/rllib-bc",
    frames: int = 60_000,
    iterations: int = 600,
    levels: int = 100,
    encoder: str = "grid",
) -> tuple[float, float]:
    """Record labelled frames in easy mode, learn, export, play; returns the first and the last loss."""
    data = record_oracle(encoder, Path(out) / "data", frames=frames, mode="easy")
    algorithm = offline_config(data, "bc", head="planner").build_algo()
    losses = []
    for _ in range(iterations):
        result = algorithm.train()
        losses.append(float(result["learners"]["default_policy"]["policy_loss"]))
    found = evaluate_policy(algorithm, levels=levels)
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}; solves {found.success_rate:.0%} of {levels} levels")
    export_policy(algorithm, Path(out) / "policy", replace=True)  # plays without Ray: load_policy(...)
    algorithm.stop()
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
