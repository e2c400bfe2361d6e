"""The encoder inside the RLModule: frozen, or fine-tuned together with the policy at a learning rate of its own."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import Encoder
from ray.rllib.core.models.configs import ModelConfig, RecurrentEncoderConfig
from ray.rllib.core.models.torch.base import TorchModel
from torch import nn
from typing_extensions import Self

import heist_encoders.rllib.sharing  # noqa: F401 - finds encoders on nodes without the driver's disk
from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.errors import ConfigError
from heist_encoders.rllib.heads import HeadCatalog
from heist_encoders.zoo.lookup import find_artifact

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder
    from heist_encoders.zoo.artifact import Artifact

MODEL_CONFIG_KEY = "heist_encoder"
"""Key of the model config that holds the options of the pretrained encoder."""


def module_options(
    encoder: str | Path | Artifact | Mapping[str, str],
    *,
    distribution_mode: str | None = None,
    normalize: bool = True,
    fine_tune: bool = False,
) -> dict[str, Any]:
    """What ``model_config["heist_encoder"]`` must hold for ``EncoderPPOCatalog``.

    Raises:
        UnknownNameError, ArtifactError: if there is no such encoder (for this mode).
    """
    artifact = find_artifact(encoder, distribution_mode)
    return {
        "reference": artifact.reference,
        "size": math.prod(artifact.encoding_shape),
        "normalize": normalize,
        "fine_tune": fine_tune,
    }


@dataclasses.dataclass
class PretrainedEncoderConfig(ModelConfig):
    """RLlib's description of a pretrained encoder followed by one of RLlib's own models.

    Attributes:
        options: see ``module_options``.
        then: the model that takes the flat encodings.
    """

    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    then: Any = None

    @property
    def output_dims(self) -> tuple[int, ...]:
        """Those of the model that follows."""
        return tuple(self.then.output_dims)

    def build(self, framework: str = "torch") -> PretrainedEncoder:
        """The torch module, with the weights loaded."""
        if framework != "torch":
            raise ConfigError(f"framework {framework!r}: the encoder's module exists for 'torch' only")
        return PretrainedEncoder(self)


class PretrainedEncoder(TorchModel, Encoder):  # type: ignore[no-untyped-call]
    """Frames uint8 (B, 64, 64, 3) -> encodings -> the model that follows.

    The pretrained part always stays in eval mode: its batch norms keep the statistics that they were trained with.
    Frozen, it is no part of the parameters and the state: checkpoints and weight updates hold the policy alone.
    """

    def __init__(self, config: PretrainedEncoderConfig) -> None:
        TorchModel.__init__(self, config)
        Encoder.__init__(self, config)
        artifact = find_artifact(config.options["reference"])
        model = _without_decoder(artifact.load_model("cpu")).eval()
        self.fine_tune = bool(config.options["fine_tune"])
        model.requires_grad_(self.fine_tune)
        if self.fine_tune:
            self.autoencoder = model
        else:
            # Not through nn.Module: a frozen encoder is no parameter of the policy.
            object.__setattr__(self, "autoencoder", model)
        size = config.options["size"]
        mean, std = np.zeros(size, np.float32), np.ones(size, np.float32)
        if config.options["normalize"]:
            mean, std = artifact.mean.reshape(-1), artifact.std.reshape(-1)
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.then = config.then.build(framework="torch")

    def encodings(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 (B, 64, 64, 3) -> float32 (B, size), normalised."""
        from heist_encoders.autoencoders.frames import to_input

        with torch.set_grad_enabled(self.fine_tune and torch.is_grad_enabled()):
            inputs = to_input(frames.to(torch.uint8), frames.device)
            return (self.autoencoder.encode(inputs).flatten(1) - self.mean) / self.std

    def _forward(self, input_dict: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        outputs: dict[str, Any] = self.then({Columns.OBS: self.encodings(input_dict[Columns.OBS])}, **kwargs)
        return outputs

    def train(self, mode: bool = True) -> Self:
        """As always, but for the pretrained part."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        if not self.fine_tune:
            self.autoencoder._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _without_decoder(model: BaseAutoencoder) -> BaseAutoencoder:
    """A copy without the children that have parameters but take no part in ``encode``."""
    model = copy.deepcopy(model).eval().requires_grad_(True)
    model.encode(torch.zeros(1, FRAME_SHAPE[2], *FRAME_SHAPE[:2])).sum().backward()  # type: ignore[no-untyped-call]
    for name, child in list(model.named_children()):
        parameters = list(child.parameters())
        if parameters and all(parameter.grad is None for parameter in parameters):
            delattr(model, name)
    model.zero_grad(set_to_none=True)
    return model


class EncoderPPOCatalog(HeadCatalog):
    """The models of ``HeadCatalog`` on top of a pretrained encoder.

    The model config's ``heist_encoder`` entry (``module_options``) says which one; ``fcnet_hiddens``, ``use_lstm`` and
    the rest mean what they mean in RLlib, with the encoding as input. ``vf_share_layers`` must be True: two copies of
    the encoder would do the same work twice.
    """

    @classmethod
    def _get_encoder_config(
        cls,
        observation_space: gym.Space[Any],
        model_config_dict: dict[str, Any],
        action_space: Any = None,
    ) -> ModelConfig:
        options = model_config_dict.get(MODEL_CONFIG_KEY)
        if options is None or observation_space.shape != FRAME_SHAPE:
            # RLlib asks again for the part that follows, with the space of the encodings.
            return super()._get_encoder_config(observation_space, model_config_dict, action_space)
        if not model_config_dict["vf_share_layers"]:
            raise ConfigError("vf_share_layers = False: expected True with an encoder inside the module")
        encodings = gym.spaces.Box(-np.inf, np.inf, (options["size"],), np.float32)
        then = super()._get_encoder_config(encodings, model_config_dict, action_space)
        if isinstance(then, RecurrentEncoderConfig):
            # Encode below the recurrent layer, where batch and time are folded into one dimension.
            then.tokenizer_config = PretrainedEncoderConfig(
                input_dims=FRAME_SHAPE, options=options, then=then.tokenizer_config
            )
            return then
        return PretrainedEncoderConfig(input_dims=FRAME_SHAPE, options=options, then=then)


class FineTunePPOLearner(PPOTorchLearner):
    """PPO's learner with a second optimizer for the pretrained encoder.

    ``learner_config_dict={"encoder_lr_factor": f}``: its learning rate is ``f`` times that of the policy.
    """

    def get_parameters(self, module: Any) -> Sequence[nn.Parameter]:
        """The trainable parameters."""
        return [parameter for parameter in module.parameters() if parameter.requires_grad]

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """Adam for the policy and Adam for the encoder."""
        module: Any = self.module[module_id]
        factor = float(config.learner_config_dict["encoder_lr_factor"])
        pretrained = {
            id(parameter)
            for part in module.modules()
            if isinstance(part, PretrainedEncoder)
            for parameter in part.autoencoder.parameters()
        }
        groups: dict[str, list[nn.Parameter]] = {"policy": [], "encoder": []}
        for parameter in self.get_parameters(module):
            groups["encoder" if id(parameter) in pretrained else "policy"].append(parameter)
        rates = {"policy": config.lr, "encoder": _scaled(config.lr, factor)}
        for name, parameters in groups.items():
            if parameters:
                self.register_optimizer(
                    module_id=module_id,
                    optimizer_name=name,
                    optimizer=torch.optim.Adam(parameters),
                    params=parameters,
                    lr_or_lr_schedule=rates[name],
                )


def _scaled(rate: Any, factor: float) -> Any:
    """A learning rate, or a schedule [[step, rate], ...] of them, times ``factor``."""
    if isinstance(rate, (int, float)):
        return rate * factor
    return [[step, value * factor] for step, value in rate]
