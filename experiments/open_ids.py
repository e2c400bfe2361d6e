"""Do all ids open where only the package is installed? Each id of gymnasium's registry, in each mode that it has.

Shows: a line an id and mode: shape and range of the first observation, reward of 10 random steps. Ends with status 1
       if one does not open, or there are fewer than architectures.
Run:   make wheel-test                   (builds the wheel, installs it into a bare environment and runs this there)
       python experiments/open_ids.py
"""

from __future__ import annotations

import sys
from importlib.metadata import version

import gymnasium

import heist_encoders
from heist_encoders.envs.registration import registered_ids
from heist_encoders.errors import HeistEncodersError
from heist_encoders.zoo.names import architectures

MODES = ("easy", "memory", "hard")


def main() -> int:
    print(f"heist-encoders {version('heist-encoders')} from {heist_encoders.__file__}")
    ids = registered_ids()
    failed = int(len(ids) < len(architectures()))
    for name in ids:
        opened = []
        for mode in MODES:
            try:
                env = gymnasium.make(f"heist_encoders:{name}", distribution_mode=mode)
            except HeistEncodersError as error:  # an encoder that is not packaged for this mode, say
                print(f"{name} {mode}: {error}")
                continue
            env.action_space.seed(0)
            observation, _ = env.reset(seed=0)
            rewards = [float(env.step(env.action_space.sample())[1]) for _ in range(10)]
            env.close()
            opened.append(mode)
            span = f"{observation.min():.2f} to {observation.max():.2f}"
            print(f"{name} {mode}: {observation.shape}, {span}, {sum(rewards)}")
        if not {"easy", "memory"} <= set(opened):
            failed += 1
            print(f"{name}: opened in {opened}, expected easy and memory at least")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
