"""Train, evaluate and package the policies that come with heist-encoders.

Shows: class D: a planning head on a frozen packaged encoder learned the oracle's moves from balanced labelled frames of
       the training levels (behaviour cloning), then in the situations of its own play (DAgger); no reward. In memory
       mode an LSTM is put between before DAgger. Each step is evaluated with sampled actions on evaluation levels,
       whole episodes from true starts, one each.
Run:   python experiments/packaged_policies.py                        (half an hour a mode on one core)
       python experiments/packaged_policies.py --mode easy --frames 50000 --passes 1
What came out is on the policies' cards: heist_encoders/policies/packaged/best/<mode>/README.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import heist_encoders
from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.policies.artifact import save_policy
from heist_encoders.policies.clone import clone
from heist_encoders.policies.dagger import dagger, with_memory
from heist_encoders.policies.evaluate import play_levels
from heist_encoders.policies.policy import Policy

PACKAGED = Path(heist_encoders.__file__).parent / "policies" / "packaged"
FRAMES = {"easy": 240_000, "memory": 160_000, "hard": 240_000}
"""Of behaviour cloning, each seen once."""
STEPS = {"easy": 262_144, "memory": 393_216, "hard": 262_144}
"""Of DAgger."""
MEMORY = {"memory": {"units": 128, "chunk": 32, "oracle_share": 0.5}}
"""Modes in which the policy has an LSTM."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=list(FRAMES), action="append")
    parser.add_argument("--encoder", default="grid")
    parser.add_argument("--name", default="best")
    parser.add_argument("--frames", type=int, help="labelled frames; default: by mode")
    parser.add_argument("--steps", type=int, help="steps of DAgger; default: by mode")
    parser.add_argument("--levels", type=int, default=1_000)
    parser.add_argument("--out", type=Path, default=PACKAGED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for mode in options.mode or list(FRAMES):
        shown = [0]

        def progress(part: str, done: int, total: int, shown: list[int] = shown, mode: str = mode) -> None:
            if done - shown[0] >= 20_000 or done < shown[0]:
                shown[0] = done
                print(f"{mode}: {part} {done:,} of {total:,}", flush=True)

        frames = options.frames or FRAMES[mode]
        levels = EVALUATION_LEVELS[: options.levels]

        def say(who: str, player: Policy | str, mode: str = mode, levels: Sequence[int] = levels) -> dict[str, Any]:
            found = play_levels(player, mode, levels).to_dict()
            print(f"{mode}: {who}: {found}", flush=True)
            return found

        policy = clone(options.encoder, mode=mode, frames=frames, name=options.name, progress=progress)
        cloned = say("behaviour cloning", policy)
        settings = dict(MEMORY.get(mode, {}))
        if units := settings.pop("units", 0):
            policy = with_memory(policy, int(units))
        policy = dagger(
            policy, steps=options.steps or STEPS[mode], **settings,
            progress=lambda done, total, *_: progress("DAgger", done, total),
        )  # fmt: skip
        policy.metrics = {
            "evaluation": say("DAgger", policy), "behaviour_cloning_alone": cloned, "random": say("random", "random")
        }  # fmt: skip
        save_policy(policy, options.out / options.name / mode, replace=True)


if __name__ == "__main__":
    main()
