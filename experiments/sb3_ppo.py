"""Stable-Baselines3's PPO on an encoded environment, which is an ordinary gymnasium id.

Shows: nothing of this package but the id is needed. Trains and says how many steps a second that made and what the
          episodes gave. Stable-Baselines3 steps single environments one after the other, and so encodes one frame a
          call: `cleanrl_ppo.py` and `heist_encoders.rllib` encode a batch. A few thousand steps show that it runs, not
          what it learns; that takes millions. The first episodes to end are the successes: their mean return says
          nothing before every game has had 1,000 steps, its time limit.
Run:   pip install stable-baselines3
       python experiments/sb3_ppo.py --steps 20000
"""

# What came out (23 Nov 2026, one core of an Intel Xeon, Python 3.11.7, load average 1.4):
#
# heist_encoders:vae-alex-v0: 20,480 steps in 17 s, 1,196 steps/s with learning; mean return of the last 21 episodes
# 2.86

from __future__ import annotations

import argparse
import time

import gymnasium
import numpy as np
from processes import machine


def main(arguments: list[str] | None = None) -> float:
    """Train; return the mean return of the episodes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", default="heist_encoders:vae-alex-v0")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--rollout", type=int, default=128, help="steps of each environment between two updates")
    options = parser.parse_args(arguments)

    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    # Encodings by the mean and standard deviation that are stored with the encoder; the 9 actions that matter in Heist.
    env = DummyVecEnv(
        [lambda: Monitor(gymnasium.make(options.id, actions="moves", normalize=True)) for _ in range(options.envs)]
    )
    model = PPO("MlpPolicy", env, n_steps=options.rollout, batch_size=256, gamma=0.999, ent_coef=0.01, seed=0)
    start = time.perf_counter()
    model.learn(options.steps)
    seconds = time.perf_counter() - start
    episodes = list(model.ep_info_buffer or [])
    mean = float(np.mean([episode["r"] for episode in episodes])) if episodes else float("nan")
    print(machine())
    print(
        f"{options.id}: {model.num_timesteps:,} steps in {seconds:.0f} s, {model.num_timesteps / seconds:,.0f} steps/s "
        f"with learning; mean return of the last {len(episodes)} episodes {mean:.2f}"
    )
    env.close()
    return mean


if __name__ == "__main__":
    main()
