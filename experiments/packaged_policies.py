"""Train, evaluate and package the policies that come with heist-encoders.

Shows: class D: a planning head on a frozen packaged encoder learned the oracle's moves from balanced labelled frames of
       the training levels (behaviour cloning, no reward); then played with sampled actions on evaluation levels, whole
       episodes from true starts, one each.
Run:   python experiments/packaged_policies.py                        (half an hour a mode on one core)
       python experiments/packaged_policies.py --mode easy --frames 50000 --passes 1
What came out is on the policies' cards: heist_encoders/policies/packaged/best/<mode>/README.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import heist_encoders
from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.policies.artifact import save_policy
from heist_encoders.policies.clone import clone
from heist_encoders.policies.evaluate import play_levels

PACKAGED = Path(heist_encoders.__file__).parent / "policies" / "packaged"
FRAMES = {"easy": 480_000, "memory": 160_000, "hard": 160_000}
PASSES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=list(FRAMES), action="append")
    parser.add_argument("--encoder", default="grid")
    parser.add_argument("--name", default="best")
    parser.add_argument("--frames", type=int, help="labelled frames; default: by mode")
    parser.add_argument("--passes", type=int, default=PASSES, help="how often each frame is learned from")
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
        policy = clone(
            options.encoder, mode=mode, frames=frames, samples=options.passes * frames, name=options.name,
            progress=progress,
        )  # fmt: skip
        levels = EVALUATION_LEVELS[: options.levels]
        found = play_levels(policy, mode, levels)
        chance = play_levels("random", mode, levels)
        policy.metrics = {"evaluation": found.to_dict(), "random": chance.to_dict()}
        save_policy(policy, options.out / options.name / mode, replace=True)
        print(f"{mode}: {found.to_dict()}\n  random: {chance.to_dict()}", flush=True)


if __name__ == "__main__":
    main()
