"""Where trials run: the Ray that is there or a local one, and how many trials fit on it at once."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from heist_encoders.errors import ResourceError

_NEW_OUTPUT = "RAY_AIR_NEW_OUTPUT"
_LOGGERS = ("ray", "ray.tune", "ray.train", "ray.data")


@dataclass(frozen=True)
class ResourcePlan:
    """What a sweep will occupy.

    Attributes:
        trials: Configurations to try.
        concurrent: Trials that run at once.
        cpus_per_trial, gpus_per_trial: What one trial reserves; on the CPU it has as many threads as CPUs.
        cpus, gpus: What the cluster has.
        nodes: Alive machines of the cluster.
    """

    trials: int
    concurrent: int
    cpus_per_trial: float
    gpus_per_trial: float
    cpus: float
    gpus: float
    nodes: int

    def __str__(self) -> str:
        gpu = f" and {self.gpus_per_trial:g} GPU" if self.gpus_per_trial else ""
        has = f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")
        where = f" on {self.nodes} nodes" if self.nodes > 1 else ""
        return (
            f"{self.trials} trials, {self.concurrent} at once, {self.cpus_per_trial:g} CPU{gpu} each; "
            f"Ray has {has}{where}"
        )


def plan_resources(
    trials: int, cpus_per_trial: float, gpus_per_trial: float | None, max_concurrent: int | None
) -> ResourcePlan:
    """How many trials fit at once on the Ray that runs. Counts node by node, since a trial lives on one node.

    Args:
        trials: Configurations to try.
        cpus_per_trial: CPUs that a trial reserves.
        gpus_per_trial: GPUs (also a fraction) that a trial reserves; None = half a GPU if there is one, else none.
        max_concurrent: Most trials at once, None = as many as fit.

    Raises:
        ResourceError: if not even one trial can be placed. Tune itself would wait without a word.
    """
    import ray

    nodes: list[dict[str, float]] = [
        node["Resources"]
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]
    cpus = sum(node.get("CPU", 0.0) for node in nodes)
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    share = (0.5 if gpus else 0.0) if gpus_per_trial is None else gpus_per_trial
    fit = 0
    for node in nodes:
        counts = [int(node.get("CPU", 0.0) / cpus_per_trial)]
        if share:
            counts.append(int(node.get("GPU", 0.0) / share + 1e-9))
        fit += min(counts)
    if fit == 0:
        wanted = f"{cpus_per_trial:g} CPU" + (f" and {share:g} GPU" if share else "")
        most = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
        raise ResourceError(
            f"a trial asks for {wanted}, but no node of the running Ray has that (most: {most:g} CPU; "
            f"in all {cpus:g} CPU, {gpus:g} GPU); ask for less a trial or start Ray with more"
        )
    concurrent = max(1, min(fit, trials, max_concurrent or fit))
    return ResourcePlan(trials, concurrent, cpus_per_trial, share, cpus, gpus, len(nodes))


class Interruption:
    """Whether Ctrl-C ended Tune's loop, and what Ctrl-C did before, put back at the end of a ``with`` block.

    Tune sets a handler of its own and leaves it, unless a signal came: then it puts back the one that was there.
    """

    def __enter__(self) -> Interruption:
        self._main = threading.current_thread() is threading.main_thread()
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
        return self

    @property
    def happened(self) -> bool:
        """To be asked after Tune's loop has ended."""
        return self._main and signal.getsignal(signal.SIGINT) is self._before[signal.SIGINT]

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            if self._main and handler is not None:
                signal.signal(number, handler)


@contextlib.contextmanager
def quiet_tune() -> Iterator[None]:
    """Only grave errors of Ray's loggers, and none of Tune's own boxes and tables, for the duration of a block."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    output = os.environ.get(_NEW_OUTPUT)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ[_NEW_OUTPUT] = "0"  # the newer output prints even at verbosity 0
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if output is None:
            del os.environ[_NEW_OUTPUT]
        else:
            os.environ[_NEW_OUTPUT] = output
