"""A quiet local Ray for one command, or the cluster the user names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from heist_encoders.errors import ResourceError


def cpu_count() -> int:
    """CPUs this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


@contextlib.contextmanager
def quiet_ray(cpus: int | None = None, address: str | None = None) -> Iterator[int]:
    """Ray without dashboard and worker logs for the duration of a ``with`` block; yields its number of CPUs.

    A Ray that runs already in this process is used as it is and left running. With an ``address``, joins that
    cluster. Otherwise a local one, on the loopback interface only, is started and shut down.

    Args:
        cpus: CPUs wanted; None: all there are. More than the machine has is allowed for a new local Ray (workers
            then share CPUs), not for one that runs already.

    Raises:
        ResourceError: if the Ray that runs already has fewer CPUs than ``cpus``, or ``address`` does not answer.
    """
    import logging

    import ray

    started = False
    if not ray.is_initialized():
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
        if address is None:
            wanted = max(cpus or 0, cpu_count())
            ray.init(address="local", num_cpus=wanted, include_dashboard=False, _node_ip_address="127.0.0.1", **options)
        else:
            try:
                ray.init(address=address, **options)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ResourceError(
                    f"no Ray cluster answers at {address!r} ({' '.join(str(error).split())[:200]}); start one with "
                    "'ray start --head', or leave --address out"
                ) from None
        started = True
    try:
        available = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
        if cpus is not None and available < cpus:
            raise ResourceError(
                f"{cpus} CPUs asked for, but the Ray that is running has {available}; ask for at most {available} "
                "or start Ray with more CPUs"
            )
        yield available
    finally:
        if started:
            ray.shutdown()
