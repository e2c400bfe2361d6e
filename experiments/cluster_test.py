"""A cluster whose processes are killed while it works: is anything lost?

Shows: on a real Ray cluster (a head and two nodes, each with a raylet of its own, started by `ray start`) dataset
       generation, a sweep, PPO and RLlib's BC run while `kill -9` hits raylets, their workers and the drivers at random
       moments of a seeded schedule. What was killed is started again. At the end: the hash of a dataset made in peace,
       the trials of a sweep made in peace, and training that went on from its checkpoints.
Run:   make cluster-test     (some 6 minutes on 2 cores; writes docs/cluster_test.md; exit status 1 if a check failed)

The cluster lives in namespaces of its own (network: nothing but loopback; processes: none outlives the test; mounts:
the nodes see neither the driver's folder nor each other's). It takes `unshare` and either root or user namespaces;
without them the processes differ in working directory, HOME and TMPDIR alone, and the summary says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import descendants, machine, table, title

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "cluster_test.md"
HEAD, NODES, PORT = "127.0.0.1", {"b": "127.0.0.2", "c": "127.0.0.3"}, 6399
HEAD_OPTIONS = [
    "--head",
    f"--port={PORT}",
    "--num-cpus=0",
    "--include-dashboard=false",
    "--no-monitor",
]
KILLS = {"raylet": 2, "worker": 3, "driver": 1}
"""In each part."""
FIRST, LAST = 0.02, 0.75
"""Shares of a part's work between which the kills are: a sweep says nothing between three quarters and its end."""
NOBODY = 2.0
"""Seconds after which a kill that finds no worker hits a raylet: RLlib's BC learns without any from what they read."""
PATIENCE = 240.0
"""Seconds that a part may take without a kill or a step forward."""

FRAMES, SEED = 48_000, 11
TRIALS, EPOCHS = 4, 4
SWEEP: dict[str, Any] = {
    "preset": "smoke",
    "num_samples": TRIALS,
    "scheduler": "none",  # what ASHA stops depends on who comes first
    "max_failures": 2 * sum(KILLS.values()),  # all may hit the same trial
    "train": {
        "params": {"channels": [8, 4], "latent_size": 8},
        "max_epochs": EPOCHS,
        "epoch_samples": 1024,
        "test_samples": 64,
    },
    "seed": 5,
}
PPO_STEPS, PPO_BATCH = 12_800, 256
BC_FRAMES, BC_ROWS, BC_BATCH = 6_000, 400_000, 500


# The schedule of kills


@dataclasses.dataclass(frozen=True)
class Kill:
    """One kill that is planned.

    Attributes:
        at: share of the part's work that is done, in [0, 1).
        wait: seconds after that.
        what: ``raylet``, ``worker`` or ``driver``.
        pick: in [0, 1): which of the processes of that kind.
    """

    at: float
    wait: float
    what: str
    pick: float

    def choose(self, found: list[int]) -> int | None:
        """One of the process ids, None if there are none."""
        return sorted(found)[int(self.pick * len(found))] if found else None


def schedule(seed: int, part: str, counts: dict[str, int]) -> list[Kill]:
    """The kills of a part, in their order: a function of the arguments alone.

    One in each of equal slices of the work: what was hit goes on in between. Kills in a row would hit processes that
    have only just been started again.
    """
    draw = random.Random(f"{seed} {part}")
    kinds = [kind for kind, count in counts.items() if kind != "driver" for _ in range(count)]
    draw.shuffle(kinds)
    for _ in range(counts["driver"]):  # not before there is something to go on from
        kinds.insert(draw.randint(math.ceil(len(kinds) / 2), len(kinds)), "driver")
    size = (LAST - FIRST) / len(kinds)
    return [
        Kill(FIRST + (number + draw.uniform(0.2, 0.8)) * size, draw.uniform(0.0, 1.5), kind, draw.random())
        for number, kind in enumerate(kinds)
    ]


# Jobs: what a driver does, in a process of its own


def generation(root: Path, address: str) -> None:
    from heist_encoders import DatasetSpec, generate

    generate(DatasetSpec(size=FRAMES, seed=SEED), root / "shared" / "data", address=address, workers=2)


def sweep(root: Path, address: str, name: str = "sweep") -> None:
    from heist_encoders.tuning import sweep

    sweep("conv_maxpool", root / "shared" / "frames", out=root / "shared" / name, address=address, resume=True, **SWEEP)


def sweep_in_peace(root: Path, address: str) -> None:
    sweep(root, address, "sweep-in-peace")


def ppo(root: Path, address: str) -> None:
    from heist_encoders.ray_session import start_ray
    from heist_encoders.rllib import ppo_config

    start_ray(address)
    config = ppo_config(root / "driver" / "far_away", num_envs=4, num_env_runners=2, backend="torch")
    config.training(train_batch_size_per_learner=PPO_BATCH, minibatch_size=128, num_epochs=1)
    _train(config, PPO_STEPS, root / "driver" / "ppo")


def bc(root: Path, address: str) -> None:
    from heist_encoders.ray_session import start_ray
    from heist_encoders.rllib import offline_config, record_oracle

    start_ray(address)
    data = root / "shared" / "moves"
    encoder = root / "driver" / "far_away"
    record_oracle(encoder, data, frames=BC_FRAMES, backend="torch", workers=2)
    _train(
        offline_config(data, head="mlp").training(train_batch_size_per_learner=BC_BATCH),
        BC_ROWS,
        root / "driver" / "bc",
    )


def _train(config: Any, steps: int, out: Path) -> None:
    from heist_encoders.rllib import train_ppo

    # By default 30 s: how long RLlib waits for env runners that may be dead.
    config.fault_tolerance(env_runner_health_probe_timeout_s=5)

    def begun(state: dict[str, Any]) -> None:
        with out.with_suffix(".starts").open("a") as file:
            file.write(json.dumps(state["iteration"]) + "\n")

    train_ppo(config, steps=steps, out=out, checkpoint_seconds=1.0, begun=begun)


JOBS: dict[str, Callable[[Path, str], None]] = {
    "generation": generation,
    "sweep": sweep,
    "sweep_in_peace": sweep_in_peace,
    "ppo": ppo,
    "bc": bc,
}


# How far they are, as it stands on the disk


def shards_done(root: Path) -> float:
    from heist_encoders import DatasetSpec

    chunks = len(DatasetSpec(size=FRAMES, seed=SEED).chunks())
    return len(list((root / "shared" / "data").glob("t*.parquet"))) / chunks


def epochs_done(root: Path) -> float:
    from heist_encoders.tuning.results import reports

    folders = (root / "shared" / "sweep").glob("*-*/")
    return sum(max((int(r.get("epoch", 0)) for r in reports(f)), default=0) for f in folders) / (TRIALS * EPOCHS)


def steps_done(steps: int, out: str) -> Callable[[Path], float]:
    def done(root: Path) -> float:
        lines = history(root / "driver" / out)
        return lines[-1]["env_steps"] / steps if lines else 0.0

    return done


def rows_done(root: Path) -> float:
    """The recording counts for a third."""
    recorded = len(list((root / "shared" / "moves").glob("[0-9]*.parquet"))) / math.ceil(BC_FRAMES / 1008)
    return recorded / 3 + steps_done(BC_ROWS, "bc")(root) * 2 / 3


def history(out: Path) -> list[dict[str, Any]]:
    """The lines of a training's progress; a line that is being written is left out."""
    lines = []
    if (out / "progress.jsonl").exists():
        for text in (out / "progress.jsonl").read_text().splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
    return lines


def checkpoints(out: Path) -> list[str]:
    """Names of a training's whole checkpoints: numbers of iterations."""
    return [path.name for path in (out / "checkpoints").glob("*") if path.name.isdigit()]


PROGRESS: dict[str, Callable[[Path], float]] = {
    "generation": shards_done,
    "sweep": epochs_done,
    "ppo": steps_done(PPO_STEPS, "ppo"),
    "bc": rows_done,
}


# The cluster


class Cluster:
    """A head without CPUs, and two nodes of one CPU each, which are started again whenever they die.

    Args:
        root: folder below which all lies: ``driver``, ``shared``, and a folder for each node.
        hidden: whether nodes can be kept from seeing the driver's folder and each other's.
    """

    def __init__(self, root: Path, hidden: bool) -> None:
        self._root, self._hidden = root, hidden
        self._environment = {
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            "RAY_ADDRESS": "",
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_health_check_period_ms": "1000",  # a lost node is told after 5 s, not 15
            "RAY_worker_niceness": "0",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(DOCUMENT.parent.parent), os.environ.get("PYTHONPATH")])),
        }
        self.address = f"{HEAD}:{PORT}"
        self.starts = Counter[str]()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Cluster:
        self._start("head", HEAD_OPTIONS, HEAD)
        deadline = time.monotonic() + 60
        while not self._answers():
            if time.monotonic() > deadline or self._processes["head"].poll() is not None:
                raise SystemExit(f"the head does not answer: {(self._root / 'head.log').read_text()[-2000:]}")
            time.sleep(0.2)
        self.mend()
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes.values():
            for pid in reversed(descendants(process.pid)):
                _kill(pid)
            process.wait()

    def _answers(self) -> bool:
        import socket

        try:
            socket.create_connection((HEAD, PORT), timeout=1).close()
        except OSError:
            return False
        return True

    def mend(self) -> None:
        """Start the nodes that are not there."""
        for name, ip in NODES.items():
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                self._start(name, [f"--address={self.address}", "--num-cpus=1"], ip)

    def wait(self) -> None:
        """Until all nodes have joined, a minute at most."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            logs = {name: (self._root / f"{name}.log").read_text(errors="replace") for name in NODES}
            if all(logs[name].count("Ray runtime started") >= self.starts[name] for name in NODES):
                return
            self.mend()
            time.sleep(0.2)

    def _start(self, name: str, options: list[str], ip: str) -> None:
        folder = self._root / name
        for leftover in folder.iterdir():  # not the folder itself: another node has mounted something there
            shutil.rmtree(leftover, ignore_errors=True)
        ray = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--node-ip-address={ip}"),
            *(f"--object-store-memory={80 * 2**20}", f"--temp-dir={folder}/ray", "--disable-usage-stats"),
            *("--min-worker-port=0", "--max-worker-port=0", "--num-gpus=0", "--include-log-monitor=false", *options),
        ]
        if self._hidden and name != "head":
            others = [self._root / other for other in ("driver", "head", *NODES) if other != name]
            hide = "; ".join(f"mount -t tmpfs none {other}" for other in others)
            ray = ["unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "sh", *ray]
        with (self._root / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                ray, cwd=folder, env=self._environment | home(folder), stdout=log, stderr=log
            )
        self.starts[name] += 1

    def driver(self, job: str) -> subprocess.Popen[bytes]:
        """Start a job, when all nodes are there."""
        self.wait()
        folder = self._root / "driver"
        command = [sys.executable, str(Path(__file__).resolve()), "--job", job, "--root", str(self._root)]
        with (self._root / f"{job}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=self._environment | home(folder),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def victims(self, what: str, driver: subprocess.Popen[bytes]) -> list[int]:
        """Processes of a kind: raylets of the two nodes, workers of theirs that hold or do something, the driver."""
        if what == "driver":
            return [driver.pid]
        if what == "raylet":
            return self.raylets()
        idle = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
        named = {pid: title(pid) for pid in self._processes_of_nodes()}
        return [pid for pid, name in named.items() if name.startswith("ray::") and not name.startswith(idle)]

    def raylets(self) -> list[int]:
        """Process ids of the two nodes' raylets."""
        return [pid for pid in self._processes_of_nodes() if "/raylet/raylet " in title(pid)]

    def _processes_of_nodes(self) -> list[int]:
        return [pid for name in NODES for pid in descendants(self._processes[name].pid)]


def home(folder: Path) -> dict[str, str]:
    """A user's folder, and one for temporary files, of its own."""
    (folder / "tmp").mkdir(exist_ok=True)
    return {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), "HEIST_ENCODERS_HOME": str(folder / "heist")}


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


# A part: a job that is disturbed


@dataclasses.dataclass
class Part:
    """What happened.

    Attributes:
        name: of the job.
        kills: kind -> number.
        starts: of the driver.
        by_itself: ends of the driver with an error that nobody killed.
        seconds: of all.
        left: kills that were planned and not made.
        checkpoints: the newest on the disk whenever the driver was started again.
        passed: whether all is as it should be.
        found: what the check found, in words.
        nodes: times that a node was started again.
        hidden: whether the nodes' processes could not see the driver's folder.
        machine: a line on what it ran on.
    """

    name: str
    kills: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(KILLS, 0))
    starts: int = 1
    by_itself: int = 0
    seconds: float = 0.0
    left: int = 0
    checkpoints: list[int] = dataclasses.field(default_factory=list)
    passed: bool = False
    found: str = ""
    nodes: int = 0
    hidden: bool = False
    machine: str = ""


def run(name: str, cluster: Cluster, root: Path, kills: list[Kill]) -> Part:
    """Run a job to its end under kills."""
    part, queue = Part(name), deque(kills)
    begin = moved = time.monotonic()
    due: float | None = None
    furthest = -1.0
    driver = cluster.driver(name)
    killed = False
    while True:
        cluster.mend()
        status = driver.poll()
        if status == 0:
            break
        now = time.monotonic()
        if status is not None:
            if not killed:
                part.by_itself += 1
                say(f"{name}: the driver ended with status {status}: {last_error(root / f'{name}.log')}")
            if part.by_itself > 3:
                break
            part.checkpoints.append(max(map(int, checkpoints(root / "driver" / name)), default=0))
            driver, killed, moved = cluster.driver(name), False, now
            part.starts += 1
        done = PROGRESS[name](root) if name in PROGRESS else 0.0
        if done > furthest:
            furthest, moved = done, now
        if now - moved > PATIENCE:
            say(f"{name}: no step forward in {PATIENCE:.0f} s")
            for pid in descendants(driver.pid):
                _kill(pid)
            driver.wait()
            part.by_itself += 1
            break
        if queue and not killed and done >= queue[0].at:
            due = now + queue[0].wait if due is None else due
            if now >= due:
                what = queue[0].what
                if what == "worker" and now >= due + NOBODY:
                    what = "raylet"
                victim = queue[0].choose(cluster.victims(what, driver))
                words = "" if victim is None else title(victim).split(" --")[0][:60]
                if victim is not None and _kill(victim):
                    due, moved = None, now
                    queue.popleft()
                    part.kills[what] += 1
                    killed = what == "driver"
                    say(f"{name}: {now - begin:5.1f} s, {done:4.0%} done: kill -9 of {what} {victim} ({words})")
        time.sleep(0.1)
    part.seconds, part.left = time.monotonic() - begin, len(queue)
    say(f"{name}: {part}")
    return part


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def last_error(log: Path) -> str:
    """The last line of a log that names an error."""
    lines = re.findall(r"^\w[\w.]*(?:Error|Exception)\b.*", log.read_text(errors="replace"), re.MULTILINE)
    return lines[-1][:300] if lines else "nothing said"


# Checks


def check_generation(root: Path, part: Part) -> tuple[bool, str]:
    from heist_encoders import DatasetSpec
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.data.local import generate_local
    from heist_encoders.data.verify import verify

    found = open_dataset(root / "shared" / "data").hash
    wrong = verify(root / "shared" / "data")
    wanted = generate_local(DatasetSpec(size=FRAMES, seed=SEED), root / "driver" / "in-peace").hash
    same = found == wanted and not wrong
    return same, f"hash {found[:12]}, made in peace {wanted[:12]}; {len(wrong)} problems found by `verify`"


def check_sweep(root: Path, part: Part) -> tuple[bool, str]:
    from heist_encoders.tuning import load_result
    from heist_encoders.zoo import load_artifact

    result, calm = (load_result(root / "shared" / name) for name in ("sweep", "sweep-in-peace"))
    columns = ["trial", "status", "rank", "epoch", "samples", "miou", "test_loss", *calm.plan["searched"]]
    outcome, wanted = (r.table.sort_values("trial")[columns].to_dict("records") for r in (result, calm))
    states = Counter(str(row["status"]) for row in outcome)
    for name in result.table["checkpoint"]:
        load_artifact(result.path / name / "artifact")  # every hash is right
    equal = sum(mine == theirs for mine, theirs in zip(outcome, wanted, strict=True))
    text = ", ".join(f"{count} {state}" for state, count in states.items())
    good = result.finished and states == {"done": TRIALS} and equal == TRIALS
    return (
        good,
        f"{len(outcome)} of {TRIALS} trials accounted for ({text}); {equal} with the figures of a sweep in peace",
    )


def check_training(name: str, steps: int, batch: int) -> Callable[[Path, Part], tuple[bool, str]]:
    def check(root: Path, part: Part) -> tuple[bool, str]:
        out = root / "driver" / name
        lines = history(out)
        iterations = [line["iteration"] for line in lines]
        begun = [int(line) for line in out.with_suffix(".starts").read_text().splitlines()]
        whole = iterations == list(range(1, len(lines) + 1)) and lines[-1]["env_steps"] >= steps
        counts = itertools.pairwise([0, *(line["env_steps"] for line in lines)])
        short = sum(after - before < 0.9 * batch for before, after in counts)
        going_on = any(0 < number < iterations[-1] for number in part.checkpoints) and begun == [0, *part.checkpoints]
        loss = [line["policy_loss"] for line in lines if line["policy_loss"] is not None]
        text = (
            f"{lines[-1]['env_steps']:,} of {steps:,} steps in iterations 1 to {iterations[-1]}, "
            f"{'none' if whole else 'SOME'} missing or twice; "
            f"went on from the checkpoints of iterations {', '.join(map(str, begun[1:]))}"
        )
        if name == "bc":
            text += f"; loss {loss[0]:.2f} to {loss[-1]:.2f}"
            going_on = going_on and loss[-1] < loss[0]
        if short:  # RLlib goes on with what it has, be it nothing
            text += f"; {short} iterations with less than a batch: both env runners were gone"
        return whole and going_on, text

    return check


CHECKS: dict[str, Callable[[Path, Part], tuple[bool, str]]] = {
    "generation": check_generation,
    "sweep": check_sweep,
    "ppo": check_training("ppo", PPO_STEPS, PPO_BATCH),
    "bc": check_training("bc", BC_ROWS, BC_BATCH),
}


def hidden(root: Path, cluster: Cluster) -> bool:
    """Whether no raylet of the two nodes sees the driver's folder or works in it."""
    raylets = [Path(f"/proc/{pid}") for pid in cluster.raylets()]
    seen = [(raylet / f"root{root}/driver/far_away").exists() for raylet in raylets]
    inside = [os.readlink(raylet / "cwd").startswith(f"{root}/driver") for raylet in raylets]
    return bool(raylets) and not any(seen) and not any(inside)


# The whole

PAGE = """# A cluster under kills

`make cluster-test` starts a Ray cluster of a head (no CPU) and two nodes (one CPU each), every one with a raylet of its
own from `ray start`, {where}. Datasets and sweeps go to a folder that all nodes see; the runs of PPO and BC and
their encoder lie in the driver's folder, and the encoder reaches the nodes by bytes. While each job runs, `kill -9`
hits raylets, workers that hold an actor or do a task (a raylet where there is none for {nobody:.0f} s), and the driver,
one in each of equal slices of the first three quarters of the work, at random moments (seed {seed}). Nodes and drivers
are started again by the same command. The head is not killed: without a Redis elsewhere, Ray's cluster ends with it.

{table}

`own errors`: times that a driver ended with an error that was no kill, and was started again. Nodes were
started again {starts} times; the driver's folder was {hidden} their raylets. {machine}.
"""
ISOLATED = """in namespaces of its own: it has no network interface but loopback, and the nodes'
processes see neither the driver's working directory, HOME and TMPDIR nor each other's (empty file systems are mounted
there)"""
NOT_ISOLATED = """without namespaces (no `unshare` here): nodes differ from the driver in working
directory, HOME and TMPDIR, but could open its folder"""

NAMES = {"generation": "dataset generation", "sweep": "sweep", "ppo": "PPO", "bc": "BC (RLlib's)"}
DONE = {
    "generation": f"{FRAMES:,} frames",
    "sweep": f"{TRIALS} trials of {EPOCHS} epochs",
    "ppo": f"{PPO_STEPS:,} steps, 2 env runners",
    "bc": f"{BC_ROWS:,} rows of {BC_FRAMES:,} recorded frames",
}


def document(parts: list[Part], isolated: bool, seed: int) -> str:
    """The page for the docs."""
    total = Counter[str]()
    for part in parts:
        total.update(part.kills)
    rows = [
        [
            NAMES[part.name],
            DONE[part.name],
            *(str(part.kills[kind]) for kind in KILLS),
            str(part.starts),
            str(part.by_itself),
            f"{part.seconds:.0f}",
            ("PASS: " if part.passed else "FAIL: ") + part.found,
        ]
        for part in parts
    ]
    rows.append(["all", "", *(str(total[kind]) for kind in KILLS), "", "", f"{sum(p.seconds for p in parts):.0f}", ""])
    head = ["job", "work", *(f"{kind}s killed" for kind in KILLS), "driver's starts", "own errors", "seconds", "check"]
    return PAGE.format(
        where=ISOLATED if isolated else NOT_ISOLATED,
        seed=seed,
        nobody=NOBODY,
        table=table(head, rows),
        starts=sum(part.nodes for part in parts),
        hidden="hidden from" if all(part.hidden for part in parts) else "visible to",
        machine=parts[-1].machine,
    )


def isolated_again(arguments: list[str]) -> int | None:
    """Run this script in namespaces of its own, its exit status; None if that is not possible."""
    if shutil.which("unshare") is None:
        return None
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *users, "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    up = "ip link set lo up"
    if subprocess.run([*unshare, "sh", "-c", up], capture_output=True, check=False).returncode:
        return None
    # sh is the first process: it buries what loses its parent.
    command = [*unshare, "sh", "-c", f'{up}; "$@"; exit $?', "sh", sys.executable, __file__, *arguments, "--isolated"]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--parts", nargs="*", choices=[*NAMES], default=[*NAMES], help="default: all")
    parser.add_argument("--results", type=Path, help="a JSON file to add the parts to, where not all run in one go")
    parser.add_argument("--keep", help="folder to leave logs in")
    parser.add_argument("--isolated", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--job", choices=[*JOBS], help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        JOBS[options.job](options.root, f"{HEAD}:{PORT}")
        return 0
    if not options.isolated and (status := isolated_again(sys.argv[1:])) is not None:
        return status

    from heist_encoders.zoo.artifact import copy_artifact
    from heist_encoders.zoo.lookup import find_artifact

    parts: dict[str, Part] = {}
    if options.results and options.results.exists():
        parts = {name: Part(**part) for name, part in json.loads(options.results.read_text()).items()}
    root = Path(tempfile.mkdtemp(prefix="ct-"))
    try:
        for folder in ("driver", "shared", "head", *NODES):
            (root / folder).mkdir()
        copy_artifact(find_artifact("conv_maxpool"), root / "driver" / "far_away", name="far_away")
        with Cluster(root, options.isolated) as cluster:
            for name in options.parts:
                parts[name] = checked(name, cluster, root, options)
                if options.results:
                    options.results.write_text(json.dumps({key: dataclasses.asdict(p) for key, p in parts.items()}))
    finally:
        if options.keep:
            logs = shutil.ignore_patterns("*sock*", "plasma*", "raylet", "ray")
            shutil.copytree(root, options.keep, dirs_exist_ok=True, ignore=logs)
        shutil.rmtree(root, ignore_errors=True)
    page = document([parts[name] for name in NAMES if name in parts], options.isolated, options.seed)
    print(page)
    if len(parts) == len(NAMES):
        DOCUMENT.write_text(page)
    return 0 if all(part.passed and (part.hidden or not options.isolated) for part in parts.values()) else 1


def checked(name: str, cluster: Cluster, root: Path, options: argparse.Namespace) -> Part:
    """One part, and its check."""
    from heist_encoders import DatasetSpec
    from heist_encoders.data.local import generate_local

    if name == "sweep":
        generate_local(DatasetSpec(size=2_000, seed=SEED), root / "shared" / "frames")
        run("sweep_in_peace", cluster, root, [])
    before = sum(cluster.starts[node] for node in NODES)
    part = run(name, cluster, root, schedule(options.seed, name, KILLS))
    part.passed, part.found = CHECKS[name](root, part)
    if part.left:
        part.passed, part.found = False, f"{part.found}; {part.left} kills not made"
    cluster.wait()
    part.nodes = sum(cluster.starts[node] for node in NODES) - before
    part.hidden, part.machine = hidden(root, cluster), machine()
    say(f"{name}: {'PASS' if part.passed else 'FAIL'}: {part.found}")
    return part


if __name__ == "__main__":
    sys.exit(main())
