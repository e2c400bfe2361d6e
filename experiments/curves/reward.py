"""PPO by RLlib in stretches of time: after each the policy that the checkpoint holds plays."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorObservationWrapper
from gymnasium.vector.utils import batch_space

from curves.runs import PIXELS, Run
from curves.sources import Encodings, HeadPlayer
from curves.store import Play, Store, player

POINTS = (0.15, 0.4, 0.7, 1.0)
"""Shares of a run's time after which its policy plays."""
CLOCK = "clock.jsonl"
"""Processor time after each iteration: RLlib's own is the wall's, which other work on the machine stretches."""
UNIT_PIXELS = "heist-curves-pixels"


def learn(run: Run, store: Store, *, seconds: float, levels: int = 1_000, point_levels: int = 100) -> None:
    """Train for so many seconds in all, and play at some points; goes on where it was.

    Args:
        run: of method ``ppo``.
        store: of the run.
        seconds: of training, in processor time, over all commands.
        levels: evaluation levels at the end.
        point_levels: and at the points before.
    """
    out = store.folder / "ppo"
    out.parent.mkdir(parents=True, exist_ok=True)
    for share, following in zip(POINTS, (*POINTS[1:], math.inf), strict=True):
        amount, spent = progress(out)
        if spent < share * seconds and amount < run.amount:
            train(run, out, share * seconds)
            amount, spent = progress(out)
        finished = share == POINTS[-1] or amount >= run.amount
        wanted = levels if finished else point_levels
        behind = any(share * seconds <= point.seconds < following * seconds for point in store.points())
        if not finished and (behind or spent >= following * seconds):
            continue  # a stretch of an earlier command
        if store.played(amount) < wanted:
            store.measure(amount, spent, wanted, play_of(run, store))
        if finished:
            return


def train(run: Run, out: Path, until: float) -> None:
    """Go on until so many seconds of training, or until the run's steps."""
    from heist_encoders.rllib.training import train_ppo

    _, before = progress(out)
    started = time.process_time()

    def after(line: dict[str, Any]) -> bool:
        seconds = before + time.process_time() - started
        with (out.parent / CLOCK).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": line["iteration"], "seconds": round(seconds, 3)}) + "\n")
        return seconds >= until

    train_ppo(config_of(run), steps=run.amount, out=out, checkpoint_seconds=30, callback=after)


def progress(out: Path) -> tuple[int, float]:
    """Environment steps and seconds of processor time at the last checkpoint."""
    from heist_encoders.rllib.runs import state_of

    state = state_of(out)
    if not state:
        return 0, 0.0
    seconds = 0.0
    for text in (out.parent / CLOCK).read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):  # half a line of a process that was killed
            line = json.loads(text)
            seconds = line["seconds"] if line["iteration"] <= state["iteration"] else seconds
    return int(state["env_steps"]), seconds


def config_of(run: Run) -> Any:
    """RLlib's configuration of a run."""
    from heist_encoders.rllib.heads import HEAD_KEY
    from heist_encoders.rllib.ppo import ppo_config

    settings = dict(run.settings)
    planner, training = settings.pop("planner", None), settings.pop("training", {})
    if run.source == PIXELS:
        from ray import tune

        tune.register_env(UNIT_PIXELS, unit_pixels)
        config = ppo_config("grid", distribution_mode="easy", seed=run.seed, head="mlp", **settings)
        return config.environment(UNIT_PIXELS, env_config={"distribution_mode": "easy", "actions": "moves"})
    config = ppo_config(run.encoder, distribution_mode=run.mode, seed=run.seed, **settings).training(**training)
    if planner:
        model: dict[str, Any] = config.model_config  # type: ignore[assignment]
        config.rl_module(
            model_config={HEAD_KEY: {**model[HEAD_KEY], "planner": {**model[HEAD_KEY]["planner"], **planner}}}
        )
    return config


def play_of(run: Run, store: Store) -> Play:
    """How the policy of the last checkpoint plays: a planning head in plain torch, RLlib's network in RLlib."""
    out = store.folder / "ppo"
    if run.encoder is None:
        from ray import tune

        from heist_encoders.rllib.evaluation import evaluate_policy

        tune.register_env(UNIT_PIXELS, unit_pixels)
        return lambda seeds: evaluate_policy(str(out), levels=seeds, seed=seeds[0] % 1_000_003).levels
    from heist_encoders.policies.sharpen import sharpened
    from heist_encoders.rllib.export import export_policy

    policy = export_policy(out, store.folder / "policy", encoder=run.encoder, replace=True)
    head = sharpened(policy, run.temperature).head
    return player(HeadPlayer(Encodings(run.encoder), head, run.seed), run.mode)


class UnitPixels(VectorObservationWrapper):
    """Frames as float32 between 0 and 1: RLlib's networks take pixels as they are."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.single_observation_space = gym.spaces.Box(0.0, 1.0, env.single_observation_space.shape, np.float32)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def observations(self, observations: Any) -> Any:
        """uint8 (N, 64, 64, 3) -> float32."""
        return observations.astype(np.float32) / 255


def unit_pixels(config: Mapping[str, Any]) -> Any:
    """The creator of the environment."""
    from heist_encoders.envs import make_env, make_vector_env

    options = dict(config)
    if "num_envs" in options:
        return UnitPixels(make_vector_env(None, **options))
    env = make_env(None, **options)
    space = gym.spaces.Box(0.0, 1.0, env.observation_space.shape, np.float32)
    return gym.wrappers.TransformObservation(env, lambda frame: frame.astype(np.float32) / 255, space)
