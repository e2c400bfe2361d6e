"""The six ids right after installation."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from heist_encoders.errors import ArtifactError
from heist_encoders.zoo import find_artifact, load_encoder
from heist_encoders.zoo.lookup import packaged_modes
from heist_encoders.zoo.names import architectures


@pytest.mark.parametrize("architecture", architectures())
def test_each_id_works_in_the_modes_that_are_packaged_and_says_so_in_the_others(architecture: str) -> None:
    env_id = f"heist_encoders:{architectures()[architecture]}"
    assert "memory" in packaged_modes(architecture)
    for mode in ("easy", "hard", "memory"):
        if mode not in packaged_modes(architecture):
            with pytest.raises(ArtifactError, match=f"no packaged {architecture} of distribution_mode '{mode}'"):
                gymnasium.make(env_id, distribution_mode=mode)
            continue
        artifact = find_artifact(architecture, mode)
        assert (artifact.name, artifact.architecture, artifact.distribution_mode) == (architecture, architecture, mode)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            env = gymnasium.make(env_id, distribution_mode=mode)
            check_env(env.unwrapped)
        assert [str(w.message) for w in caught if "infinity" not in str(w.message)] == []
        observation, info = env.reset(seed=1)
        encoder = load_encoder(architecture, distribution_mode=mode, device="cpu")
        np.testing.assert_array_equal(observation, encoder.encode(info["frame"][None])[0])
        env.close()
