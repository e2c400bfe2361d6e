"""Gymnasium environments: Procgen games seen as frames or through an encoder, one at a time or many in lockstep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heist_encoders.lazy import lazy_names

_LAZY = {
    "EnvConfig": "options",
    "HeistEnv": "single",
    "HistoryEnv": "history",
    "HistoryVectorEnv": "history",
    "HeistVectorEnv": "vector",
    "make_env": "make",
    "make_vector_env": "make",
    "register_all": "registration",
    "register_encoder_env": "registration",
    "registered_ids": "registration",
}

__all__ = list(_LAZY)

if TYPE_CHECKING:
    from heist_encoders.envs.history import HistoryEnv as HistoryEnv
    from heist_encoders.envs.history import HistoryVectorEnv as HistoryVectorEnv
    from heist_encoders.envs.make import make_env as make_env
    from heist_encoders.envs.make import make_vector_env as make_vector_env
    from heist_encoders.envs.options import EnvConfig as EnvConfig
    from heist_encoders.envs.registration import register_all as register_all
    from heist_encoders.envs.registration import register_encoder_env as register_encoder_env
    from heist_encoders.envs.registration import registered_ids as registered_ids
    from heist_encoders.envs.single import HeistEnv as HeistEnv
    from heist_encoders.envs.vector import HeistVectorEnv as HeistVectorEnv

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
