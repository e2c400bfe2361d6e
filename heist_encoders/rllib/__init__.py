"""Encoded Heist for Ray RLlib: registered environments, a preprocessor, a module, PPO and an unbiased evaluation.

Three ways in, which give the policy the same encodings for the same frames:

* ``placement="env"``: the environment returns encodings. The fastest; frames never leave the env runner.
* ``placement="preprocessor"``: the environment returns frames, ``EncodeObservations`` (an env-to-module connector)
  encodes the whole batch of them in one call. Use it with an environment of your own, or among other connectors.
* ``placement="module"``: frames travel to the learner and the encoder is part of the RLModule. Use it to fine-tune the
  encoder together with the policy; it costs an encoding of every frame in every epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heist_encoders.lazy import lazy_names

_LAZY = {
    "register": "registration",
    "env_name": "registration",
    "ppo_config": "ppo",
    "PPOOptions": "options",
    "train_ppo": "training",
    "PPOResult": "training",
    "EncodeObservations": "preprocessor",
    "ArrayEnvRunner": "env_runner",
    "EncoderPPOCatalog": "module",
    "evaluate_policy": "evaluation",
    "evaluation_function": "evaluation",
    "PolicyEvaluation": "evaluation",
    "RLlibPlayer": "player",
    "share": "sharing",
}

__all__ = [*_LAZY]

if TYPE_CHECKING:
    from heist_encoders.rllib.env_runner import ArrayEnvRunner as ArrayEnvRunner
    from heist_encoders.rllib.evaluation import PolicyEvaluation as PolicyEvaluation
    from heist_encoders.rllib.evaluation import evaluate_policy as evaluate_policy
    from heist_encoders.rllib.evaluation import evaluation_function as evaluation_function
    from heist_encoders.rllib.module import EncoderPPOCatalog as EncoderPPOCatalog
    from heist_encoders.rllib.options import PPOOptions as PPOOptions
    from heist_encoders.rllib.player import RLlibPlayer as RLlibPlayer
    from heist_encoders.rllib.ppo import ppo_config as ppo_config
    from heist_encoders.rllib.preprocessor import EncodeObservations as EncodeObservations
    from heist_encoders.rllib.registration import env_name as env_name
    from heist_encoders.rllib.registration import register as register
    from heist_encoders.rllib.sharing import share as share
    from heist_encoders.rllib.training import PPOResult as PPOResult
    from heist_encoders.rllib.training import train_ppo as train_ppo

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
