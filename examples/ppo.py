"""Train PPO of RLlib on encodings: ``ppo_config`` gives an ordinary PPOConfig to chain on.

python examples/ppo.py
"""

from __future__ import annotations

from heist_encoders.rllib import ppo_config


def main(iterations: int = 20, num_envs: int = 64, encoder: str = "vae_paper") -> int:
    """Train for some iterations of 128 steps an environment; returns the environment steps taken."""
    config = (
        ppo_config(encoder, placement="env", distribution_mode="memory", num_envs=num_envs)
        .training(lr=3e-4, entropy_coeff=0.01)
        .debugging(seed=0)
    )
    algorithm = config.build_algo()
    steps = 0
    for _ in range(iterations):
        result = algorithm.train()
        steps = int(result["num_env_steps_sampled_lifetime"])
        print(f"{steps:,} steps, return {result['env_runners'].get('episode_return_mean', float('nan')):.2f}")
    algorithm.stop()
    return steps


if __name__ == "__main__":
    main()
