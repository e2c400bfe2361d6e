"""PPO on encoded Heist: an ordinary PPOConfig, filled in and ready to chain on."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from heist_encoders.elements import DISTRIBUTION_MODES, GAMES, MAX_LEVEL_SEED
from heist_encoders.envs.history import check_frame_stack
from heist_encoders.envs.options import ACTIONS
from heist_encoders.envs.starts import StartOptions, start_options
from heist_encoders.errors import ConfigError, unknown_name
from heist_encoders.ray_session import start_ray
from heist_encoders.rllib.registration import PIXELS, PREFIX, env_name, register
from heist_encoders.rllib.resources import check_resources, limit_threads
from heist_encoders.rllib.sharing import references_of, share
from heist_encoders.zoo.backends import BACKENDS, PRECISIONS
from heist_encoders.zoo.lookup import find_artifact

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact

Mode = Literal["env", "preprocessor", "module"]

STEPS_PER_ENV = 128
"""Steps of each environment in a training batch."""
MINIBATCH = 2048
EPOCHS = 3


class EncodedPPOConfig(PPOConfig):
    """RLlib's PPOConfig whose ``build_algo`` first starts Ray if need be and checks that the CPUs asked for exist."""

    def __init__(self, algo_class: Any = None) -> None:
        super().__init__(algo_class=algo_class or PPO)  # type: ignore[no-untyped-call]

    def build_algo(self, env: Any = None, use_copy: bool = True) -> Any:
        """Build the PPO algorithm.

        Raises:
            ResourceError: if Ray has fewer CPUs or GPUs than the configuration asks for.
        """
        start_ray()
        # Names that were registered before an earlier Ray was shut down went with it.
        name: Any = self.env
        if isinstance(name, str) and name.startswith(PREFIX):
            register(name.removeprefix(PREFIX))
        check_resources(self)
        for reference in references_of(self):
            share(reference)
        return super().build_algo(env, use_copy)


def ppo_config(
    encoder: str | Path | Artifact | Mapping[str, str],
    *,
    mode: Mode = "env",
    distribution_mode: str = "memory",
    actions: Literal["all", "moves"] = "moves",
    num_levels: int = 0,
    start_level: int = 0,
    game: str = "heist",
    use_backgrounds: bool | None = None,
    normalize: bool = True,
    num_envs: int = 64,
    num_env_runners: int = 0,
    lstm: bool = False,
    frame_stack: int = 1,
    previous_action_reward: bool = False,
    fine_tune: float | None = None,
    evaluation_levels: int = 0,
    evaluation_interval: int = 10,
    device: str = "cpu",
    backend: str = "auto",
    precision: str = "float32",
    torch_threads: int | None = 1,
    array_env_runner: bool = True,
    seed: int | None = 0,
    starts: Mapping[str, Any] | None = None,
) -> PPOConfig:
    """A PPOConfig on encoded Heist; Ray is started by its ``build_algo``, not here.

        algo = ppo_config("vae-alex").build_algo()
        algo.train()

    Args:
        encoder: name (``vae-alex``), path or URI of an artifact, or an artifact.
        mode: where frames become encodings: ``env`` (fastest), ``preprocessor`` (a connector in the env runner) or
            ``module`` (in the policy, needed for fine-tuning).
        distribution_mode: ``easy``, ``hard`` or ``memory``; the encoder's artifact of that mode is taken.
        actions: ``moves`` (the 9 that matter in Heist) or ``all`` (procgen's 15).
        num_levels: size of the set of training levels, 0 for all but the evaluation levels.
        start_level: the first of them.
        game: one of Procgen's games; an encoder of that game is needed.
        use_backgrounds: textured backgrounds; None: as the encoder was trained.
        normalize: encodings by the mean and deviation stored in the artifact.
        num_envs: environments in all, divided over the env runners; a training batch is 128 steps of each.
        num_env_runners: processes that play, 0 for the driver itself.
        lstm: a recurrent policy; memory mode is only partially observed.
        frame_stack: encodings in an observation, the newest and those of the steps before it (not in ``module``).
        previous_action_reward: put the previous action and reward into the observation (not in ``module``).
        fine_tune: train the encoder too, at this multiple of the learning rate (``mode="module"`` only).
        evaluation_levels: number of fixed levels played every ``evaluation_interval`` iterations, one whole episode
            each (see ``evaluate_policy``); 0 for none.
        evaluation_interval: training iterations between evaluations.
        device: of the encoder in the modes ``env`` and ``preprocessor``.
        backend: of the encoder in these modes: ``torch``, ``openvino`` or ``auto`` (the faster one on the machine; they
            differ in the last digits, so name one where runs must agree to the bit).
        precision: of the encoder's arithmetic in these modes: ``float32``, or ``bfloat16`` for speed.
        torch_threads: cap on torch's and OpenVINO's threads in the driver and the env runners, None to leave them
            alone.
        array_env_runner: play with ``ArrayEnvRunner`` in the mode ``env``: the same episodes, faster; False: with
            RLlib's own env runner.
        seed: of the environments, the sampling and the initial weights.
        starts: where episodes of training begin and when they are cut, the options of ``envs.starts.StartOptions``:
            ``{"start_share": 1.0, "start_distribution": "curriculum", "time_limit": 60}``. Evaluation
            ignores them. Every env runner has its own curriculum.

    Raises:
        UnknownNameError, ArtifactError: for an encoder, mode or another name that does not exist.
        ConfigError: for options that do not go together.
    """
    for option, given, known in (
        ("mode", mode, get_args(Mode)),
        ("distribution_mode", distribution_mode, DISTRIBUTION_MODES),
        ("game", game, GAMES),
        ("actions", actions, ACTIONS),
        ("backend", backend, BACKENDS),
        ("precision", precision, PRECISIONS),
    ):
        if given not in known:
            raise unknown_name(option, given, known)
    _check(mode, num_levels, start_level, num_envs, num_env_runners, fine_tune)
    check_frame_stack(frame_stack)
    history: dict[str, Any] = {}
    if frame_stack > 1 or previous_action_reward:
        history = {"frame_stack": frame_stack, "previous_action_reward": previous_action_reward}
    if mode == "module" and history:
        raise ConfigError(
            "frame_stack and previous_action_reward need encodings as observations: expected mode 'env' or "
            "'preprocessor', not 'module', whose memory is lstm=True"
        )
    compute: dict[str, Any] = {
        "normalize": normalize,
        "device": device,
        "backend": backend,
        "precision": precision,
        "threads": torch_threads,
    }
    # An encoder of Heist may look at another game; then its mode says nothing.
    expected = distribution_mode if game == "heist" else None
    artifact = find_artifact(encoder, expected)
    env_config: dict[str, Any] = {
        "distribution_mode": distribution_mode,
        "actions": actions,
        "num_levels": num_levels,
        "start_level": start_level,
        "game": game,
        "use_backgrounds": artifact.use_backgrounds if use_backgrounds is None else use_backgrounds,
    }
    if starts is not None:
        env_config |= start_options(starts, game).to_dict()
    if mode == "env":
        # The reference, not the name: it also finds artifacts that are in no zoo, and refuses others of that name.
        env_config |= {"encoder": artifact.reference, **compute, **history}
    name = env_name(artifact.name) if mode == "env" else PIXELS
    register(artifact.name)
    batch = num_envs * STEPS_PER_ENV
    model = dataclasses.asdict(
        DefaultModelConfig(
            fcnet_hiddens=[256, 256],
            fcnet_activation="relu",
            vf_share_layers=True,
            use_lstm=lstm,
            lstm_cell_size=256,
            max_seq_len=32,
        )
    )
    config = (
        EncodedPPOConfig()
        .environment(name, env_config=env_config, normalize_actions=False, clip_actions=False)
        .env_runners(
            num_env_runners=num_env_runners,
            num_envs_per_env_runner=num_envs // max(1, num_env_runners),
            gym_env_vectorize_mode="vector_entry_point",
        )
        .training(
            train_batch_size_per_learner=batch,
            minibatch_size=min(MINIBATCH, batch),
            num_epochs=EPOCHS,
            lr=5e-4,
            gamma=0.999,
            lambda_=0.95,
            entropy_coeff=0.01,
            vf_loss_coeff=0.5,
            # Returns reach 10: RLlib's default would cut the gradient of every error above its square root.
            vf_clip_param=math.inf,
            grad_clip=0.5,
            grad_clip_by="global_norm",
        )
        .debugging(seed=seed)
    )
    if array_env_runner and mode == "env":
        from heist_encoders.rllib.env_runner import ArrayEnvRunner

        config.env_runners(env_runner_cls=ArrayEnvRunner)
    if torch_threads is not None:
        config.callbacks(
            on_algorithm_init=functools.partial(_limit_threads, threads=torch_threads),
            on_environment_created=functools.partial(_limit_threads, threads=torch_threads),
        )
    if mode == "preprocessor":
        config.env_runners(
            env_to_module_connector=functools.partial(
                _connector,
                encoder=artifact.reference,
                distribution_mode=distribution_mode,
                **compute,
                **history,
            )
        )
    if mode == "module":
        from heist_encoders.rllib.module import (
            MODEL_CONFIG_KEY,
            EncoderPPOCatalog,
            FineTunePPOLearner,
            module_options,
        )

        model[MODEL_CONFIG_KEY] = module_options(artifact, normalize=normalize, fine_tune=bool(fine_tune))
        config.rl_module(rl_module_spec=RLModuleSpec(catalog_class=EncoderPPOCatalog))
        if fine_tune:
            config.learners(
                learner_class=FineTunePPOLearner, learner_config_dict={"encoder_lr_factor": float(fine_tune)}
            )
    config.rl_module(model_config=model)
    if starts is not None:  # RLlib's own evaluation plays from true starts too
        from heist_encoders.rllib.env_runner import log_curriculum

        config.callbacks(on_sample_end=log_curriculum)
        config.evaluation(evaluation_config={"env_config": StartOptions().to_dict()})
    if evaluation_levels:
        from heist_encoders.rllib.evaluation import evaluation_function

        config.evaluation(
            evaluation_interval=evaluation_interval,
            evaluation_config={**(config.evaluation_config or {}), "num_envs_per_env_runner": 1},
            custom_evaluation_function=functools.partial(evaluation_function, levels=evaluation_levels),
        )
    return config


def _connector(env: Any = None, spaces: Any = None, rl_device: Any = None, **options: Any) -> Any:
    from heist_encoders.rllib.preprocessor import EncodeObservations

    return EncodeObservations(**options)


def _limit_threads(*, threads: int, **_: Any) -> None:
    limit_threads(threads)


def _check(
    mode: str, num_levels: int, start_level: int, num_envs: int, num_env_runners: int, fine_tune: float | None
) -> None:
    if num_levels < 0 or not 0 <= start_level <= MAX_LEVEL_SEED:
        raise ConfigError(
            f"num_levels = {num_levels}, start_level = {start_level}: expected num_levels >= 0 (0 = all levels) "
            f"and start_level in 0..{MAX_LEVEL_SEED}"
        )
    if num_env_runners < 0:
        raise ConfigError(f"num_env_runners = {num_env_runners}: expected 0 (play in the driver) or more")
    if num_envs < 1 or num_envs % max(1, num_env_runners):
        raise ConfigError(
            f"num_envs = {num_envs}: expected a positive multiple of num_env_runners = {num_env_runners}, "
            "for they are divided over the env runners"
        )
    if fine_tune is not None and (mode != "module" or fine_tune <= 0):
        raise ConfigError(
            f"fine_tune = {fine_tune} with mode = {mode!r}: expected a positive factor, and mode='module'"
        )
