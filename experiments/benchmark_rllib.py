"""How fast is encoded Heist stepped in RLlib, and what is the time spent on?

Shows: environment steps a second, for the packaged encoders of memory mode, 64 games in one process, one thread:
         a  RLlib's defaults on single environments, as the original project did: SYNC vectorisation, every frame
            encoded alone, by torch in float32;
         b  this package under RLlib, sampling only (`SingleAgentEnvRunner.sample`);
         c  this package under RLlib's PPO, with learning (`Algorithm.train`);
         d  a bare loop: the same vector environment and the same policy network in plain torch, nothing kept;
         e  the engine alone, random actions.
       All ways take turns, so that they meet the same machine; medians over the rounds.
       Then the parts of a step of b, in milliseconds of all 64 games: engine (with the comparison of frames), encoding,
       policy (forward pass and drawing actions, as the bare loop needs for it), and the rest, which is RLlib's: its
       loop, metrics and episodes, and what the environment does besides.
Run:   python experiments/benchmark_rllib.py    (about 10 minutes)
"""

# What came out (2 cores of an Intel Xeon with AMX, load average 0.8, Python 3.11.7, 23 Nov 2026; 1 torch thread,
# 64 games, medians of 5 rounds) stands in docs/rllib.md. The run still had an env runner of this package's own; b are
# its figures for RLlib's runner.
#
# Bars: b/a >= 8.0, b/d >= 0.8, RLlib below 25%
# conv_maxpool openvino float32: b/a = 4.34 < 8.0
# conv_maxpool openvino bfloat16: b/a = 6.56 < 8.0; b/d = 0.75 < 0.8; RLlib 26% of a step
# vae_alex openvino float32: b/a = 5.02 < 8.0
# vae_alex openvino bfloat16: b/d = 0.77 < 0.8
# conv_unpool openvino float32: b/a = 4.15 < 8.0
# conv_unpool openvino bfloat16: b/d = 0.80 < 0.8
#
# That runner against RLlib's in what `ppo_config` is recommended for (`grid`, easy mode, planner, placement `env`, 64
# games, 1 thread, 27 Nov 2026, steps a second of CPU time, taking turns): sampling 2,053 to 1,985 (medians of 5 rounds,
# 1.03 times), training 289 to 287 (2 rounds, 1.01 times).

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from processes import machine, table

GAMES = 64
ENCODERS = ("conv_maxpool", "vae_alex", "conv_unpool")
BARS = {"b/a": 8.0, "b/d": 0.8}
RLLIB_SHARE = 0.25


class Stopwatch:
    """Seconds spent in functions, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        self.seconds[name] = 0.0

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - started

        return timed


def original_env(config: dict[str, Any]) -> Any:
    """One game; every frame is encoded, alone, by torch in float32."""
    import gymnasium as gym

    from heist_encoders import load_encoder
    from heist_encoders.envs import make_env

    encoder = load_encoder(config["encoder"], device="cpu", backend="torch")
    size = int(np.prod(encoder.shape))

    class Encoded(gym.ObservationWrapper):
        observation_space = gym.spaces.Box(-np.inf, np.inf, (size,), np.float32)

        def observation(self, frame: np.ndarray) -> np.ndarray:
            return encoder.normalize(encoder.encode(frame[None])).reshape(size)

    return Encoded(make_env(None, distribution_mode="memory", actions="moves"))


def original_runner(encoder: str, ours: Any) -> Any:
    from ray import tune
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    tune.register_env("original", original_env)
    config = (
        PPOConfig()
        .environment("original", env_config={"encoder": encoder})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=GAMES, gym_env_vectorize_mode="sync")
        .rl_module(model_config=dict(ours.model_config))
        .debugging(seed=0)
    )
    return SingleAgentEnvRunner(config=config, worker_index=0)


class BareLoop:
    """The vector environment and the policy's network, with the weights of ``module``; actions are sampled."""

    def __init__(self, env: Any, module: Any) -> None:
        import torch

        self.env = env
        linear: list[Any] = []
        parameters = list(module.parameters())
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
            layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
            layer.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
            linear += [layer, torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*linear[:-1])
        self.watch = Stopwatch()
        self._policy = self.watch("policy", self._act)
        self._observations = env.reset(seed=0)[0]
        sample = torch.from_numpy(self._observations)
        expected = module.forward_inference({"obs": sample})["action_dist_inputs"]
        torch.testing.assert_close(self.net(sample), expected)

    def _act(self, observations: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            logits = self.net(torch.from_numpy(observations))
            return torch.distributions.Categorical(logits=logits, validate_args=False).sample().numpy()

    def steps(self, num: int) -> None:
        for _ in range(num):
            self._observations = self.env.step(self._policy(self._observations))[0]


def ways_of(
    encoder: str, compute: dict[str, str], short: bool
) -> tuple[dict[str, Callable[[], int]], dict[str, Any], list[Any]]:
    """Name -> a function that steps for a second or more and returns the steps; what is timed; what is to be closed."""
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    from heist_encoders.engine import Engine
    from heist_encoders.rllib import ppo_config
    from heist_encoders.rllib.registration import create_env

    config = ppo_config(encoder, num_envs=GAMES, **compute)
    algorithm = config.build_algo()
    ours = SingleAgentEnvRunner(config=config, worker_index=0)
    original = original_runner(encoder, config)
    bare = BareLoop(create_env({**config.env_config, "num_envs": GAMES}), ours.module)
    engine = Engine(GAMES)
    engine.load_levels(list(range(GAMES)))
    random = np.random.default_rng(0)

    watch = Stopwatch()
    env = ours.env.unwrapped
    env._games.step = watch("engine", env._games.step)
    env._observer.observe = watch("encoding", env._observer.observe)
    length = 16 if short else 64

    def sampled(runner: Any, steps: int) -> int:
        episodes = runner.sample(num_timesteps=GAMES * steps)
        runner.get_metrics()
        return sum(map(len, episodes))

    def engine_steps() -> int:
        for _ in range(length * 4):
            engine.act(random.integers(0, 9, GAMES))
            engine.observe()
        return GAMES * length * 4

    def bare_steps() -> int:
        bare.steps(length)
        return GAMES * length

    ways = {
        "a": lambda: sampled(original, length // 4),
        "b": lambda: sampled(ours, length),
        "c": lambda: int(algorithm.train()["env_runners"]["num_env_steps_sampled"]),
        "d": bare_steps,
        "e": engine_steps,
    }
    about = {"env": watch, "bare": bare.watch, "backend": env.encoder.backend}
    return ways, about, [algorithm, ours, original, bare.env, engine]


def measure(
    encoder: str, compute: dict[str, str], rounds: int, short: bool
) -> tuple[dict[str, float], dict[str, float], str]:
    """Steps a second of each way, milliseconds of each part of a step of b, and the backend."""
    ways, about, open_things = ways_of(encoder, compute, short)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    parts: dict[str, list[float]] = {"engine": [], "encoding": [], "policy": [], "RLlib": []}
    try:
        for turn in range(rounds + 1):
            for name, way in ways.items():
                before = {**about["env"].seconds, **about["bare"].seconds}
                started = time.perf_counter()
                steps = way()
                seconds = time.perf_counter() - started
                if turn == 0:  # warms up
                    continue
                rates[name].append(steps / seconds)
                after = {**about["env"].seconds, **about["bare"].seconds}
                for part in ("engine", "encoding") if name == "b" else ("policy",) if name == "d" else ():
                    parts[part].append((after[part] - before[part]) / steps * GAMES * 1e3)
                if name == "b":
                    parts["RLlib"].append(seconds / steps * GAMES * 1e3)  # so far the whole step
    finally:
        for thing in open_things:
            (thing.stop if hasattr(thing, "stop") else thing.close)()
    median = {part: statistics.median(values) for part, values in parts.items()}
    whole = median["RLlib"]
    median["RLlib"] = whole - median["engine"] - median["encoding"] - median["policy"]
    return (
        {name: statistics.median(values) for name, values in rates.items()},
        median | {"step": whole},
        about["backend"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backend", default="auto", help="of b, c and d")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], help="of b, c and d")
    parser.add_argument("--encoders", nargs="+", default=list(ENCODERS))
    parser.add_argument("--short", action="store_true", help="a quarter of the steps")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    print(f"{machine()}; {torch.get_num_threads()} torch thread, {GAMES} games, medians of {options.rounds} rounds")
    speeds, splits, verdicts = [], [], []
    for encoder, precision in itertools.product(options.encoders, options.precisions):
        compute = {"backend": options.backend, "precision": precision}
        rates, parts, backend = measure(encoder, compute, options.rounds, options.short)
        ratios = {"b/a": rates["b"] / rates["a"], "b/d": rates["b"] / rates["d"]}
        share = parts["RLlib"] / parts["step"]
        name = f"{encoder} {backend} {precision}"
        speeds.append(
            [name, *(f"{rate:,.0f}" for rate in rates.values()), *(f"{ratio:.2f}" for ratio in ratios.values())]
        )
        splits.append([name, *(f"{part:.2f}" for part in parts.values()), f"{share:.0%}"])
        missed = [f"{ratio} = {ratios[ratio]:.2f} < {bar}" for ratio, bar in BARS.items() if ratios[ratio] < bar]
        missed += [f"RLlib {share:.0%} of a step"] if share >= RLLIB_SHARE else []
        verdicts.append(f"{name}: {'; '.join(missed) or 'all bars met'}")
        print(verdicts[-1], flush=True)
    print("\nEnvironment steps a second")
    print(table(["encoding of b, c, d", *rates, *ratios], speeds))
    print("\nMilliseconds of a step of b (64 games)")
    print(table(["encoding", *parts, "RLlib's share"], splits))
    print(f"\nBars: b/a >= {BARS['b/a']}, b/d >= {BARS['b/d']}, RLlib below {RLLIB_SHARE:.0%}\n" + "\n".join(verdicts))


if __name__ == "__main__":
    main()
