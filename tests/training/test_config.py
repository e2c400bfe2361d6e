from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heist_encoders.autoencoders import autoencoder_class, autoencoder_names
from heist_encoders.errors import ConfigError, HeistEncodersError, UnknownNameError
from heist_encoders.training.config import TrainConfig, default_config


@pytest.mark.parametrize("name", autoencoder_names())
def test_a_family_brings_its_defaults(name: str) -> None:
    config = default_config(name)
    for key, value in autoencoder_class(name).default_training.get("loss", {}).items():
        assert getattr(config.loss, key) == value
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert TrainConfig(autoencoder=name) == config
    assert TrainConfig.from_dict({"autoencoder": name.replace("_", "-")}) == config


def test_what_is_given_comes_before_the_defaults() -> None:
    config = default_config("vae_alex", loss={"perceptual": 0.5}, params={"latent_size": 16}, seed=3)
    assert config.loss.perceptual == 0.5
    assert config.loss.beta == default_config("vae_alex").loss.beta
    assert config.params == {"channels": [32, 64, 128, 256], "latent_size": 16}
    assert config.seed == 3


def test_yaml_reads_plain_numbers(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("autoencoder: vae-paper\nloss: {beta: 1e-6}\nparams: {channels: [8, 8, 8, 8]}\n")
    config = TrainConfig.from_yaml(tmp_path / "c.yaml")
    assert config.autoencoder == "vae_paper"
    assert config.loss.beta == 1e-6
    assert config.params["channels"] == [8, 8, 8, 8]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"autoencoder": "vae_paper", "learning_rat": 1e-3},
            "unknown key 'learning_rat'; did you mean 'learning_rate'",
        ),
        ({"autoencoder": "vae_paper", "loss": {"betta": 1}}, r"unknown key 'loss.betta'; did you mean 'beta'"),
        ({"autoencoder": "vae_paper", "params": {"latent": 1}}, "params of vae_paper: unknown key 'latent'"),
        ({"autoencoder": "vae_paper", "params": {"latent_size": -1}}, "params of vae_paper: latent_size = -1"),
        ({"autoencoder": "vae_paper", "params": [1]}, r"params = \[1\]"),
        ({"autoencoder": "vae_paper", "loss": 3}, "loss = 3"),
        ({"autoencoder": "vae_paper", "batch_size": "128"}, "batch_size = '128'"),
        ({"autoencoder": "vae_paper", "batch_size": 0}, "batch_size = 0"),
        ({"autoencoder": "vae_paper", "learning_rate": float("nan")}, "learning_rate = nan"),
        ({"autoencoder": "vae_paper", "loss": {"class_share": 1.5}}, "loss.class_share = 1.5"),
        ({"autoencoder": "vae_paper", "precision": "float16"}, "precision = 'float16'"),
        ({}, "missing key 'autoencoder'"),
        ({"autoencoder": 7}, "autoencoder = 7"),
    ],
)
def test_bad_settings_are_one_line(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        TrainConfig.from_dict(data, where="my.yaml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("my.yaml: ")


def test_an_unknown_autoencoder_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown autoencoder 'vae_papre'; did you mean 'vae_paper'"):
        TrainConfig.from_dict({"autoencoder": "vae_papre"})
    assert issubclass(UnknownNameError, HeistEncodersError)


def test_planned_samples() -> None:
    assert default_config("vae_paper", max_epochs=3).planned_samples(100) == 300
    assert default_config("vae_paper", max_epochs=3, max_samples=250).planned_samples(100) == 250
