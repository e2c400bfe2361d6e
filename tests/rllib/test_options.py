"""PPO's options: one schema for Python, YAML and the command line."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.rllib.algorithms.ppo import PPOConfig

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.envs import EnvConfig
from heist_encoders.envs.options import level_set
from heist_encoders.errors import ConfigError, HeistEncodersWarning
from heist_encoders.rllib import PPOOptions, ppo_config
from heist_encoders.rllib.evaluation import _warn_of_seen
from heist_encoders.rllib.heads import HEAD_KEY
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.options import EncoderOptions


def described(config: object) -> dict[str, object]:
    """What an AlgorithmConfig sets up, as values that can be compared."""
    return {
        name: getattr(config, name)
        for name in ("env", "env_config", "seed", "num_envs_per_env_runner", "num_env_runners", "model_config")
    }


def test_keywords_options_mapping_and_yaml_are_the_same(artifact: Artifact, tmp_path: Path) -> None:
    given = {"num_envs": 8, "num_env_runners": 2, "lstm": True, "backend": "torch", "num_levels": 5, "seed": 3}
    path = tmp_path / "ppo.yaml"
    path.write_text(PPOOptions(**given).to_yaml())
    expected = described(ppo_config(artifact, **given))
    assert expected["num_envs_per_env_runner"] == 4
    for options in (PPOOptions(**given), given, path, str(path)):
        assert described(ppo_config(artifact, options)) == expected
    assert described(ppo_config(artifact, path, seed=4)) == {**expected, "seed": 4}


def test_the_file_may_name_the_encoder(artifact: Artifact, tmp_path: Path) -> None:
    path = tmp_path / "ppo.yaml"
    path.write_text(f"encoder: {artifact.path}\n")
    for config in (ppo_config(options=path), ppo_config(artifact), ppo_config(encoder=str(artifact.path))):
        assert config.env_config["encoder"] == artifact.reference


def test_all_of_a_file_is_written_out_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "ppo.yaml"
    path.write_text(PPOOptions().to_yaml())
    assert PPOOptions.from_yaml(path) == PPOOptions()
    assert set(PPOOptions().to_dict()) == set(PPOOptions.model_fields)


def test_every_option_is_described() -> None:
    for schema in (EncoderOptions, EnvConfig, PPOOptions):
        assert [name for name, field in schema.model_fields.items() if not field.description] == []


def test_how_ppo_learns_is_rllibs() -> None:
    ours, theirs = ppo_config("grid", distribution_mode="easy"), PPOConfig()
    assert (ours.lr, ours.gamma, ours.lambda_, ours.grad_clip) == (5e-4, 0.999, 0.95, 0.5)
    assert (ours.clip_param, ours.use_kl_loss) == (theirs.clip_param, theirs.use_kl_loss)
    given = {"gamma": 0.3, "lambda_": 0.9, "num_epochs": 2, "vf_loss_coeff": 0.1, "use_kl_loss": False}
    config = ppo_config("grid", distribution_mode="easy", num_envs=2, lr=1e-3, lr_final=1e-4, lr_steps=50, **given)
    assert {name: getattr(config, name) for name in given} == given
    assert config.lr == [[0, 1e-3], [50, 1e-4]]
    assert config.minibatch_size == config.train_batch_size_per_learner == 256  # 2,048 are more than there are


def test_sizes_of_the_planner() -> None:
    def sizes(**options: Any) -> Any:
        planner = ppo_config("grid", distribution_mode="easy", **options).model_config[HEAD_KEY]["planner"]
        return planner["channels"], planner["iterations"]

    assert sizes() == (24, 16)
    assert sizes(planner_channels=8) == (8, 16)
    assert sizes(planner_channels=8, planner_iterations=3) == (8, 3)
    with pytest.raises(ConfigError, match=r"planner_channels with head = 'auto' on encodings of shape \(256,\)"):
        ppo_config("vae-alex", distribution_mode="easy", planner_channels=8)
    with pytest.raises(ConfigError, match="planner_iterations with warm_start = 'best', which has a head"):
        ppo_config("grid", distribution_mode="easy", planner_iterations=8, warm_start="best")


def test_old_names_go_on_with_a_warning(artifact: Artifact, tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="'mode' is now called 'placement'") as caught:
        config = ppo_config(artifact, mode="preprocessor")
    assert config.env == "heist-pixels"
    assert len(caught) == 1
    with pytest.warns(DeprecationWarning, match="'torch_threads' is now called 'threads'"):
        assert PPOOptions.from_dict({"torch_threads": 2}).threads == 2
    path = tmp_path / "ppo.yaml"
    path.write_text("mode: module\n")
    with pytest.warns(DeprecationWarning, match="placement"):
        assert PPOOptions.resolve(path, seed=1).placement == "module"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ppo_config(artifact, placement="preprocessor", threads=2)


def test_numpy_scalars(artifact: Artifact) -> None:
    config = ppo_config(artifact, num_envs=np.int64(8), seed=np.uint32(1), lstm=np.bool_(True))
    assert type(config.num_envs_per_env_runner) is int
    assert config.model_config["use_lstm"] is True


def test_what_differs_from_an_environment_on_purpose() -> None:
    shared = [name for name in PPOOptions.model_fields if name in EnvConfig.model_fields]
    differing = {name for name in shared if getattr(PPOOptions(), name) != getattr(EnvConfig(), name)}
    assert differing == {"actions", "normalize", "threads", "game", "distribution_mode"}


def test_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "ppo.yaml"
    path.write_text("num_env: 3\n")
    with pytest.raises(ConfigError, match=r"ppo\.yaml: unknown key 'num_env'; did you mean 'num_envs'"):
        ppo_config("conv_maxpool", path)


@pytest.mark.parametrize(
    ("start", "count"), [(0, 0), (0, 1_500_000_000), (1_499_999_999, 0), (2_000_000_000, 0), (2_000_000_000, 5)]
)
def test_all_levels_but_those_of_evaluation_may_be_trained_on(start: int, count: int) -> None:
    options = PPOOptions(start_level=start, num_levels=count)
    assert not set(EVALUATION_LEVELS[:: 10**8]) & set(level_set(options.start_level, options.num_levels)[:10])


def test_levels_that_were_trained_on_are_told() -> None:
    first = EVALUATION_LEVELS.start
    trained = {"start_level": first + 2, "num_levels": 4}  # as a config of one's own may say
    with pytest.warns(HeistEncodersWarning, match="^3 of 5 levels are among those that the policy was trained on"):
        _warn_of_seen(EVALUATION_LEVELS[:5], trained)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_of_seen(EVALUATION_LEVELS[:5], {})
        _warn_of_seen(EVALUATION_LEVELS[:2], trained)
