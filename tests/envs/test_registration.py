"""Gymnasium ids."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import heist_encoders
from heist_encoders.autoencoders import autoencoder_class, autoencoder_names
from heist_encoders.envs import register_all, registered_ids
from heist_encoders.errors import ArtifactError, ConfigError, HeistEncodersError, UnknownNameError
from heist_encoders.zoo import lookup, promote
from heist_encoders.zoo.artifact import Artifact


def test_every_family_has_its_id() -> None:
    assert {autoencoder_class(name).env_id for name in autoencoder_names()} < set(registered_ids())
    assert "heist-pixels-v0" in registered_ids()


def test_import_registers_and_stays_light() -> None:
    script = (
        "import sys, heist_encoders, gymnasium\n"
        "assert 'vae-alex-v0' in gymnasium.registry\n"
        "print([m for m in ('torch', 'ray', 'procgen', 'pandas', 'pyarrow', 'pydantic') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_id_says_when_its_artifact_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "PACKAGED", tmp_path)
    with pytest.raises(ArtifactError, match="no packaged vae_alex of distribution_mode 'hard'; packaged: none"):
        gymnasium.make("heist_encoders:vae-alex-v0", distribution_mode="hard")


@pytest.mark.parametrize("game", ["heist", "maze", "coinrun"])
def test_any_artifact_any_game(game: str, artifact_of: Callable[[str], Artifact]) -> None:
    artifact = artifact_of("easy")
    id = f"any-{game}-v0"
    heist_encoders.register_encoder_env(id, artifact, game=game, distribution_mode="easy", num_levels=5)
    heist_encoders.register_encoder_env(id, artifact, game=game, distribution_mode="easy", num_levels=5)
    single = gymnasium.make(id)
    vector = gymnasium.make_vec(id, num_envs=2)
    observation, info = single.reset(seed=3)
    assert info["level_seed"] < 5
    assert observation.shape == artifact.encoding_shape
    np.testing.assert_allclose(vector.reset(seed=3)[0][0], observation, rtol=1e-4, atol=1e-5)


def test_an_encoder_of_another_game(artifact_of: Callable[[str], Artifact]) -> None:
    artifact = artifact_of("easy")
    for make in (heist_encoders.envs.make_env, heist_encoders.envs.make_vector_env):
        more: dict[str, Any] = {"num_envs": 1} if make is heist_encoders.envs.make_vector_env else {}
        for encoder in (artifact, heist_encoders.load_encoder(artifact, device="cpu"), "compact"):
            with pytest.raises(ArtifactError, match=r"was trained on frames of heist, asked for coinrun.*other_game"):
                make(encoder, game="coinrun", **more)
    env = heist_encoders.envs.make_env(artifact, game="coinrun", other_game=True)
    assert env.options.game == "coinrun"
    with pytest.raises(ArtifactError, match="other_game"):
        gymnasium.make("auto-compact-v0", game="coinrun")
    assert heist_encoders.envs.make_env(artifact, game="heist").options.game == "heist"


def test_a_relative_artifact_outlives_chdir(
    artifact_of: Callable[[str], Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = artifact_of("easy").path
    monkeypatch.chdir(folder.parent)
    for place in (folder.name, f"./{folder.name}"):
        id = f"relative-{len(place)}-v0"
        heist_encoders.register_encoder_env(id, place)
        monkeypatch.chdir(tmp_path)
        assert gymnasium.make(id).observation_space.shape == artifact_of("easy").encoding_shape
        monkeypatch.chdir(folder.parent)


def test_promoted_artifacts_get_ids(
    artifact_of: Callable[[str], Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIST_ENCODERS_HOME", str(tmp_path))
    promote(artifact_of("easy"), "easy_going")
    (tmp_path / "artifacts" / "made by hand").mkdir()
    register_all()
    env: Any = gymnasium.make("heist_encoders:easy-going-v0").unwrapped
    assert env.options.distribution_mode == "easy"
    assert "made by hand-v0" not in gymnasium.registry


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"id": "x-v0", "encoder": "vae_alexx"}, UnknownNameError, "vae_alex"),
        ({"id": "x-v0", "game": "hiest"}, UnknownNameError, "heist"),
        ({"id": "x-v0", "num_level": 1}, UnknownNameError, "num_levels"),
        ({"id": "x-v0", "distribution_mode": "hard"}, ArtifactError, "asked for hard"),
        ({"id": "vae-alex-v0"}, ConfigError, "taken"),
        ({"id": "CartPole-v1"}, ConfigError, "taken"),
        ({"id": "not an id!"}, ConfigError, "not an id!"),
    ],
)
def test_bad_registrations(
    arguments: dict[str, Any], error: type[HeistEncodersError], message: str, artifact_of: Callable[[str], Artifact]
) -> None:
    with pytest.raises(error, match=message) as raised:
        heist_encoders.register_encoder_env(**{"encoder": artifact_of("memory"), **arguments})
    assert "\n" not in str(raised.value)
    assert "x-v0" not in gymnasium.registry


def test_an_unknown_id_offers_the_nearest() -> None:
    with pytest.raises(gymnasium.error.NameNotFound, match=r"Did you mean: `vae-alex`"):
        gymnasium.make("heist_encoders:vae-alx-v0")
