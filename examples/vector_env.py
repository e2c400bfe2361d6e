"""Play many games in lockstep: one batch of the engine and one call of the encoder a step.

python examples/vector_env.py
"""

from __future__ import annotations

import time

import gymnasium as gym


def main(num_envs: int = 64, steps: int = 200) -> tuple[int, ...]:
    """Take random steps and print how many there are a second; returns the shape of the observations."""
    envs = gym.make_vec(
        "heist_encoders:vae-paper-v0",
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        actions="moves",
        normalize=True,  # encodings with mean 0 and standard deviation 1
    )
    encodings, _ = envs.reset(seed=1)
    envs.action_space.seed(1)
    began = time.perf_counter()
    for _ in range(steps):
        encodings, *_ = envs.step(envs.action_space.sample())  # rewards, terminated, truncated, infos
    print(f"{encodings.shape}: {num_envs * steps / (time.perf_counter() - began):,.0f} steps a second")
    envs.close()
    return tuple(encodings.shape)


if __name__ == "__main__":
    main()
