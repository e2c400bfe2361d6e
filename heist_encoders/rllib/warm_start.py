"""PPO that starts from a policy artifact and does not forget it: critic first, then a pull that fades."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from torch.nn import functional

from heist_encoders.errors import ConfigError
from heist_encoders.files import sha256_of
from heist_encoders.policies.artifact import WEIGHTS, find_policy, load_policy
from heist_encoders.policies.policy import ACTIONS, Policy
from heist_encoders.rllib.export import load_head
from heist_encoders.rllib.options import PPOOptions
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.lookup import find_artifact

WARM_START = "warm_start"
"""Key of ``learner_config_dict`` that holds the options of a warm start."""


def warm_start_policy(options: PPOOptions, artifact: Artifact) -> Policy:
    """The policy that a training starts from.

    Raises:
        UnknownNameError, ArtifactError: if there is none, or it needs another encoder.
        ConfigError: if it does not fit the training.
    """
    assert options.warm_start is not None
    policy = load_policy(options.warm_start, distribution_mode=artifact.distribution_mode, encoder=artifact)
    wanted: dict[str, tuple[Any, list[Any]]] = {
        "normalize": (options.normalize, [policy.normalize]),
        "action_repeat": (options.action_repeat, [policy.action_repeat]),
        "actions": (ACTIONS[options.actions], [policy.head.num_actions]),
        "head": (options.head, ["auto", policy.head.config.kind]),
        "lstm": (options.lstm, [False, policy.recurrent]),
    }
    for name, (given, possible) in wanted.items():
        if given not in possible:
            raise ConfigError(
                f"{name} = {getattr(options, name)!r} does not go with the policy {policy.name!r} to start from "
                f"({policy.head.config.kind}, lstm = {policy.recurrent}, normalize = {policy.normalize}, "
                f"action_repeat = {policy.action_repeat}, {policy.head.num_actions} actions); change it"
            )
    return policy


def head_options(policy: Policy) -> dict[str, Any]:
    """What ``head_module_spec`` needs, so that the module takes the policy's weights."""
    config = policy.head.config
    options: dict[str, Any] = {"head": config.kind, "planner": config.planner, "lstm": bool(config.lstm)}
    if config.kind == "mlp":
        options["fcnet_hiddens"] = list(config.hiddens)
    if config.lstm:
        options["lstm_cell_size"] = config.lstm
    return options


def learner_options(options: PPOOptions, artifact: Artifact) -> dict[str, Any]:
    """What ``WarmStartPPOLearner`` needs in its ``learner_config_dict``."""
    assert options.warm_start is not None
    # Found here, for a learner may have another working directory.
    place = find_policy(options.warm_start, artifact.distribution_mode).absolute()
    names = ("critic_steps", "imitation", "imitation_steps")
    return {
        WARM_START: {
            "policy": str(place),
            "sha256": sha256_of(place / WEIGHTS),
            "encoder": artifact.reference,
            **{name: getattr(options, name) for name in names},
        }
    }


class WarmStartPPOLearner(PPOTorchLearner):
    """PPO's learner whose module starts with the head of a policy artifact.

    ``learner_config_dict["warm_start"]`` is what ``learner_options`` gives; learners on other nodes must find the
    policy's folder too. For the first ``critic_steps`` environment steps only the critic's own layer learns: the policy
    plays on unchanged while its values are found out. The loss holds ``imitation`` times KL(start policy || policy),
    which then falls to 0 in a straight line over ``imitation_steps``. (A recurrent start policy is asked with the
    memory that the learning one had.)
    """

    _steps = 0
    _start: Any = None

    def build(self) -> None:
        """The module, with the policy's weights; a checkpoint's are set after that."""
        super().build()
        module: Any = self.module[DEFAULT_MODULE_ID].unwrapped()
        load_head(module, load_policy(self._options["policy"], encoder=find_artifact(self._options["encoder"])).head)
        self._start = copy.deepcopy(module).requires_grad_(False)

    @property
    def _options(self) -> Mapping[str, Any]:
        options: Mapping[str, Any] = self.config.learner_config_dict[WARM_START]
        return options

    @property
    def imitation(self) -> float:
        """The weight of the KL term now."""
        options = self._options
        gone = max(0, self._steps - options["critic_steps"]) / options["imitation_steps"]
        return float(options["imitation"] * max(0.0, 1.0 - gone))

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Remember how far the training has come."""
        super().before_gradient_based_update(timesteps=timesteps)
        self._steps = int(timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME) or 0)

    def compute_loss_for_module(self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: Any) -> Any:
        """PPO's loss, and the pull towards the start policy."""
        loss: Any = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        weight = self.imitation
        if not weight:
            return loss
        with torch.no_grad():
            start = self._start.forward_inference(batch)[Columns.ACTION_DIST_INPUTS]
        now = fwd_out[Columns.ACTION_DIST_INPUTS]
        divergence = functional.kl_div(
            now.log_softmax(-1), start.log_softmax(-1), reduction="none", log_target=True
        ).sum(-1)
        mask = batch.get(Columns.LOSS_MASK)
        mean: Any = divergence.mean() if mask is None else divergence[mask].mean()
        self.metrics.log_dict({"imitation_kl": mean.detach(), "imitation_weight": weight}, key=module_id, window=1)
        return loss + weight * mean

    def compute_gradients(self, loss_per_module: dict[str, Any], **kwargs: Any) -> dict[Any, Any]:
        """In the critic's phase, those of its own layer alone.

        The others are missing, not 0: Adam would count steps of 0, and make larger ones after them.
        """
        gradients: dict[Any, Any] = super().compute_gradients(loss_per_module, **kwargs)
        if self._steps > self._options["critic_steps"]:
            return gradients
        module: Any = self.module[DEFAULT_MODULE_ID].unwrapped()
        critics = {id(parameter) for parameter in module.vf.parameters()}
        for parameter in module.parameters():
            if id(parameter) not in critics:
                parameter.grad = None
                gradients.pop(self.get_param_ref(parameter), None)
        return gradients
