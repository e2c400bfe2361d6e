"""The options of a run of ``heist-encoders ppo train``: those of ``ppo_config``, how long, how often, and where to."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from heist_encoders.config import one_of
from heist_encoders.constants import DEFAULT_GAME
from heist_encoders.rllib.options import PPOOptions

LOGGERS: Final = ("tensorboard", "wandb", "mlflow")
BC: Final = "bc"
"""The ``warm_start`` of a run that first clones the oracle."""


class PPORunOptions(PPOOptions):
    """``PPOOptions`` and what a run needs besides. ``heist-encoders ppo train`` reads it from YAML and from flags."""

    steps: int = Field(default=1_000_000, ge=1)
    """environment steps in all"""

    seeds: tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...] = Field(default=(), strict=False)
    """one run for each of these seeds, instead of one with ``seed``"""

    warm_start: str | None = None
    """name or folder of a policy artifact to start from, such as ``best`` or what ``clone`` made, with its head; or
    ``bc``: one that learns the oracle's moves first, kept in the run's folder"""

    warm_start_frames: int = Field(default=200_000, ge=1)
    """labelled frames that the policy of ``warm_start: bc`` learns from"""

    evaluation_levels: int = Field(default=64, ge=0)

    evaluation_interval: int = Field(default=50, ge=0)
    """training iterations between evaluations, each of which plays whole episodes on ``evaluation_levels`` fixed levels
    that no training sees; 0: none before the end"""

    final_levels: int = Field(default=128, ge=0)
    """evaluation levels that the final return is measured on; 0: it is not measured"""

    video_every: int = Field(default=0, ge=0)
    """training iterations between videos of the policy on an evaluation level; 0: none"""

    log: tuple[Annotated[str, one_of(LOGGERS, "logger")], ...] = Field(default=(), strict=False)
    """``tensorboard``, ``wandb`` or ``mlflow`` (the last two are extras of these names); may be given twice"""

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds = {list(seeds)}: a seed is given twice; leave one out")
        return seeds

    @model_validator(mode="after")
    def _check_cloned(self) -> Self:
        given = {"game": self.game, "actions": self.actions, "normalize": self.normalize, "lstm": self.lstm}
        expected = {"game": DEFAULT_GAME, "actions": "moves", "normalize": True, "lstm": False}
        if self.warm_start == BC and given != expected:
            name = next(name for name in given if given[name] != expected[name])
            raise ValueError(
                f"{name} = {given[name]!r} with warm_start = 'bc': expected {expected[name]!r}; or clone a policy with "
                "'heist-encoders clone' (--lstm with --dagger-steps) and give its folder"
            )
        return self

    @property
    def ppo(self) -> PPOOptions:
        """The part that ``ppo_config`` takes; without a policy that is still to be cloned."""
        values: dict[str, Any] = {name: getattr(self, name) for name in PPOOptions.model_fields}
        if not self.evaluation_interval:
            values |= {"evaluation_levels": 0, "evaluation_interval": 1}
        if self.warm_start == BC:
            values["warm_start"] = None
        return PPOOptions(**values)
