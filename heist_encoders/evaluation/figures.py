"""What an evaluation finds, as ``metrics.json`` has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeAlias, TypedDict

import pandas as pd

from heist_encoders.json_text import JsonObject

Speeds: TypeAlias = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Device -> ``encoder`` or ``model`` -> frames a call -> the figures of ``latency``."""


class Metrics(TypedDict, total=False):
    """All figures of one artifact on one dataset; ``evaluate`` returns them."""

    name: str
    family: str
    """The architecture."""
    game: str
    distribution_mode: str
    sha256: str
    """Of the weights."""
    dataset_hash: str
    encoding_shape: list[int]
    latent_dimension: int
    parameters: int
    reconstruction: dict[str, float | None]
    """``reconstruction_metrics``, ``test_loss`` and ``test_frames``."""
    probes: JsonObject
    """``ProbeResult.to_dict``; absent where there is nothing to probe for."""
    references: dict[str, JsonObject]
    """The same figures of what is no trained encoder: ``majority``, ``untrained``, ..."""
    play: JsonObject | None
    """``decoded_play.played``; absent where it was not asked for, None where it says nothing."""
    speed: Speeds
    seconds: float
    """How long the evaluation took."""
    folder: str
    """Where the pictures are; not in the file."""


class ProbeOptions(TypedDict, total=False):
    """Options of ``probe`` that other functions hand on to it."""

    seeds: int
    train_limit: int
    test_limit: int
    plan_samples: int
    map_samples: int | None
    fast: bool
    wanted: Collection[str] | None
    batch_size: int
    device: str


class Sweep(Protocol):
    """What the report reads of a ``SweepResult``."""

    @property
    def table(self) -> pd.DataFrame:
        """One row a trial, best first."""
        ...

    @property
    def plan(self) -> JsonObject:
        """How it was set up."""
        ...


Table: TypeAlias = "pd.DataFrame | Sequence[Mapping[str, object]]"
