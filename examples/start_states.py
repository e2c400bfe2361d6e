"""Begin episodes anywhere: at a situation you name, or at drawn ones that grow harder (a curriculum).

python examples/start_states.py
"""

from __future__ import annotations

from heist_encoders.envs import make_env, make_vector_env


def main(num_envs: int = 16, steps: int = 500) -> int:
    """Look at one situation, then play a curriculum; returns the bound on the distance to the exit at its end."""
    env = make_env(distribution_mode="easy")
    _, info = env.reset(options={"level_seed": 2, "progress": 2, "cell": (2, 4)})
    print(f"level 2 after its first door: {info['start']['distance']} steps to the exit")
    env.close()

    envs = make_vector_env(
        None, num_envs=num_envs, distribution_mode="easy", start_share=1.0, start_distribution="curriculum",
        time_limit=60,
    )  # fmt: skip
    envs.reset(seed=1)
    envs.action_space.seed(1)
    for _ in range(steps):
        envs.step(envs.action_space.sample())
    bound = int(envs.curriculum["bound"])
    print(f"after {steps} random steps of {num_envs} games, episodes begin up to {bound} steps from the exit")
    envs.close()
    return bound


if __name__ == "__main__":
    main()
