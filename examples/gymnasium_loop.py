"""Play one game through an encoder: an ordinary gymnasium environment whose observations are encodings.

python examples/gymnasium_loop.py
"""

from __future__ import annotations

import gymnasium as gym


def main(steps: int = 1_000) -> float:
    """Take random steps; returns the sum of rewards."""
    env = gym.make("heist_encoders:vae-paper-v0", actions="moves")
    encoding, info = env.reset(seed=1)
    print(f"encoding: {encoding.dtype} {encoding.shape}, frame: {info['frame'].shape}, level {info['level_seed']}")
    total = 0.0
    for _ in range(steps):
        encoding, reward, terminated, truncated, info = env.step(env.action_space.sample())
        total += float(reward)
        if terminated or truncated:  # the exit, or the game's time limit
            encoding, info = env.reset()
    env.close()
    print(f"{steps} steps, rewards {total:g}")
    return total


if __name__ == "__main__":
    main()
