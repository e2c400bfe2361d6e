"""The package's heads as RLModules of RLlib: one module for PPO, BC and MARWIL, with or without an LSTM."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT, Encoder
from ray.rllib.core.models.configs import ModelConfig
from ray.rllib.core.models.torch.base import TorchModel
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from heist_encoders.errors import ConfigError
from heist_encoders.policies.heads import head_kind
from heist_encoders.policies.planner import Planner, PlannerConfig

HEAD_KEY = "heist_head"
"""Key of the model config that holds the options of the head."""
ROWS = 1024
"""Observations that a planner takes at once: what it keeps of more does not fit into a processor's cache."""


@dataclasses.dataclass
class PlannerEncoderConfig(ModelConfig):
    """RLlib's description of a planner.

    Attributes:
        options: ``shape`` of an observation's encodings, and ``planner``, the fields of ``PlannerConfig``.
    """

    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def planner(self) -> PlannerConfig:
        """Its sizes."""
        return PlannerConfig.from_dict(self.options.get("planner") or {}, where=HEAD_KEY)

    @property
    def output_dims(self) -> tuple[int, ...]:
        """The features, and what an observation holds beside the encodings."""
        return (self.planner.hidden + math.prod(self.input_dims) - math.prod(self.options["shape"]),)

    def build(self, framework: str = "torch") -> PlannerEncoder:
        """The torch module."""
        if framework != "torch":
            raise ConfigError(f"framework {framework!r}: the planner exists for 'torch' only")
        return PlannerEncoder(self)


class PlannerEncoder(TorchModel, Encoder):  # type: ignore[no-untyped-call]
    """Flat observations -> features.

    The first numbers of an observation are encodings (of several steps: channels of one plan); what follows, such as
    the action and reward before, is put behind the features.
    """

    def __init__(self, config: PlannerEncoderConfig) -> None:
        TorchModel.__init__(self, config)
        Encoder.__init__(self, config)
        self._size = math.prod(config.options["shape"])
        self.planner = Planner(config.options["shape"], config.planner)

    def _forward(self, input_dict: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        import torch

        flat = input_dict[Columns.OBS].flatten(1)
        features = torch.cat([self.planner(part) for part in flat[:, : self._size].split(ROWS)])
        if flat.shape[1] > self._size:
            features = torch.cat([features, flat[:, self._size :]], dim=1)
        return {ENCODER_OUT: features}


class HeadCatalog(PPOCatalog):
    """RLlib's models of PPO, with a planner where the model config's ``heist_head`` asks for one.

    ``use_lstm``, ``lstm_cell_size``, ``max_seq_len`` and ``head_fcnet_hiddens`` mean what they mean in RLlib.
    """

    @classmethod
    def _get_encoder_config(
        cls, observation_space: gym.Space[Any], model_config_dict: dict[str, Any], action_space: Any = None
    ) -> ModelConfig:
        options = model_config_dict.get(HEAD_KEY) or {}
        # With an LSTM, RLlib asks again for what comes before it.
        if options.get("kind") != "planner" or model_config_dict.get("use_lstm"):
            return super()._get_encoder_config(observation_space, model_config_dict, action_space)
        shape = observation_space.shape or ()
        size, given = math.prod(options["shape"]), math.prod(shape)
        if given < size:
            raise ConfigError(
                f"observations of {given} numbers for a planner on encodings {tuple(options['shape'])}: expected at "
                f"least {size}"
            )
        return PlannerEncoderConfig(input_dims=shape, options=dict(options))


class HeadRLModule(DefaultPPOTorchRLModule):
    """An actor and critic on one head, for PPO, BC and MARWIL alike; its models come from ``HeadCatalog``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["catalog_class"] = kwargs.get("catalog_class") or HeadCatalog
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Any:
        """As in RLlib, but without a graph where no embeddings are given.

        That is how RLlib asks for the values of a whole train batch before it learns from it; it needs no gradient.
        """
        import torch

        with torch.set_grad_enabled(torch.is_grad_enabled() and embeddings is not None):
            return super().compute_values(batch, embeddings)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._forward_train(batch, **kwargs)
        # BC's loss has no value in it, and RLlib's learner takes no parameter without a gradient: let it be 0.
        unused = 0 * self.compute_values(batch, output[Columns.EMBEDDINGS].detach())
        output[Columns.ACTION_DIST_INPUTS] = output[Columns.ACTION_DIST_INPUTS] + unused[..., None]
        return output


def head_module_spec(
    shape: Sequence[int],
    head: str = "auto",
    *,
    planner: PlannerConfig | Mapping[str, Any] | None = None,
    lstm: bool = False,
    frame_stack: int = 1,
    catalog_class: type[HeadCatalog] | None = None,
    **model_config: Any,
) -> RLModuleSpec:
    """A module for ``config.rl_module(rl_module_spec=spec)``; the spec's model config wins over the configuration's.

    Args:
        shape: of one encoding. Observations are flat: ``frame_stack`` encodings, the oldest first, and maybe more.
        head: ``planner``, ``mlp`` (RLlib's, two layers of 256) or ``auto``: the planner for encodings (C, H, W).
        planner: sizes of the planner.
        lstm: an LSTM of 256 units behind the head, unrolled over 32 steps in training.
        frame_stack: encodings in an observation.
        catalog_class: a subclass of ``HeadCatalog``, for an encoder inside the module.
        model_config: further entries of the model config, also fields of RLlib's ``DefaultModelConfig``.

    Raises:
        UnknownNameError: for a head that does not exist.
        ConfigError: for sizes or a shape that cannot be.
    """
    kind = head_kind(head, shape)
    stacked = (shape[0] * frame_stack, *shape[1:])
    if planner is None or not isinstance(planner, PlannerConfig):
        planner = PlannerConfig.from_dict(dict(planner or {}), where="planner")
    if kind == "planner":
        Planner(stacked, planner)  # says what cannot be
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
    model[HEAD_KEY] = {"kind": kind, "shape": [int(side) for side in stacked], "planner": planner.to_dict()}
    model |= model_config
    return RLModuleSpec(module_class=HeadRLModule, catalog_class=catalog_class or HeadCatalog, model_config=model)
