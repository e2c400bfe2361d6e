"""Fixtures shared by all tests: one thread a process, one local Ray, one small dataset."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default: its processes would wait for the other tests'

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset
    from tests.zoo.hub_server import Hub


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses ``ray_local`` has the marker ``ray``; what has ``gpu`` is skipped where there is none.

    Files with slow tests come first, so that the processes of ``make test`` end at about the same time.
    """
    no_gpu = pytest.mark.skip(reason="no GPU here")
    for item in items:
        if "ray_local" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.ray)
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(no_gpu)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(autouse=True, scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's own artifacts and caches out of the tests."""
    before = {name: os.environ.get(name) for name in ("HEIST_ENCODERS_HOME",)}
    os.environ["HEIST_ENCODERS_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def _determinism() -> Iterator[None]:
    """A seeded RLlib algorithm turns deterministic algorithms on for the whole process; turn them off behind it."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(False)


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in for the hub, to which its own client goes; empty caches."""
    from tests.zoo.hub_server import Hub

    folder = tmp_path_factory.mktemp("hub")
    monkeypatch.setenv("HEIST_ENCODERS_HOME", str(folder / "ours"))
    monkeypatch.setenv("HF_HOME", str(folder / "theirs"))  # read when it is first imported; later, see below
    monkeypatch.setenv("HF_TOKEN", "a token")
    constants = pytest.importorskip("huggingface_hub.constants")
    server = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "theirs" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    yield server
    server.close()


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """512 balanced memory-mode frames."""
    from heist_encoders.data.local import generate_local
    from heist_encoders.data.manifest import DatasetSpec

    return generate_local(DatasetSpec(size=512, seed=7), tmp_path_factory.mktemp("data") / "small")


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A local Ray with two CPUs."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, ignore_reinit_error=True, log_to_driver=False)
    yield
    ray.shutdown()
