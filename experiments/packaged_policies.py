"""Train, evaluate and package the policies that come with heist-encoders.

Shows: class D: a planning head on a frozen packaged encoder learned the oracle's moves from balanced labelled frames of
       the training levels (behaviour cloning), then in the situations of its own play (DAgger); no reward. In memory
       mode an LSTM is put between before DAgger, and actions are drawn at a lower temperature. Each step is evaluated
       with sampled actions on evaluation levels, whole episodes from true starts, one each. With --own, class A: it
       learned by reward alone, from its own successes (self-imitation), in easy mode.
Run:   python experiments/packaged_policies.py --clone --device cuda --workers 4      (minutes a mode; what is there
                                                                                       in --work is not cloned again)
       python experiments/packaged_policies.py                                        (DAgger, half an hour a mode)
       python experiments/packaged_policies.py --own                                  (half an hour on one core)
       python experiments/packaged_policies.py --mode easy --frames 50000 --out runs/policies
What came out is on the policies' cards: heist_encoders/policies/packaged/<name>/<mode>/README.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

import heist_encoders
from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.policies.artifact import load_policy, save_policy
from heist_encoders.policies.clone import Progress, clone
from heist_encoders.policies.dagger import dagger, with_memory
from heist_encoders.policies.evaluate import play_levels
from heist_encoders.policies.policy import Policy
from heist_encoders.policies.self_imitation import self_imitate
from heist_encoders.policies.sharpen import best_temperature, sharpened

PACKAGED = Path(heist_encoders.__file__).parent / "policies" / "packaged"
FRAMES, BATCH = 1_500_000, 256
"""Of behaviour cloning, each seen once."""
STEPS = {"easy": 0, "memory": 524_288, "hard": 262_144}
"""Of DAgger; in easy mode behaviour cloning is enough."""
MEMORY = {"memory": {"units": 128, "chunk": 32, "oracle_share": 0.5}}
"""Modes in which the policy has an LSTM."""
SHARPENED = ("memory",)
"""Modes in which actions are drawn at the temperature that solves most of 256 training levels."""
MODES = ("easy", "memory", "hard")
OWN, OWN_FRAMES, OWN_ROUNDS = "self-imitation", 2_500_000, 3


def cloned(mode: str, options: argparse.Namespace, progress: Progress) -> Policy:
    """The policy of behaviour cloning, from ``--work`` if it is there."""
    folder = options.work / f"cloned-{mode}"
    if not (folder / "config.json").exists():
        policy = clone(
            options.encoder, mode=mode, frames=options.frames, batch_size=BATCH, name=options.name,
            workers=options.workers, device=options.device, progress=progress,
        )  # fmt: skip
        save_policy(policy, folder, replace=True)
    return load_policy(folder)


def own(options: argparse.Namespace) -> Policy:
    """The policy that learned by reward alone, from ``--work`` if it is there, with its figures."""
    folder, levels = options.work / f"{OWN}-easy", EVALUATION_LEVELS[: options.levels]
    if not (folder / "config.json").exists():
        policy = self_imitate(
            options.encoder, mode="easy", frames=OWN_FRAMES, rounds=OWN_ROUNDS, name=OWN,
            progress=lambda number, part, done, total: done % 500 or print(number, part, done, total, flush=True),
        )  # fmt: skip
        save_policy(policy, folder, replace=True)
    policy = load_policy(folder)
    policy.name = OWN
    held = play_levels("random", "easy", levels, action_repeat=policy.action_repeat)
    policy.metrics = {"evaluation": play_levels(policy, "easy", levels).to_dict(), "random": held.to_dict()}
    print(policy.metrics)
    return policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=MODES, action="append")
    parser.add_argument("--encoder", default="grid")
    parser.add_argument("--name", default="best")
    parser.add_argument("--frames", type=int, default=FRAMES, help="labelled frames of behaviour cloning")
    parser.add_argument("--steps", type=int, help="steps of DAgger; default: by mode")
    parser.add_argument("--levels", type=int, default=1_000)
    parser.add_argument("--own", action="store_true", help="the policy that learned by reward alone, no other")
    parser.add_argument("--clone", action="store_true", help="end after behaviour cloning")
    parser.add_argument("--device", default="cpu", help="of behaviour cloning")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw frames, threads that learn")
    parser.add_argument("--work", type=Path, default=Path("runs/policies"))
    parser.add_argument("--out", type=Path, default=PACKAGED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.own:
        save_policy(own(options), options.out / OWN / "easy", replace=True)
        return
    for mode in options.mode or MODES:
        shown = [0]

        def progress(part: str, done: int, total: int, shown: list[int] = shown, mode: str = mode) -> None:
            if done - shown[0] >= 20_000 or done < shown[0]:
                shown[0] = done
                print(f"{mode}: {part} {done:,} of {total:,}", flush=True)

        policy = cloned(mode, options, progress)
        if not options.clone:
            policy = taught(policy, mode, options, progress)
            save_policy(policy, options.out / options.name / mode, replace=True)


def taught(policy: Policy, mode: str, options: argparse.Namespace, progress: Progress) -> Policy:
    """A cloned policy after DAgger, with the figures of both."""
    levels = EVALUATION_LEVELS[: options.levels]

    def play(who: str, player: Policy | str) -> dict[str, Any]:
        found = play_levels(player, mode, levels).to_dict()
        print(f"{mode}: {who}: {found}", flush=True)
        return found

    alone, by_chance = play("behaviour cloning", policy), play("random", "random")
    steps = STEPS[mode] if options.steps is None else options.steps
    if not steps:
        policy.metrics = {"evaluation": alone, "random": by_chance}
        return policy
    settings = dict(MEMORY.get(mode, {}))
    if units := settings.pop("units", 0):
        policy = with_memory(policy, int(units))
    policy = dagger(
        policy, steps=steps, workers=options.workers, **settings,
        progress=lambda done, total, *_: progress("DAgger", done, total),
    )  # fmt: skip
    if mode in SHARPENED:
        temperature, rates = best_temperature(policy, mode, range(5_000, 5_256))
        print(f"{mode}: success rate by temperature, 256 training levels: {rates}", flush=True)
        policy = sharpened(policy, temperature)
    policy.metrics = {
        "evaluation": play("DAgger", policy), "behaviour_cloning_alone": alone, "random": by_chance
    }  # fmt: skip
    return policy


if __name__ == "__main__":
    main()
