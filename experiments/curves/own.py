"""Self-imitation in rounds, each kept when it is done: what was played, the policy, and how that plays."""

from __future__ import annotations

import json
import time

import numpy as np

from curves.runs import SMALL, Run
from curves.store import Store, player
from heist_encoders.files import whole_file, write_atomically
from heist_encoders.policies.artifact import load_policy, save_policy
from heist_encoders.policies.heads import HeadConfig
from heist_encoders.policies.planner import PlannerConfig
from heist_encoders.policies.policy import PolicyRunner
from heist_encoders.policies.self_imitation import Played, SelfImitation, round_shares

HEAD = HeadConfig(kind="planner", planner=PlannerConfig(**SMALL))


def learn(run: Run, store: Store, *, levels: int = 1_000, point_levels: int = 100) -> None:
    """All rounds of a run; goes on after the last one that was done.

    Args:
        run: of method ``own``.
        store: of the run.
        levels: evaluation levels at the end.
        point_levels: and after the rounds before.
    """
    assert run.encoder is not None
    settings = dict(run.settings)
    shares = round_shares(settings.pop("rounds"))
    learner = SelfImitation(run.encoder, mode=run.mode, head=HEAD, seed=run.seed, **settings)
    seconds = 0.0
    for number, share in enumerate(shares):
        played, policy, clock = (store.folder / f"{name}-{number}" for name in ("played.npz", "policy", "clock.json"))
        if clock.exists():  # the last that a round writes
            with np.load(played) as arrays:
                figures = [int(arrays[name]) for name in ("frames", "episodes", "solved")]
                learner.rounds.append(Played(arrays["encodings"], arrays["actions"], *figures))
            learner.policy = load_policy(policy, encoder=run.encoder)
            seconds = json.loads(clock.read_text(encoding="utf-8"))
        else:
            started = time.process_time()
            found = learner.play(round(share * run.amount))
            learner.learn()
            seconds += time.process_time() - started
            store.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(played) as file, file.open("wb") as out:
                np.savez(out, **found._asdict())
            save_policy(learner.policy, policy, replace=True)
            write_atomically(clock, json.dumps(round(seconds, 1)))
        amount = sum(part.frames for part in learner.rounds)
        wanted = levels if number == len(shares) - 1 else point_levels
        if store.played(amount) < wanted:
            store.measure(amount, seconds, wanted, player(PolicyRunner(learner.policy, seed=run.seed), run.mode))
