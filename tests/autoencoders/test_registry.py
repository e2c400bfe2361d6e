from __future__ import annotations

from typing import Any

import pytest

from heist_encoders.autoencoders import autoencoder_class, autoencoder_names, create_autoencoder, register_autoencoder
from heist_encoders.autoencoders.base import BaseAutoencoder
from heist_encoders.errors import ConfigError, UnknownNameError


def test_the_six_come_in_the_order_of_the_table() -> None:
    expected = ("conv_maxpool", "conv_maxpool_big", "conv_no_bottleneck", "conv_unpool", "vae_paper", "vae_alex")
    assert tuple(n for n in autoencoder_names() if n in expected) == expected


def test_the_packages_own_come_after_them() -> None:
    assert autoencoder_names()[6:8] == ("compact", "grid")


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown autoencoder 'vae-papr'; did you mean 'vae_paper'"):
        create_autoencoder("vae-papr")


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("vae_paper", {"latent": 3}, "unknown key 'latent'; did you mean 'latent_size'"),
        ("vae_paper", {"latent_size": "many"}, "latent_size = 'many'.*integer"),
        ("vae_paper", {"latent_size": 0}, "latent_size = 0.*greater than or equal to 1"),
        ("vae_alex", {"latent_size": 5000}, "latent_size = 5000.*less than or equal to 4096"),
        ("vae_paper", {"channels": [32, 64, 128]}, "channels"),
        ("conv_unpool", {"channels": [16, -1, 32]}, r"channels\.1 = -1"),
        ("conv_maxpool", {"bottleneck_activation": "tanh"}, "bottleneck_activation = 'tanh'.*'relu' or 'none'"),
    ],
)
def test_bad_params_are_one_line(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        create_autoencoder(name, params)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_name_cannot_be_taken_twice() -> None:
    class Other(BaseAutoencoder):
        pass

    with pytest.raises(ConfigError, match="is taken by"):
        register_autoencoder(name="vae_paper", env_id="other-v0")(Other)
    with pytest.raises(ConfigError, match="is taken by"):
        register_autoencoder(name="other", env_id="vae-paper-v0")(Other)
    assert autoencoder_class("vae_paper").__name__ == "VaePaper"
