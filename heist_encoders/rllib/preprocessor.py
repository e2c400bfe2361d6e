"""The preprocessor: an env-to-module connector that turns a whole batch of frames into encodings in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from ray.rllib.connectors.connector_v2 import ConnectorV2

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.envs.history import History, check_frame_stack, make_history
from heist_encoders.errors import ConfigError
from heist_encoders.rllib.encoding import FrameEncoder
from heist_encoders.zoo.options import EncoderOptions

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact


_ROW = "heist_encoders_row"
"""Key of an episode's custom data: its newest observation, as this connector made it."""


class EncodeObservations(ConnectorV2):
    """Replace the newest observation of every episode, a frame, by its encoding.

    Place it first in the env-to-module pipeline of an algorithm that plays raw frames:

        config.env_runners(env_to_module_connector=lambda env, spaces, device: EncodeObservations("vae-alex"))

    All frames of a vector step are stacked and encoded in one call, and the encodings are written back into the
    episodes, so that the learner sees encodings and needs no connector of its own. Pickles and checkpoints hold only
    the encoder's name, place and hash; the weights are loaded where the connector runs, at the first call.

    Args:
        encoder: name (``vae-alex``), path or URI of an artifact, or an artifact.
        distribution_mode: the mode of the frames; an encoder of another mode is refused.
        normalize: by the mean and standard deviation stored in the artifact.
        options: how the encoder computes: ``EncoderOptions``, or a mapping of its fields; None: on the CPU.
        frame_stack: encodings in an observation, the oldest first.
        previous_action_reward: put the previous action (one-hot) and reward behind them (see ``envs.history``).
        input_observation_space: set by RLlib.
        input_action_space: set by RLlib.
        encoder_options: fields of ``EncoderOptions`` one by one, over ``options``: ``backend="torch"``.

    Raises:
        UnknownNameError, ArtifactError: if there is no such encoder (for this mode).
        ConfigError: if the environment's observations are not frames of shape (64, 64, 3) uint8.
    """

    def __init__(
        self,
        encoder: str | Path | Artifact | Mapping[str, str],
        *,
        distribution_mode: str | None = "memory",
        normalize: bool = True,
        options: EncoderOptions | Mapping[str, Any] | None = None,
        frame_stack: int = 1,
        previous_action_reward: bool = False,
        input_observation_space: gym.Space[Any] | None = None,
        input_action_space: gym.Space[Any] | None = None,
        **encoder_options: Any,
    ) -> None:
        resolved = EncoderOptions.resolve({"device": "cpu"} if options is None else options, **encoder_options)
        self._encode = FrameEncoder(
            encoder,
            distribution_mode=distribution_mode,
            normalize=normalize,
            options=resolved,
        )
        check_frame_stack(frame_stack)
        self._frame_stack = frame_stack
        self._previous_action_reward = previous_action_reward
        self._history: History | None = None
        # ConnectorV2 stores this frame's named arguments in checkpoints: a reference, nothing larger, and all options.
        encoder, options = self._encode.reference, resolved.to_dict()
        super().__init__(input_observation_space, input_action_space)

    def recompute_output_observation_space(
        self, input_observation_space: gym.Space[Any], input_action_space: gym.Space[Any]
    ) -> gym.Space[Any]:
        """float32 (size,) without bounds, from the frames' space."""
        space = input_observation_space
        if not isinstance(space, gym.spaces.Box) or space.shape != FRAME_SHAPE or space.dtype != np.uint8:
            raise ConfigError(
                f"EncodeObservations got observations {space}, expected frames Box(0, 255, {FRAME_SHAPE}, uint8); "
                "use it with raw frames (heist-pixels), first in the env-to-module pipeline"
            )
        encodings = gym.spaces.Box(-np.inf, np.inf, (self._encode.size,), np.float32)
        if self._frame_stack == 1 and not self._previous_action_reward:
            return encodings
        self._history = make_history(encodings, input_action_space, self._frame_stack, self._previous_action_reward)
        return self._history.space

    def __call__(self, *, batch: Any, episodes: Any, **kwargs: Any) -> Any:
        """Encode the newest frame of all episodes at once; ``batch`` passes through."""
        current = list(self.single_agent_episode_iterator(episodes))
        if current:
            frames = np.stack([episode.get_observations(-1) for episode in current])
            for episode, encoding in zip(current, self._encode(frames), strict=True):
                episode.set_observations(at_indices=-1, new_data=self._row(episode, encoding))
                # The episode's own space still is that of the frames: with it the encoding would be refused.
                episode.observation_space = self.observation_space
        return batch

    def _row(self, episode: Any, encoding: NDArray[np.float32]) -> NDArray[np.float32]:
        """The observation that an encoding becomes.

        The one before it is kept apart from the episode's observations, which later connectors may have changed.
        """
        if self._history is None:
            return encoding
        if episode.t == 0:
            row = self._history.start(encoding[None])[0]
        else:
            action, reward = episode.get_actions(-1), episode.get_rewards(-1)
            before = episode.custom_data[_ROW]
            row = self._history.extend(before[None], encoding[None], [action], [reward])[0]
        episode.custom_data[_ROW] = row
        # A copy: connectors may also write into the row.
        return row.copy()
