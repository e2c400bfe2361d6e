"""Encoders reach nodes by bytes, checked; lost env runners come back, on a real cluster in a process apart."""

from __future__ import annotations

import subprocess
import sys
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

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


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


@pytest.mark.timeout(600)
def test_nodes_without_the_drivers_disk_and_lost_env_runners() -> None:
    done = subprocess.run(
        [sys.executable, str(EXPERIMENTS / "rllib_cluster.py")], capture_output=True, text=True, timeout=580
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("PASS", "FAIL"))]
    assert done.returncode == 0, "\n".join([*lines, done.stderr[-2000:]])
    assert len(lines) == 6
