"""A quiet local Ray for one command, or the cluster the user names."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

from heist_encoders.errors import ResourceError

_ANSWERS_WITHIN = 10.0
"""Seconds that a cluster's address has to answer."""


def cpu_count() -> int:
    """CPUs this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def start_ray(address: str | None = None, cpus: int = 0) -> bool:
    """Connect to Ray without dashboard and worker logs, unless this process is connected already.

    Args:
        address: a cluster, such as ``auto`` or ``ray://host:10001``; None: the one that ``RAY_ADDRESS`` names, else a
            new local one, on the loopback interface only.
        cpus: CPUs that a new local Ray has at least, even if the machine has fewer (workers then share them).

    Returns:
        Whether this call connected, and so ``ray.shutdown()`` is the caller's to do.

    Raises:
        ResourceError: if nothing answers at ``address``.
    """
    import logging

    import ray

    if ray.is_initialized():
        return False
    # Workers on the CPU must not see GPUs that they did not ask for; Ray 2.60 warns unless it is set.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Even without dashboard, a Ray that is started here would report usage statistics over the network.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    init = functools.partial(ray.init, log_to_driver=False, logging_level=logging.ERROR)
    address = address or os.environ.get("RAY_ADDRESS")
    if not address or address == "local":
        count = max(cpus, cpu_count())
        with _loopback():
            init(address="local", num_cpus=count, include_dashboard=False)
        return True
    try:
        _reach(address)
        init(address=address)
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ResourceError(
            f"no Ray cluster answers at {address!r} ({reason}); start one with 'ray start --head', or name none"
        ) from None
    return True


def _reach(address: str) -> None:
    """Raise an OSError if nothing listens at ``address`` of the form ``[ray://]host:port``; Ray itself retries minutes.

    Other forms, such as ``auto`` or ``k8s://...``, are Ray's to resolve.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and "/" not in host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_WITHIN).close()


@functools.cache
def actor_class(cls: type) -> Any:
    """``ray.remote(cls)``, once in a process: Ray keeps the class that it makes for that, and its signatures."""
    import ray

    return ray.remote(cls)


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """A Ray that is started in the block listens on 127.0.0.1 alone.

    ``_node_ip_address="127.0.0.1"`` does not do it: Ray puts the machine's address in its place, and its servers listen
    on all interfaces. This is the switch by which it keeps to the loopback interface on Windows and macOS.
    """
    from ray._private import ray_constants

    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before, enabled = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False  # for Ray's processes, and for this one
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = enabled
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def quiet_ray(cpus: int | None = None, address: str | None = None) -> Iterator[int]:
    """Ray for the duration of a ``with`` block (see ``start_ray``); yields its number of CPUs.

    A Ray that this process was connected to before is left running. What one that was started here has to say (that a
    worker was lost, say) goes to stderr.

    Args:
        cpus: CPUs wanted; None: all there are.
        address: a cluster, or None.

    Raises:
        ResourceError: if the Ray that runs already has fewer CPUs than ``cpus``, or ``address`` does not answer.
    """
    import ray

    started = start_ray(address, cpus or 0)
    said = contextlib.ExitStack()
    if started:
        said.enter_context(contextlib.redirect_stdout(sys.stderr))
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
        said.close()
