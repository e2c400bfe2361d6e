"""Clone the shortest-path oracle: a policy head learns its moves on a frozen encoding, without Ray.

python examples/clone_policy.py
"""

from __future__ import annotations

from pathlib import Path

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.policies.artifact import load_policy, save_policy
from heist_encoders.policies.clone import clone
from heist_encoders.policies.evaluate import play_levels


def main(out: str | Path = "runs/cloned", frames: int = 20_000, levels: int = 100, encoder: str = "grid") -> float:
    """Clone in easy mode, save the policy, play levels never trained on; returns the share that it solves."""
    policy = clone(encoder, mode="easy", frames=frames, name="cloned")
    folder = save_policy(policy, Path(out), replace=True)
    found = play_levels(load_policy(folder), "easy", EVALUATION_LEVELS[:levels]).to_dict()
    print(f"{folder}: solves {found['success_rate']:.0%} of {levels} levels, return {found['return_mean']:.2f}")
    return float(found["success_rate"])


if __name__ == "__main__":
    main()
