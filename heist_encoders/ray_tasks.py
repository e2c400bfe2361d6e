"""Work that a stage needs and that can begin before it, in Ray tasks on this machine, one CPU each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


def _is_client() -> bool:
    """Whether Ray runs on another machine (``ray://...``)."""
    import ray

    connected: bool = ray.util.client.ray.is_connected()  # type: ignore[no-untyped-call]
    return connected


class Ahead:
    """Calls by name, each made once: in a Ray task if it was begun while Ray ran here, else when it is asked for."""

    def __init__(self) -> None:
        self._tasks: dict[str, Any] = {}

    def begin(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        """Begin ``function(*args, **kwargs)``, unless it has been, or there is no Ray on this machine.

        The function is importable, and so is what it is given and returns; paths are absolute.
        """
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if name in self._tasks or not ray.is_initialized() or _is_client():
            return
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options: dict[str, Any] = {"num_cpus": 1, "max_retries": 0, "scheduling_strategy": here}
        self._tasks[name] = ray.remote(**options)(function).remote(*args, **kwargs)

    def result(
        self, name: str, waiting: Callable[[], None], function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What the call returns or raises; ``waiting`` is called every second until it has been made."""
        task = self._tasks.pop(name, None)
        if task is None:
            return function(*args, **kwargs)
        import ray

        while not ray.wait([task], timeout=1.0)[0]:
            waiting()
        result: T = ray.get(task)
        return result

    def done(self) -> int:
        """How many of the calls that were begun, and not asked for yet, have been made."""
        import ray

        tasks = list(self._tasks.values())
        return len(ray.wait(tasks, num_returns=len(tasks), timeout=0)[0]) if tasks else 0
