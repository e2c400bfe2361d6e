"""Heads on encodings, in plain torch: what lies between an encoding and an action, with or without memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from heist_encoders.config import Config
from heist_encoders.constants import HEADS, NUM_MOVES
from heist_encoders.errors import UnknownNameError, unknown_name
from heist_encoders.policies.planner import Planner, PlannerConfig

State = tuple[Tensor, Tensor]
"""Of the LSTM: two float32 (B, units)."""


class HeadConfig(Config):
    """What a head is made of.

    Attributes:
        kind: ``planner``, or ``mlp``: linear layers with ReLU, for encodings without places.
        planner: sizes of the planner.
        hiddens: units of the MLP's layers.
        lstm: units of an LSTM behind it, for games that are only partly in view; 0 for none.
    """

    kind: Literal["planner", "mlp"] = "planner"
    planner: PlannerConfig = Field(default_factory=PlannerConfig)
    hiddens: list[Annotated[int, Field(ge=1, le=65_536)]] = Field(default=[256, 256], min_length=1, max_length=64)
    lstm: int = Field(default=0, ge=0, le=65_536)


def head_kind(head: str, shape: Sequence[int]) -> Literal["mlp", "planner"]:
    """``auto`` is the planner for encodings of shape (C, H, W) with H and W above 1, else the MLP.

    Raises:
        UnknownNameError: for a head that is none of ``HEADS``.
    """
    if head == "auto":
        return "planner" if len(shape) == 3 and min(shape[1:]) > 1 else "mlp"
    if head == "mlp":
        return "mlp"
    if head == "planner":
        return "planner"
    error: UnknownNameError = unknown_name("head", head, HEADS)
    raise error


class HeadPolicy(nn.Module):
    """Encodings -> action logits and values.

    Args:
        shape: of an encoding.
        config: what the head is made of.
        num_actions: 9 for the moves that matter in Heist, 15 for all of procgen's.
    """

    def __init__(self, shape: Sequence[int], config: HeadConfig, *, num_actions: int = NUM_MOVES) -> None:
        super().__init__()
        self.config, self.shape = config, tuple(shape)
        if config.kind == "planner":
            self.body: nn.Module = Planner(shape, config.planner)
            size = config.planner.hidden
        else:
            sizes = [math.prod(shape), *config.hiddens]
            layers = [(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(sizes)]
            self.body = nn.Sequential(*itertools.chain.from_iterable(layers))
            size = sizes[-1]
        self.lstm = nn.LSTM(size, config.lstm, batch_first=True) if config.lstm else None
        size = config.lstm or size
        self.logits = nn.Linear(size, num_actions)
        self.value = nn.Linear(size, 1)

    @property
    def num_actions(self) -> int:
        """Length of the logits."""
        return int(self.logits.out_features)

    def initial_state(self, batch: int) -> State | None:
        """The state at an episode's start, None for a head without memory."""
        if self.lstm is None:
            return None
        return torch.zeros(batch, self.config.lstm), torch.zeros(batch, self.config.lstm)

    def forward(self, encodings: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State | None]:
        """One step.

        Args:
            encodings: float32 (B, *shape).
            state: from the step before; None at the start, and for a head without memory.

        Returns:
            Logits (B, actions), values (B,) and the next state.
        """
        features = self.body(encodings if self.config.kind == "planner" else encodings.flatten(1))
        if self.lstm is not None:
            h, c = state or (features.new_zeros(len(features), self.config.lstm) for _ in range(2))
            features, (h, c) = self.lstm(features[:, None], (h[None], c[None]))
            features, state = features[:, 0], (h[0], c[0])
        return self.logits(features), self.value(features).squeeze(-1), state

    def unroll(self, encodings: Tensor, first: Tensor, state: State) -> Tensor:
        """Many steps of a recurrent head.

        Args:
            encodings: float32 (B, T, *shape).
            first: bool (B, T), True on the first step of an episode, before which the memory is cleared.
            state: before the first step.

        Returns:
            Logits (B, T, actions).
        """
        assert self.lstm is not None
        flat = encodings.flatten(0, 1)
        features = self.body(flat if self.config.kind == "planner" else flat.flatten(1)).unflatten(0, first.shape)
        h, c = state
        out = []
        for step in range(first.shape[1]):
            keep = (~first[:, step, None]).to(features.dtype)
            _, (h, c) = self.lstm(features[:, step, None], ((h * keep)[None], (c * keep)[None]))
            h, c = h[0], c[0]
            out.append(h)
        logits: Tensor = self.logits(torch.stack(out, dim=1))
        return logits
