"""RLlib on nodes that share no disk with the driver, and that die: does the encoder arrive, does training go on?

Shows: on a Ray cluster of a head and two nodes (processes on this machine, each node with a user's folder of its own):
       1. an encoder that no node has on its disk, because its folder is deleted before any env runner starts, reaches
          every node by bytes, with the same SHA-256, and the configuration carries none of it;
       2. an encoder whose bytes were altered on the way is refused, and nothing of it stays;
       3. training goes on after `kill -9` of an env runner, which comes back as another process;
       4. training goes on after the loss of a node; a node that joins gets the env runner, and fetches the encoder.
       A line each with PASS or FAIL; exit status 1 if one failed.
Run:   python experiments/rllib_cluster.py          (about a minute on 2 cores)
"""

# What came out (23 Nov 2026, one shared core of an Intel Xeon, Python 3.11.7, load average 19 from other work; 6 min
# 48 s):
#
# PASS  an encoder that is on no disk reached both nodes; 256 steps played
# PASS  the configuration is 12,201 bytes when pickled, the weights are 845,980
# PASS  altered bytes are refused, nothing stays: the cluster's copy of encoder 'far_away': model.safetensors is
#       truncated or altered: sha256 499ae7f14793..., config.json says a2f6fca1672d...; save the artifact there again
# PASS  kill -9 of env runner 9472: training went on, 256 steps or more in each of 11 iterations, then 2 env runners,
#       one of them new
# PASS  loss of a node: training went on with 1 env runner; 11 iterations after another node had joined there were 2
# PASS  the node that joined fetched the encoder

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import machine

ENV_RUNNERS, STEPS = 2, 256
PATIENCE = 120.0
"""Seconds for a lost env runner to come back."""
failed: list[str] = []


def say(passed: bool, what: str) -> None:
    print(f"{'PASS' if passed else 'FAIL'}  {what}", file=sys.__stdout__, flush=True)
    if not passed:
        failed.append(what)


def weights_in(home: Path) -> set[str]:
    """SHA-256 of the weights in the cache of a user's folder."""
    from heist_encoders.files import sha256_of

    return {sha256_of(path) for path in home.glob("cache/*/model.safetensors")}


def processes_of(algorithm: Any) -> set[int]:
    """Process ids of the env runners that answer."""
    return set(algorithm.env_runner_group.foreach_env_runner(lambda runner: os.getpid(), local_env_runner=False))


def train_until(algorithm: Any, reached: Callable[[], bool]) -> tuple[int, int, bool]:
    """Iterations, the fewest steps in one, and whether it came to it in time."""
    start, iterations, fewest = time.monotonic(), 0, sys.maxsize
    while True:
        result = algorithm.train()
        iterations += 1
        fewest = min(fewest, int(result["env_runners"]["num_env_steps_sampled"]))
        if reached():
            return iterations, fewest, True
        if time.monotonic() - start > PATIENCE:
            return iterations, fewest, False


def altered_bytes(artifact: Any, home: Path) -> None:
    """Put an encoder with one byte changed into the store, and ask for it as an env runner does."""
    import ray

    from heist_encoders.errors import ArtifactError
    from heist_encoders.rllib.sharing import ACTOR
    from heist_encoders.zoo.lookup import find_artifact

    store: Any = ray.get_actor(ACTOR)
    files = dict(ray.get(store.get.remote(artifact.sha256)))
    weights = bytearray(files["model.safetensors"])
    weights[-1] ^= 1
    sha256 = "f" * 64
    ray.get(store.put.remote(sha256, {**files, "model.safetensors": bytes(weights)}))
    os.environ["HEIST_ENCODERS_HOME"] = str(home)
    try:
        find_artifact({**artifact.reference, "sha256": sha256})
        say(False, "altered bytes: taken for good")
    except ArtifactError as error:
        say(not weights_in(home), f"altered bytes are refused, nothing stays: {error}")


def main() -> int:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import ray
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    from heist_encoders.rllib import ppo_config, share
    from heist_encoders.zoo.artifact import copy_artifact
    from heist_encoders.zoo.lookup import find_artifact

    with tempfile.TemporaryDirectory(prefix="rllib-cluster-") as folder:
        root = Path(folder)
        homes = {name: root / f"home-{name}" for name in ("driver", "b", "c", "d", "e")}
        os.environ["HEIST_ENCODERS_HOME"] = str(homes["driver"])
        memory = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})

        def join(name: str) -> Any:
            return cluster.add_node(num_cpus=1, env_vars={"HEIST_ENCODERS_HOME": str(homes[name])}, **memory)

        join("b")
        node_c = join("c")
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        try:
            artifact = copy_artifact(find_artifact("conv_maxpool"), root / "only-here" / "far_away", name="far_away")
            size = (artifact.path / "model.safetensors").stat().st_size
            config = ppo_config(artifact.path, num_envs=4, num_env_runners=ENV_RUNNERS, backend="torch")
            config.training(train_batch_size_per_learner=STEPS, minibatch_size=128, num_epochs=1)
            share(artifact)
            shutil.rmtree(artifact.path)
            algorithm = config.build_algo()
            steps = int(algorithm.train()["env_runners"]["num_env_steps_sampled"])
            arrived = all(weights_in(homes[name]) == {artifact.sha256} for name in ("b", "c"))
            say(arrived and steps >= STEPS, f"an encoder that is on no disk reached both nodes; {steps} steps played")
            pickled = len(cloudpickle.dumps(config))
            say(pickled < size / 4, f"the configuration is {pickled:,} bytes when pickled, the weights are {size:,}")
            altered_bytes(artifact, homes["e"])
            os.environ["HEIST_ENCODERS_HOME"] = str(homes["driver"])

            before = processes_of(algorithm)
            victim = min(before)
            os.kill(victim, signal.SIGKILL)

            def back() -> bool:
                found = processes_of(algorithm)
                return len(found) == ENV_RUNNERS and victim not in found

            iterations, fewest, came = train_until(algorithm, back)
            say(
                len(before) == ENV_RUNNERS and came and fewest >= STEPS,
                f"kill -9 of env runner {victim}: training went on, {fewest} steps or more in each of {iterations} "
                f"iterations, then {len(processes_of(algorithm))} env runners, one of them new",
            )

            cluster.remove_node(node_c, allow_graceful=False)
            _, alone, _ = train_until(algorithm, lambda: True)
            left = len(processes_of(algorithm))
            join("d")
            iterations, fewest, came = train_until(algorithm, lambda: len(processes_of(algorithm)) == ENV_RUNNERS)
            say(
                left == 1 and alone >= STEPS and came and fewest >= STEPS,
                f"loss of a node: training went on with {left} env runner; {iterations} iterations after another node "
                f"had joined there were {len(processes_of(algorithm))}",
            )
            say(weights_in(homes["d"]) == {artifact.sha256}, "the node that joined fetched the encoder")
            algorithm.stop()
        finally:
            ray.shutdown()
            cluster.shutdown()
    print(machine(), file=sys.__stdout__)
    return 1 if failed else 0


if __name__ == "__main__":
    # What Ray says about the nodes and processes that it lost goes to stderr.
    with contextlib.redirect_stdout(sys.stderr):
        status = main()
    sys.exit(status)
