"""Encoders by ``hf://``: the hub's own client against a stand-in on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import heist_encoders
from heist_encoders.errors import ArtifactError, ConfigError, MissingDependencyError
from heist_encoders.evaluation.evaluate import output_folder
from heist_encoders.zoo import hub as zoo_hub
from heist_encoders.zoo import load_artifact, promote
from heist_encoders.zoo.artifact import Artifact
from tests.zoo.hub_server import Hub
from tests.zoo.making import make_artifact, played_frames

PROBES = {"probes": {"miou": 0.75, "plan_accuracy": 0.5, "map_presence_f1": 0.9, "iou": {"floor": 1.0}}}
OWN = ["README.md", "config.json", "metrics.json", "model.safetensors"]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifacts") / "mine", "conv_maxpool", mode="easy", metrics=PROBES)


def files_of(artifact: Artifact) -> dict[str, bytes]:
    return {name: (artifact.path / name).read_bytes() for name in OWN}


def test_there_and_back(hub: Hub, mine: Artifact) -> None:
    (mine.path / "notes.txt").write_text("my own")
    uri = heist_encoders.push_to_hub(mine.path, "me/mine", license="cc0-1.0")
    (files,) = hub.repositories["me/mine"]
    assert sorted(files) == OWN
    assert uri == f"hf://me/mine@{hub.commit_of('me/mine', 0)}"
    hub.requests.clear()
    encoder = heist_encoders.load_encoder("hf://me/mine", backend="torch")
    assert encoder.artifact.sha256 == mine.sha256
    assert encoder.artifact.metrics == mine.metrics
    frames = played_frames(3, mode="easy")
    np.testing.assert_array_equal(
        encoder.encode(frames), heist_encoders.load_encoder(mine, backend="torch").encode(frames)
    )
    # Nothing is listed, nothing else is downloaded, and all comes from one commit.
    downloads = [line.split("/", 4)[3:] for line in hub.requests if line.startswith("GET")]
    assert sorted(name for _, name in (line[1].split("/") for line in downloads)) == OWN
    assert {line[1].split("/")[0] for line in downloads} == {"main", hub.commit_of("me/mine", 0)}
    hub.requests.clear()
    assert load_artifact(uri) == encoder.artifact
    assert hub.requests == []


def test_every_place_that_takes_an_encoder(hub: Hub, mine: Artifact) -> None:
    hub.put("me/mine", files_of(mine))
    single: Any = gymnasium.make("heist_encoders:heist-pixels-v0", encoder="hf://me/mine")
    assert single.unwrapped.encoder.artifact.sha256 == mine.sha256
    assert single.unwrapped.options.distribution_mode == "easy"
    vector: Any = gymnasium.make_vec("heist_encoders:heist-pixels-v0", num_envs=1, encoder="hf://me/mine")
    assert vector.encoder.artifact.sha256 == mine.sha256
    heist_encoders.register_encoder_env("from-the-hub-v0", "hf://me/mine", num_levels=1)
    assert gymnasium.make("from-the-hub-v0").observation_space.shape == mine.encoding_shape
    del gymnasium.registry["from-the-hub-v0"]
    assert promote("hf://me/mine", "theirs").sha256 == mine.sha256


def test_a_revision(hub: Hub, mine: Artifact) -> None:
    old = heist_encoders.push_to_hub(mine, "me/mine")
    newer = make_artifact(mine.path.parent / "newer", "conv_maxpool", mode="easy", seed=1)
    new = heist_encoders.push_to_hub(newer, "hf://me/mine")
    found = {uri: load_artifact(uri).sha256 for uri in (old, new, "hf://me/mine", "hf://me/mine@main")}
    assert list(found.values()) == [mine.sha256, newer.sha256, newer.sha256, newer.sha256]
    with pytest.raises(ArtifactError, match=r"^hf://me/mine has no revision 'v9'; choose another$"):
        load_artifact("hf://me/mine@v9")


def test_the_card_tells_what_a_hub_shows(hub: Hub, mine: Artifact) -> None:
    from huggingface_hub import ModelCard

    heist_encoders.push_to_hub(mine, "me/mine", license="cc0-1.0")
    pushed = hub.repositories["me/mine"][0]["README.md"].decode()
    for text, license in ((pushed, "cc0-1.0"), (mine.card, "mit")):
        data = ModelCard(text).data
        assert (data.library_name, data.license, data.pipeline_tag) == (
            "heist-encoders", license, "image-feature-extraction",
        )  # fmt: skip
        assert {"heist-encoders", "heist", "heist-easy", "autoencoder", "conv_maxpool"} <= set(data.tags)
        assert data.eval_results is not None
        figures = {result.metric_type: result.metric_value for result in data.eval_results}
        assert figures == {"miou": 0.75, "plan_accuracy": 0.5, "f1": 0.9}
        assert {result.dataset_name for result in data.eval_results} == {"Procgen heist, easy mode"}
    assert 'load_encoder("hf://me/mine")' in pushed
    assert 'gymnasium.make("heist_encoders:auto-maxpool-v0", encoder="hf://me/mine")' in pushed
    assert 'load_encoder("mine")' in mine.card
    bare = make_artifact(mine.path.parent / "bare", "conv_maxpool")
    assert "model-index" not in bare.card


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("hf://me/none", ArtifactError, r"there is no hf://me/none at http.*, or it is private; .*'hf auth login'"),
        ("hf://me/gated", ArtifactError, r"the hub refuses access to hf://me/gated; log in"),
        ("hf://me/empty", ArtifactError, r"hf://me/empty has no config\.json; expected an artifact"),
        ("hf://me/empty/sub", ArtifactError, r"hf://me/empty has no sub/config\.json"),
        ("hf://me", ConfigError, r"'hf://me' is no address on the hub; expected hf://user/name"),
        ("hf://../../etc", ConfigError, "is no address"),
        ("hf://me/mine/../../etc", ConfigError, "is no address"),
        ("hf://me/mine@main/../x", ConfigError, "is no address"),
        ("hf://me/mine@a b", ConfigError, "is no address"),
        ("hf://me/mine\n", ConfigError, "is no address"),
        ("hf://me/" + "x" * 300, ConfigError, "Repo id"),
    ],
)
def test_errors_in_one_line(hub: Hub, uri: str, error: type[Exception], message: str) -> None:
    hub.put("me/gated", {"config.json": b"{}"})
    hub.gated.add("me/gated")
    hub.put("me/empty", {"README.md": b""})
    with pytest.raises(error, match=message) as raised:
        heist_encoders.load_encoder(uri)
    assert "\n" not in str(raised.value)


def test_no_hub(hub: Hub, mine: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("me/mine", files_of(mine))
    from huggingface_hub import constants

    load_artifact("hf://me/mine")
    nobody = "http://127.0.0.1:9"
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", nobody + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before the client tries again
    assert load_artifact("hf://me/mine").sha256 == mine.sha256  # the client has it in its cache
    with pytest.raises(ArtifactError, match=r"no answer from http://127.0.0.1:9 for hf://me/other: \w+.*HF_ENDPOINT"):
        load_artifact("hf://me/other")
    with pytest.raises(ArtifactError, match=r"no answer from http://127.0.0.1:9 for hf://me/mine: "):
        heist_encoders.push_to_hub(mine, "me/mine")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_artifact("hf://me/mine").sha256 == mine.sha256
    with pytest.raises(ArtifactError, match=r"hf://me/other is not in the cache .*HF_HUB_OFFLINE is set; "):
        load_artifact("hf://me/other")


def test_the_clients_variables_count(hub: Hub, mine: Artifact, tmp_path: Path) -> None:
    hub.put("me/mine", files_of(mine))
    script = "from heist_encoders.zoo import load_artifact; print(load_artifact('hf://me/mine').sha256)"
    variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    for number, more in enumerate(({}, {"HF_HUB_OFFLINE": "1"})):
        hub.requests.clear()
        env = {**os.environ, **variables, **more, "HEIST_ENCODERS_HOME": str(tmp_path / str(number))}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == mine.sha256
        assert bool(hub.requests) is (number == 0)
    assert (tmp_path / "hf" / "hub").is_dir()


def test_only_an_explicit_name_downloads(hub: Hub, mine: Artifact) -> None:
    hub.put("me/mine", files_of(mine))
    with pytest.raises(ArtifactError, match="in the zoo of this machine"):
        heist_encoders.load_encoder({"name": "hf://me/mine", "uri": "/nowhere", "sha256": mine.sha256})
    with pytest.raises(ArtifactError, match="no such artifact"):
        heist_encoders.load_encoder("me/mine")
    assert hub.requests == []


def test_without_the_client(monkeypatch: pytest.MonkeyPatch, mine: Artifact) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: load_artifact("hf://me/mine"), lambda: heist_encoders.push_to_hub(mine, "me/mine")):
        with pytest.raises(MissingDependencyError, match=r"pip install 'heist-encoders\[hub\]'") as raised:
            call()
        assert "\n" not in str(raised.value)


def test_refused_pushes(hub: Hub, mine: Artifact, tmp_path: Path) -> None:
    for name in ("mine", "a/b/c", "../x", "me/..", "", "me/a b"):
        with pytest.raises(ConfigError, match="is no name of a repository on the hub; expected 'user/name'"):
            heist_encoders.push_to_hub(mine, name)
    with pytest.raises(ArtifactError, match="the hub refuses access to hf://others/mine; log in"):
        heist_encoders.push_to_hub(mine, "others/mine")
    damaged = shutil.copytree(mine.path, tmp_path / "damaged")
    (damaged / "metrics.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"metrics.json is truncated or altered"):
        heist_encoders.push_to_hub(damaged, "me/damaged")
    assert "me/damaged" not in hub.repositories


def config_with(artifact: Artifact, **changes: Any) -> bytes:
    return json.dumps({**json.loads((artifact.path / "config.json").read_text()), **changes}).encode()


HOSTILE: dict[str, dict[str, Any]] = {
    "traversal": {"files": {"../../escaped": "0", "README.md": "0", "metrics.json": "0"}},
    "absolute": {"files": {"/tmp/escaped": "0", "README.md": "0", "metrics.json": "0"}},
    "huge list": {"files": {f"file-{number}": "0" for number in range(50_000)}},
    "huge version": {"format_version": "9" * 100_000},
    "list": {"files": ["README.md"]},
    "no hash": {"files": {"README.md": 1, "metrics.json": None, "model.safetensors": []}},
    "huge value": {"encoding_shape": "x" * 100_000},
    "name of a path": {"name": "../../../escaped"},
    "name of two lines": {"name": "a\n---\nlicense: evil"},
    "name that moves the cursor": {"name": "\x1b[2Jgone"},
    "no name": {"name": ""},
    "dots": {"name": ".."},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_configs(hub: Hub, mine: Artifact, what: str) -> None:
    hub.put("me/evil", {**files_of(mine), "config.json": config_with(mine, **HOSTILE[what])})
    with pytest.raises(ArtifactError, match=r"hf://me/evil/config\.json") as raised:
        load_artifact("hf://me/evil")
    assert len(str(raised.value)) < 800
    assert str(raised.value).isprintable()
    asked = {line.rsplit("/", 1)[1] for line in hub.requests}
    assert asked == {"config.json"}
    cache = Path(os.environ["HEIST_ENCODERS_HOME"]) / "cache"
    assert [path.name for path in cache.iterdir()] == [".lock"]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b"{" + b" " * 2**24 + b"}"])
def test_configs_that_are_none(hub: Hub, content: bytes) -> None:
    hub.put("me/evil", {"config.json": content})
    with pytest.raises(ArtifactError) as raised:
        load_artifact("hf://me/evil")
    assert str(raised.value).isprintable()


def test_other_content_than_listed(hub: Hub, mine: Artifact) -> None:
    hub.put("me/evil", {**files_of(mine), "model.safetensors": b"pickle"})
    with pytest.raises(ArtifactError, match=r"hf://me/evil: model.safetensors is truncated or altered"):
        load_artifact("hf://me/evil")


def test_weights_that_are_none(hub: Hub, mine: Artifact) -> None:
    """Hashes agree, but the file is no safetensors."""
    listed = json.loads((mine.path / "config.json").read_text())["files"]
    files = {**listed, "model.safetensors": hashlib.sha256(b"pickle").hexdigest()}
    hub.put(
        "me/evil", {**files_of(mine), "config.json": config_with(mine, files=files), "model.safetensors": b"pickle"}
    )
    artifact = load_artifact("hf://me/evil")
    for call in (artifact.load_model, lambda: artifact.mean):
        with pytest.raises(ArtifactError) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_links_are_followed_and_never_written_through(hub: Hub, mine: Artifact, tmp_path: Path) -> None:
    """A folder of links, as the client's own cache holds, is an artifact like any other; what is pushed are files."""
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in OWN:
        (linked / name).symlink_to(mine.path / name)
    secret = tmp_path / "secret"
    secret.write_text("a key")
    (linked / "extra").symlink_to(secret)
    heist_encoders.push_to_hub(linked, "me/linked")
    assert sorted(hub.repositories["me/linked"][0]) == OWN
    assert load_artifact("hf://me/linked").sha256 == mine.sha256
    (linked / "README.md").unlink()
    (linked / "README.md").symlink_to(secret)
    with pytest.raises(ArtifactError, match=r"README\.md is truncated or altered"):
        heist_encoders.push_to_hub(linked, "me/linked")


def test_copies_are_never_changed(hub: Hub, mine: Artifact) -> None:
    """An evaluation goes elsewhere: the copy is what its place in the cache says."""
    hub.put("me/mine", files_of(mine))
    artifact = load_artifact("hf://me/mine")
    home = Path(os.environ["HEIST_ENCODERS_HOME"])
    assert output_folder(artifact, None) == home / "evaluations" / f"mine-easy-{mine.sha256[:12]}"


def test_addresses() -> None:
    place = zoo_hub.Place.parse
    assert place("hf://me/mine") == ("me/mine", None, "")
    assert place("hf://me/my.model-2@v1.0/encoder/") == ("me/my.model-2", "v1.0", "encoder")
    assert place("hf://me/mine@refs/pr/3") == ("me/mine", "refs/pr/3", "")
    assert place("hf://me/mine@feature%2Fx/a/b") == ("me/mine", "feature/x", "a/b")
