"""Encoders reach nodes by bytes, checked; a lost env runner comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heist_encoders.errors import ArtifactError
from heist_encoders.rllib import EncodeObservations, share
from heist_encoders.rllib.sharing import ACTOR, fetch_shared, references_of
from heist_encoders.zoo import find_artifact
from heist_encoders.zoo.artifact import Artifact
from tests.zoo.making import make_artifact

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def moved(artifact: Artifact) -> dict[str, str]:
    """The reference of an artifact as a node sees it that has not got its disk."""
    return {**artifact.reference, "uri": "/on/another/machine"}


@pytest.mark.usefixtures("ray_local")
class TestSharing:
    """With Ray's actor and object store, on one node."""

    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("HEIST_ENCODERS_HOME", str(tmp_path / "home"))
        return tmp_path / "home"

    def test_what_is_shared_is_found(self, home: Path, tmp_path: Path) -> None:
        artifact = make_artifact(tmp_path / "only_here", "conv_maxpool", seed=5)
        with pytest.raises(ArtifactError, match=r"heist_encoders\.rllib\.share\(encoder\)"):
            find_artifact(moved(artifact))
        share(artifact)
        found = find_artifact(moved(artifact))
        assert found.sha256 == artifact.sha256
        assert found.path.is_relative_to((home / "cache").resolve())
        assert (found.path / "README.md").read_bytes() == (artifact.path / "README.md").read_bytes()
        # Now it lies here: the store is not asked again.
        assert EncodeObservations(moved(artifact), backend="torch")._encode.artifact.path == found.path

    def test_shared_again_without_its_folder(self, home: Path, tmp_path: Path) -> None:
        artifact = make_artifact(tmp_path / "gone", "conv_maxpool", seed=6)
        share(artifact)
        share(moved(artifact))

    @pytest.mark.parametrize("name", ["model.safetensors", "config.json", "README.md"])
    @pytest.mark.parametrize("content", [b"", None])
    def test_altered_bytes_are_refused(self, home: Path, artifact: Artifact, name: str, content: bytes | None) -> None:
        import ray

        share(artifact)
        store: Any = ray.get_actor(ACTOR)
        files = dict(ray.get(store.get.remote(artifact.sha256)))
        if content is None:
            del files[name]
        else:
            files[name] = content
        wrong = {**moved(artifact), "sha256": "e" * 64}
        ray.get(store.put.remote(wrong["sha256"], files))
        with pytest.raises(ArtifactError) as caught:
            find_artifact(wrong)
        assert "\n" not in str(caught.value)
        assert not [path for path in home.glob("cache/*") if path.is_dir()]

    def test_whole_artifact_of_other_weights_is_refused(self, home: Path, artifact: Artifact) -> None:
        import ray

        share(artifact)
        store: Any = ray.get_actor(ACTOR)
        wrong = {**moved(artifact), "sha256": "d" * 64}
        ray.get(store.put.remote(wrong["sha256"], ray.get(store.get.remote(artifact.sha256))))
        with pytest.raises(ArtifactError, match="neither at"):
            find_artifact(wrong)

    def test_packaged_ones_need_no_sharing(self, home: Path) -> None:
        packaged = find_artifact("conv_maxpool")
        share(packaged)
        assert fetch_shared(packaged.reference) is None


@pytest.mark.parametrize("mode", ["env", "preprocessor", "module"])
def test_references_of_a_configuration(tiny: Callable[..., Any], artifact: Artifact, mode: str) -> None:
    assert references_of(tiny(mode=mode)) == [artifact.reference]


@pytest.mark.usefixtures("ray_local")
def test_a_killed_env_runner_comes_back(tiny: Callable[..., Any]) -> None:
    """The loss of a whole node, on a cluster, is in experiments/rllib_cluster.py."""

    def processes() -> set[int]:
        return set(group.foreach_env_runner(lambda runner: os.getpid(), local_env_runner=False))

    algorithm = tiny(num_env_runners=2).build_algo()
    try:
        group = algorithm.env_runner_group
        before = processes()
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        deadline = time.monotonic() + 120
        while not (len(processes()) == 2 and min(before) not in processes()):
            # The batch is full whoever is missing.
            assert algorithm.train()["env_runners"]["num_env_steps_sampled"] >= 64
            assert time.monotonic() < deadline
        assert max(before) in processes()
    finally:
        algorithm.stop()
