"""Names, paths, URIs, promotion."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from heist_encoders.autoencoders import autoencoder_class, autoencoder_names
from heist_encoders.errors import ArtifactError, ConfigError, HeistEncodersError, UnknownNameError
from heist_encoders.zoo import find_artifact, list_artifacts, lookup, promote
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.names import architecture_of, architectures, env_id_of
from tests.zoo.making import make_artifact


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packaged artifacts of the test's own making."""
    monkeypatch.setattr(lookup, "PACKAGED", tmp_path / "packaged")
    return tmp_path / "packaged"


def test_architectures_are_those_of_the_registry() -> None:
    assert architectures() == {name: autoencoder_class(name).env_id for name in autoencoder_names()}


@pytest.mark.parametrize("name", ["conv_unpool", "conv-unpool", "auto-unpool", "auto-unpool-v0", "Conv_Unpool"])
def test_a_family_has_several_spellings(name: str) -> None:
    assert architecture_of(name) == "conv_unpool"
    assert env_id_of(name) == "auto-unpool-v0"


def test_a_family_means_the_packaged_artifact(packaged: Path, home: Path, saved: Artifact) -> None:
    memory = make_artifact(packaged / "vae_alex" / "memory", seed=1)
    easy = make_artifact(packaged / "vae_alex" / "easy", mode="easy", seed=2)
    shutil.copytree(saved.path, home / "artifacts" / "vae_alex")
    assert find_artifact("vae_alex").sha256 == memory.sha256
    assert find_artifact("vae-alex-v0", "easy").sha256 == easy.sha256
    with pytest.raises(ArtifactError, match=r"no packaged vae_alex .*'hard'; packaged: easy, memory"):
        find_artifact("vae_alex", "hard")
    with pytest.raises(ArtifactError, match="packaged: none"):
        find_artifact("vae_paper")
    assert [artifact.sha256 for artifact in list_artifacts()][:2] == [easy.sha256, memory.sha256]


def test_an_unknown_name_offers_the_nearest(home: Path) -> None:
    with pytest.raises(UnknownNameError, match="vae_alex"):
        find_artifact("vae_alxe")
    with pytest.raises(UnknownNameError, match="memory"):
        find_artifact("vae_alex", "memroy")


def test_a_pickles_name_is_no_unknown_name(home: Path) -> None:
    with pytest.raises(ArtifactError, match="is a pickle"):
        find_artifact("model.pt")


def test_another_mode_is_refused(saved: Artifact) -> None:
    assert find_artifact(saved.path, "memory") == saved
    with pytest.raises(ArtifactError, match="trained on memory frames, asked for easy"):
        find_artifact(saved.path, "easy")


def test_promoted_artifacts_are_found_by_name(home: Path, saved: Artifact) -> None:
    promoted = promote(saved, "mine_1", provenance={"sweep": "monday"})
    assert promoted.path == (home / "artifacts" / "mine_1").resolve()
    assert promoted.sha256 == saved.sha256
    assert promoted.provenance == {"sweep": "monday"}
    assert "mine-1-v0" in promoted.card
    for name in ("mine_1", "mine-1", "mine-1-v0"):
        assert find_artifact(name) == promoted
    assert promoted in list_artifacts()


@pytest.mark.parametrize(
    "name",
    ["vae_alex", "vae-alex", "auto-unpool", "heist_pixels", "a/b", "..", ".hidden", "", "a b", "mine-v0", "x" * 101],
)
def test_names_that_cannot_be(home: Path, saved: Artifact, name: str) -> None:
    with pytest.raises(ConfigError):
        promote(saved, name)
    assert not home.exists()


def test_a_taken_name_is_kept(home: Path, saved: Artifact, tmp_path: Path) -> None:
    other = make_artifact(tmp_path / "other", "conv_maxpool", seed=9)
    promote(saved, "mine")
    with pytest.raises(ArtifactError, match="already exists"):
        promote(other, "mine")
    assert find_artifact("mine").sha256 == saved.sha256
    (home / "artifacts" / "mine" / "evaluation").mkdir()
    promote(other, "mine", overwrite=True)
    assert find_artifact("mine").sha256 == other.sha256
    assert not (home / "artifacts" / "mine" / "evaluation").exists()  # it was of other weights
    promote(other, "a_b")
    with pytest.raises(ArtifactError, match="already exists"):
        promote(other, "a-b", overwrite=True)


def test_a_damaged_artifact_is_not_promoted(home: Path, saved: Artifact, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(saved.path, tmp_path / "copy"))
    (copy / "model.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError):
        promote(copy, "mine")
    assert not home.exists()


def test_list_leaves_out_the_damaged_with_a_warning(home: Path, saved: Artifact) -> None:
    promote(saved, "whole")
    promote(saved, "broken")
    (home / "artifacts" / "broken" / "config.json").write_text("{")
    with pytest.warns(UserWarning, match="broken"):
        names = [artifact.name for artifact in list_artifacts()]
    assert "whole" in names
    assert "broken" not in names


def test_uris_are_copied_by_content(home: Path, saved: Artifact, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved.path, tmp_path / "far away"))
    uri = folder.as_uri()
    first = find_artifact(uri)
    assert first.sha256 == saved.sha256
    assert first.path.is_relative_to((home / "cache").resolve())
    (folder / "model.safetensors").unlink()
    assert find_artifact(uri) == first  # the content that config.json names is there already
    (first.path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"cannot read model\.safetensors"):
        find_artifact(uri)


@pytest.mark.parametrize("uri", ["file:///no/such/folder", "nonsense://somewhere", "://"])
def test_bad_uris(home: Path, uri: str) -> None:
    with pytest.raises(ArtifactError) as error:
        find_artifact(uri)
    assert "\n" not in str(error.value)
    assert not list(home.glob("cache/*"))


def test_references_find_the_same_weights(home: Path, saved: Artifact, tmp_path: Path) -> None:
    promoted = promote(saved, "mine")
    assert find_artifact(promoted.reference) == promoted
    moved = {**promoted.reference, "uri": "/not/on/this/machine"}
    assert find_artifact(moved) == promoted
    with pytest.raises(ArtifactError, match="neither at"):
        find_artifact({**moved, "sha256": "0" * 64})
    with pytest.raises(HeistEncodersError, match="sha256"):
        find_artifact({"name": "mine", "uri": "x"})


def test_a_promoted_name_becomes_an_id_at_the_next_import(home: Path, saved: Artifact) -> None:
    promote(saved, "my_winner")
    script = (
        "import gymnasium\n"
        "env = gymnasium.make('heist_encoders:my-winner-v0')\n"
        "observation, info = env.reset(seed=1)\n"
        "print(observation.shape, env.step(0)[0].dtype)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "(32,) float32"
