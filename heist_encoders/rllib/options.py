"""The options of PPO on encoded games: one schema for ``ppo_config``, a YAML file and ``heist-encoders ppo train``."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from heist_encoders.config import Config, one_of
from heist_encoders.constants import DEFAULT_GAME, DISTRIBUTION_MODES, EVALUATION_LEVELS, GAMES, HEADS
from heist_encoders.envs.options import ACTIONS, GameOptions, level_set
from heist_encoders.envs.starts import StartOptions, check_starts
from heist_encoders.errors import UnknownNameError
from heist_encoders.zoo.options import EncoderOptions, Threads

PLACEMENTS: Final = ("env", "preprocessor", "module")
Placement = Literal["env", "preprocessor", "module"]

GREEDY: Final = False
"""Whether a trained policy that plays takes its most probable actions, everywhere, unless told otherwise.

It samples, as in training: more levels are solved that way. A policy without memory that is greedy runs in circles
wherever two places look the same to it.
"""


class LearningOptions(Config):
    """How PPO learns: keywords of RLlib's ``PPOConfig.training``, with its names."""

    lr: float = Field(default=5e-4, gt=0)
    """learning rate, at first"""

    lr_final: float | None = Field(default=None, gt=0)
    """learning rate after ``lr_steps`` environment steps, to which it goes along a line; None: it stays"""

    lr_steps: int = Field(default=1_000_000, ge=1)
    """environment steps until ``lr_final``"""

    gamma: float = Field(default=0.999, ge=0, le=1)
    """discount of a step"""

    lambda_: float = Field(default=0.95, ge=0, le=1)
    """of generalised advantage estimation"""

    minibatch_size: int = Field(default=2048, ge=1)
    """steps in a minibatch, at most those of a training batch"""

    num_epochs: int = Field(default=3, ge=1)
    """passes over a training batch"""

    clip_param: float = Field(default=0.3, gt=0)
    """how far a step's probability may move from its old one before its gradient is cut, as a share of it"""

    use_kl_loss: bool = True
    """a penalty on KL(old policy || policy) besides"""

    entropy_coeff: float = Field(default=0.01, ge=0)
    """weight of the policy's entropy"""

    vf_loss_coeff: float = Field(default=0.5, ge=0)
    """weight of the value's squared error"""

    grad_clip: float = Field(default=0.5, gt=0)
    """largest norm of the gradient"""

    def learning(self, batch: int) -> dict[str, Any]:
        """For ``PPOConfig.training``, with training batches of ``batch`` steps."""
        values = {name: getattr(self, name) for name in LearningOptions.model_fields}
        final, steps = values.pop("lr_final"), values.pop("lr_steps")
        if final is not None:
            values["lr"] = [[0, self.lr], [steps, final]]
        return {**values, "minibatch_size": min(self.minibatch_size, batch)}


class PPOOptions(LearningOptions, GameOptions):
    """What ``ppo_config`` sets up. A field here is an option everywhere: in Python, YAML and on the command line."""

    encoder: str = "vae_paper"
    """name (``vae-alex``), path or URI of an artifact"""

    placement: Annotated[str, one_of(PLACEMENTS)] = "env"
    """where frames become encodings: ``env`` (fastest), ``preprocessor`` (a connector in the env runner) or ``module``
    (in the policy, needed for fine-tuning)"""

    distribution_mode: Annotated[str, one_of(DISTRIBUTION_MODES)] = "memory"
    """``memory`` (big maze, 8x8 cells in view), ``easy`` or ``hard`` (the whole maze in view); the encoder's artifact
    of that mode is taken"""

    game: Annotated[str, one_of(GAMES)] = DEFAULT_GAME
    """one of Procgen's 16 games; an encoder of that game is needed, or ``other_game``"""

    # See GameOptions for why these two differ from those of an environment.
    actions: Annotated[str, one_of(ACTIONS, "action set")] = "moves"
    normalize: bool = True

    num_envs: int = Field(default=64, ge=1)
    """environments in all, divided over the env runners; a training batch is 128 steps of each"""

    num_env_runners: int = Field(default=0, ge=0)
    """processes that play; 0: the driver itself"""

    head: Annotated[str, one_of(HEADS)] = "auto"
    """``planner`` (a recurrent convolution that finds ways through mazes), ``mlp`` (two layers of 256), or ``auto``:
    the planner for encodings of shape (C, H, W)"""

    planner_channels: int | None = Field(default=None, ge=1, le=512)
    """of the planner, per cell; None: 24, or those of ``warm_start``"""

    planner_iterations: int | None = Field(default=None, ge=1, le=128)
    """steps of the planner, about the longest way in the maze; None: 16, or those of ``warm_start``"""

    lstm: bool = False
    """a recurrent policy; memory mode is only partially observed"""

    frame_stack: int = Field(default=1, ge=1)
    """encodings in an observation, the newest and those of the steps before it (not with placement ``module``)"""

    previous_action_reward: bool = False
    """put the previous action and reward into the observation (not with placement ``module``)"""

    fine_tune: float | None = Field(default=None, gt=0)
    """train the encoder too, at this multiple of the learning rate (only with placement ``module``)"""

    warm_start: str | None = None
    """name or folder of a policy artifact to start from, such as ``best`` or what ``clone`` made, with its head"""

    critic_steps: int = Field(default=65_536, ge=0)
    """of a warm start: environment steps in which only the critic learns, at first"""

    imitation: float = Field(default=1.0, ge=0)
    """of a warm start: weight of KL(start policy || policy) in the loss, which falls to 0 over ``imitation_steps``"""

    imitation_steps: int = Field(default=1_000_000, ge=1)
    """of a warm start: environment steps, after those of the critic, until the start policy pulls no more"""

    evaluation_levels: int = Field(default=0, ge=0)
    """number of fixed levels played every ``evaluation_interval`` iterations, one whole episode each; 0 for none"""

    evaluation_interval: int = Field(default=10, ge=1)
    """training iterations between evaluations"""

    threads: Threads = 1
    """cap on torch's and OpenVINO's threads in the driver and the env runners; None leaves them alone"""

    seed: int | None = Field(default=0, ge=0, le=2**31 - 1)
    """of the environments, the sampling and the initial weights"""

    renamed: ClassVar = {"mode": "placement", "torch_threads": "threads"}

    @classmethod
    def with_new_names(cls, data: dict[str, Any]) -> dict[str, Any]:
        """See ``Config``. ``mode`` also is what others call the game's: only a placement is taken for one."""
        if "mode" in data and data["mode"] not in PLACEMENTS:
            raise UnknownNameError(
                f"unknown option 'mode' = {data['mode']!r}; expected placement = {', '.join(PLACEMENTS)}, or "
                f"distribution_mode = {', '.join(DISTRIBUTION_MODES)}"
            )
        if "array_env_runner" in data:
            warnings.warn("the option 'array_env_runner' does nothing any more", DeprecationWarning, stacklevel=4)
        return super().with_new_names({key: value for key, value in data.items() if key != "array_env_runner"})

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.num_envs % max(1, self.num_env_runners):
            raise ValueError(
                f"num_envs = {self.num_envs}: expected a positive multiple of num_env_runners = "
                f"{self.num_env_runners}, for they are divided over the env runners"
            )
        levels = level_set(self.start_level, self.num_levels)
        if levels.start < EVALUATION_LEVELS.stop and EVALUATION_LEVELS.start < levels.stop:
            raise ValueError(
                f"start_level = {self.start_level} with num_levels = {self.num_levels} trains on evaluation levels "
                f"({EVALUATION_LEVELS.start} to {EVALUATION_LEVELS.stop - 1}), which no training may see"
            )
        check_starts(self, self.game)
        if self.fine_tune is not None and self.placement != "module":
            raise ValueError(
                f"fine_tune = {self.fine_tune} with placement = {self.placement!r}: expected placement='module'"
            )
        if self.warm_start is not None and (self.history or self.fine_tune is not None):
            raise ValueError(
                "warm_start with frame_stack, previous_action_reward or fine_tune: expected single encodings of a "
                "frozen encoder, which is all that a policy artifact sees"
            )
        if self.planner and self.warm_start is not None:
            raise ValueError(
                f"planner_{next(iter(self.planner))} with warm_start = {self.warm_start!r}, which has a head: "
                "leave one out"
            )
        if self.placement == "module" and self.history:
            raise ValueError(
                "frame_stack and previous_action_reward need encodings as observations: expected placement 'env' or "
                "'preprocessor', not 'module', whose memory is lstm=True"
            )
        return self

    @property
    def planner(self) -> dict[str, int]:
        """The planner's sizes that are given."""
        given = {"channels": self.planner_channels, "iterations": self.planner_iterations}
        return {name: size for name, size in given.items() if size is not None}

    @property
    def history(self) -> dict[str, Any]:
        """The options of ``HistoryEnv``; empty if observations are single encodings."""
        if self.frame_stack == 1 and not self.previous_action_reward:
            return {}
        return {"frame_stack": self.frame_stack, "previous_action_reward": self.previous_action_reward}

    @property
    def compute(self) -> dict[str, Any]:
        """How frames become encodings outside of the policy: normalize and the encoder's options."""
        return {"normalize": self.normalize, **self.encoder_options.to_dict()}

    @property
    def game_options(self) -> dict[str, Any]:
        """The options of an environment that shows frames.

        Start options, ``action_repeat`` and ``other_game`` at their defaults are left out, so that runs from before
        them can be resumed.
        """
        later = {"action_repeat": 1, "other_game": False}
        others = (*EncoderOptions.model_fields, *StartOptions.model_fields, "normalize", *later)
        names = [name for name in GameOptions.model_fields if name not in others]
        given = {name: getattr(self, name) for name, default in later.items() if getattr(self, name) != default}
        return {name: getattr(self, name) for name in names} | given | self.set_start_options
