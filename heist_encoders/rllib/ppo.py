"""PPO on encoded Heist: an ordinary PPOConfig, filled in and ready to chain on."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.from_config import NotProvided
from typing_extensions import Self

from heist_encoders.envs.options import find_for_game
from heist_encoders.envs.starts import StartOptions
from heist_encoders.errors import ConfigError
from heist_encoders.policies.heads import head_kind
from heist_encoders.ray_session import start_ray
from heist_encoders.rllib.heads import head_module_spec
from heist_encoders.rllib.options import PPOOptions
from heist_encoders.rllib.registration import PIXELS, PREFIX, env_name, register
from heist_encoders.rllib.resources import check_resources, limit_threads
from heist_encoders.rllib.sharing import references_of, share
from heist_encoders.rllib.taught import keep_record, ppo_record

if TYPE_CHECKING:
    from heist_encoders.policies.policy import Policy
    from heist_encoders.zoo.artifact import Artifact

STEPS_PER_ENV = 128
"""Steps of each environment in a training batch."""


class EncodedPPOConfig(PPOConfig):
    """RLlib's PPOConfig for encoded environments.

    Its environment's name is known wherever it is unpickled, so ``Algorithm.from_checkpoint`` works in a fresh process.
    ``build_algo`` first starts Ray if need be, and checks that the CPUs asked for exist. What is given to
    ``rl_module(model_config=...)`` is merged over what ``ppo_config`` prepared: an encoder in the module stays there.
    """

    def __init__(self, algo_class: Any = None) -> None:
        super().__init__(algo_class=algo_class or PPO)  # type: ignore[no-untyped-call]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickled in a fresh process, as a checkpoint is restored, it makes its environment's name known again."""
        self.__dict__.update(state)
        self._register_env()

    def _register_env(self) -> None:
        name: Any = self.env
        if isinstance(name, str) and name.startswith(PREFIX):
            register(name.removeprefix(PREFIX))

    def rl_module(
        self,
        *,
        model_config: dict[str, Any] | DefaultModelConfig | Any = NotProvided,
        rl_module_spec: Any = NotProvided,
        **others: Any,
    ) -> Self:
        """As in RLlib, but what is already set stays where the new configuration says nothing about it.

        Args:
            model_config: its values are put over those of the model config so far; a ``DefaultModelConfig`` has
                values for all of RLlib's keys.
            rl_module_spec: if it names no module class and no catalog, the catalog so far is kept.
            others: as in RLlib.
        """
        merged: Any = model_config
        if model_config is not NotProvided:
            merged = {**_as_dict(self._model_config), **_as_dict(model_config)}
        before: Any = self._rl_module_spec
        if (
            type(rl_module_spec) is RLModuleSpec
            and type(before) is RLModuleSpec
            and rl_module_spec.module_class is None
            and rl_module_spec.catalog_class is None
        ):
            rl_module_spec = dataclasses.replace(
                rl_module_spec, module_class=before.module_class, catalog_class=before.catalog_class
            )
        super().rl_module(model_config=merged, rl_module_spec=rl_module_spec, **others)
        return self

    def build_env_to_module_connector(self, env: Any = None, spaces: Any = None, device: Any = None) -> Any:
        """RLlib's pipeline, with the connector that keeps the curriculum of start states where there is one."""
        pipeline: Any = super().build_env_to_module_connector(env, spaces, device)
        if self.env_config.get("start_distribution") == "curriculum":
            from heist_encoders.rllib.curriculum import KeepCurriculum

            keep = KeepCurriculum()
            keep.watch(env)
            pipeline.prepend(keep)
        return pipeline

    def build_algo(self, env: Any = None, use_copy: bool = True) -> Any:
        """Build the PPO algorithm.

        Raises:
            ResourceError: if Ray has fewer CPUs or GPUs than the configuration asks for.
        """
        start_ray()
        # Names that were registered before an earlier Ray was shut down went with it.
        self._register_env()
        check_resources(self)
        for reference in references_of(self):
            share(reference)
        return super().build_algo(env, use_copy)


def _as_dict(model_config: Any) -> dict[str, Any]:
    return dataclasses.asdict(model_config) if dataclasses.is_dataclass(model_config) else dict(model_config)  # type: ignore[arg-type]


def ppo_config(
    encoder: str | Path | Artifact | Mapping[str, str] | None = None,
    options: PPOOptions | Mapping[str, Any] | str | Path | None = None,
    **overrides: Any,
) -> PPOConfig:
    """A PPOConfig on encoded Heist; Ray is started by its ``build_algo``, not here.

        algo = ppo_config("vae-alex", placement="env", num_envs=32).build_algo()
        algo.train()

    Args:
        encoder: name (``vae-alex``), path, URI or reference of an artifact, or an artifact; None: that of the options.
        options: ``PPOOptions``, a mapping of its fields, or a YAML file with them; None: the defaults.
        overrides: fields of ``PPOOptions``, over those of ``options``.

    Raises:
        UnknownNameError, ArtifactError: for an encoder, option or another name that does not exist.
        ConfigError: for values out of range, and options that do not go together.
    """
    chosen = PPOOptions.resolve(options, **overrides)
    artifact = find_for_game(
        chosen.encoder if encoder is None else encoder, chosen.game, chosen.distribution_mode, chosen.other_game
    )
    env_config = chosen.game_options
    if chosen.use_backgrounds is None:
        env_config["use_backgrounds"] = artifact.use_backgrounds
    if chosen.placement == "env":
        # The reference, not the name: it also finds artifacts that are in no zoo, and refuses others of that name.
        env_config |= {"encoder": artifact.reference, **chosen.compute, **chosen.history}
    name = env_name(artifact.name) if chosen.placement == "env" else PIXELS
    register(artifact.name)
    batch = chosen.num_envs * STEPS_PER_ENV
    config = (
        EncodedPPOConfig()
        .environment(name, env_config=env_config, normalize_actions=False, clip_actions=False)
        .env_runners(
            num_env_runners=chosen.num_env_runners,
            num_envs_per_env_runner=chosen.num_envs // max(1, chosen.num_env_runners),
            gym_env_vectorize_mode="vector_entry_point",
        )
        .training(
            train_batch_size_per_learner=batch,
            # Returns reach 10: RLlib's default would cut the gradient of every error above its square root.
            vf_clip_param=math.inf,
            grad_clip_by="global_norm",
            **chosen.learning(batch),
        )
        .debugging(seed=chosen.seed)
    )
    head: dict[str, Any] = {"head": chosen.head, "lstm": chosen.lstm, "frame_stack": chosen.frame_stack}
    if chosen.planner:
        if head_kind(chosen.head, artifact.encoding_shape) != "planner":
            raise ConfigError(
                f"planner_{next(iter(chosen.planner))} with head = {chosen.head!r} on encodings of shape "
                f"{artifact.encoding_shape}, which is no planner: expected head='planner'"
            )
        head["planner"] = chosen.planner
    if chosen.threads is not None:
        config.callbacks(
            on_algorithm_init=functools.partial(_limit_threads, threads=chosen.threads),
            on_environment_created=functools.partial(_limit_threads, threads=chosen.threads),
        )
    if chosen.placement == "preprocessor":
        _encode_in_connector(config, chosen, artifact)
    elif chosen.placement == "module":
        head |= _encode_in_module(config, chosen, artifact)
    start: Policy | None = None
    if chosen.warm_start is not None:
        start = _start_warm(config, chosen, artifact, head)
    keep_record(config, ppo_record(chosen, artifact, start))
    spec = head_module_spec(artifact.encoding_shape, **head)
    # In the configuration alone: a spec's own model config would win over what the user sets later.
    config.rl_module(rl_module_spec=dataclasses.replace(spec, model_config=None), model_config=spec.model_config)
    if chosen.set_start_options:
        _start_elsewhere(config)
    if chosen.evaluation_levels:
        from heist_encoders.rllib.evaluation import evaluation_function

        config.evaluation(
            evaluation_interval=chosen.evaluation_interval,
            evaluation_config={**(config.evaluation_config or {}), "num_envs_per_env_runner": 1},
            custom_evaluation_function=functools.partial(evaluation_function, levels=chosen.evaluation_levels),
        )
    return config


def _start_elsewhere(config: EncodedPPOConfig) -> None:
    """Report the curriculum; RLlib's own evaluation plays whole episodes from true starts."""
    from heist_encoders.rllib.curriculum import log_curriculum

    config.callbacks(on_sample_end=log_curriculum)
    config.evaluation(evaluation_config={"env_config": StartOptions().to_dict()})


def _start_warm(config: EncodedPPOConfig, options: PPOOptions, artifact: Artifact, head: dict[str, Any]) -> Policy:
    """The policy to start from, which the learner will load; ``head`` gets its sizes."""
    from heist_encoders.rllib.warm_start import (
        WarmStartPPOLearner,
        head_options,
        learner_options,
        warm_start_policy,
    )

    policy = warm_start_policy(options, artifact)
    config.learners(learner_class=WarmStartPPOLearner, learner_config_dict=learner_options(options, artifact))
    head |= head_options(policy)
    return policy


def _encode_in_connector(config: EncodedPPOConfig, options: PPOOptions, artifact: Artifact) -> None:
    config.env_runners(
        env_to_module_connector=functools.partial(
            _connector,
            encoder=artifact.reference,
            distribution_mode=options.distribution_mode,
            **options.compute,
            **options.history,
        )
    )


def _encode_in_module(config: EncodedPPOConfig, options: PPOOptions, artifact: Artifact) -> dict[str, Any]:
    """What ``head_module_spec`` needs besides."""
    from heist_encoders.rllib.module import MODEL_CONFIG_KEY, EncoderPPOCatalog, FineTunePPOLearner, module_options

    encoder = module_options(artifact, normalize=options.normalize, fine_tune=bool(options.fine_tune))
    if options.fine_tune:
        config.learners(learner_class=FineTunePPOLearner, learner_config_dict={"encoder_lr_factor": options.fine_tune})
    return {"catalog_class": EncoderPPOCatalog, MODEL_CONFIG_KEY: encoder}


def _connector(env: Any = None, spaces: Any = None, rl_device: Any = None, **options: Any) -> Any:
    from heist_encoders.rllib.preprocessor import EncodeObservations

    return EncodeObservations(**options)


def _limit_threads(*, threads: int, **_: Any) -> None:
    limit_threads(threads)
