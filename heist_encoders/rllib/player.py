"""RLlib's policies as players, whatever their connectors and environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from heist_encoders.envs.history import History
from heist_encoders.envs.options import ACTIONS, EnvConfig
from heist_encoders.errors import ArtifactError
from heist_encoders.paths import user_path
from heist_encoders.policies.play import StepInput as Turn
from heist_encoders.rllib.encoding import FrameEncoder
from heist_encoders.rllib.options import GREEDY
from heist_encoders.rllib.registration import PIXELS, PREFIX

_CUT_EVERY = 64


class RLlibPlayer:
    """A policy of RLlib with its own connectors, so that it sees what it saw in training.

    Args:
        module: the RLModule.
        env_to_module: its pipeline from observations to the module.
        module_to_env: its pipeline from the module's output to actions.
        encode: the encoder of a policy that was trained on encoded environments; None if it takes frames.
        history: how its environments made observations of the encodings; None if they are the encodings.
        greedy: the most probable action; else sampled with torch's generator (default, see ``GREEDY``).
        lookback: steps of an episode that the connectors may look back.
    """

    name = "policy"

    def __init__(
        self,
        module: Any,
        env_to_module: Any,
        module_to_env: Any,
        *,
        encode: FrameEncoder | None,
        history: History | None = None,
        greedy: bool = GREEDY,
        lookback: int = 1,
    ) -> None:
        self._module = module
        self._env_to_module = env_to_module
        self._module_to_env = module_to_env
        self._encode = encode
        self._history = history
        self._explore = not greedy
        self._lookback = max(1, lookback)
        self._episodes: dict[int, Any] = {}
        self._last: dict[int, tuple[Any, dict[str, Any]]] = {}

    @classmethod
    def from_algorithm(cls, algorithm: Any, *, greedy: bool = GREEDY) -> Self:
        """The current policy of a built algorithm."""
        runner, config = algorithm.env_runner, algorithm.config
        encode = frame_encoder(config.env, config.env_config)
        return cls(
            runner.module,
            runner._env_to_module,
            runner._module_to_env,
            encode=encode,
            history=history(encode, config.env_config),
            greedy=greedy,
            lookback=config.episode_lookback_horizon,
        )

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, *, env: str, env_config: Mapping[str, Any], greedy: bool = GREEDY, lookback: int = 1
    ) -> Self:
        """The policy of a checkpoint of RLlib's, without building its algorithm or starting Ray.

        Ray's checkpoints contain pickles of Ray's own: open only those that you trust.

        Args:
            path: the folder that ``Algorithm.save_to_path`` wrote.
            env: the environment's name in the configuration (``heist-vae-alex``).
            env_config: its options.
            greedy: as in the constructor.
            lookback: as in the constructor.

        Raises:
            ArtifactError: if there is no checkpoint of a policy.
        """
        from ray.rllib.connectors.env_to_module import EnvToModulePipeline
        from ray.rllib.connectors.module_to_env import ModuleToEnvPipeline
        from ray.rllib.core.rl_module.rl_module import RLModule

        path = user_path(path).resolve()
        module = path / "learner_group" / "learner" / "rl_module" / "default_policy"
        pipelines = path / "env_runner"
        if not module.is_dir() or not pipelines.is_dir():
            raise ArtifactError(
                f"{path} is no checkpoint of an RLlib policy; expected a folder that Algorithm.save_to_path wrote"
            )
        encode = frame_encoder(env, env_config)
        return cls(
            RLModule.from_checkpoint(module),
            EnvToModulePipeline.from_checkpoint(pipelines / "env_to_module_connector"),
            ModuleToEnvPipeline.from_checkpoint(pipelines / "module_to_env_connector"),
            encode=encode,
            history=history(encode, env_config),
            greedy=greedy,
            lookback=lookback,
        )

    def start(self, games: Sequence[int]) -> None:
        """Forget the episodes, and with them the recurrent states."""
        for game in games:
            self._episodes.pop(game, None)
            self._last.pop(game, None)

    def act(self, turn: Turn) -> NDArray[np.int64]:
        """One forward pass for all games."""
        from ray.rllib.core.columns import Columns

        observations = turn.frames if self._encode is None else self._encode(turn.frames)
        games = turn.games.tolist()
        episodes = [
            self._extend(game, observation, float(reward))
            for game, observation, reward in zip(games, observations, turn.rewards, strict=True)
        ]
        shared_data: dict[str, Any] = {}
        common = {"rl_module": self._module, "episodes": episodes, "explore": self._explore, "shared_data": shared_data}
        batch = self._env_to_module(batch={}, **common)
        forward = self._module.forward_exploration if self._explore else self._module.forward_inference
        output = self._module_to_env(batch=forward(batch), **common)
        actions = output.pop(Columns.ACTIONS)
        for index, game in enumerate(games):
            self._last[game] = (actions[index], {key: value[index] for key, value in output.items()})
        return np.asarray(output.get(Columns.ACTIONS_FOR_ENV, actions), dtype=np.int64)

    def _extend(self, game: int, observation: Any, reward: float) -> Any:
        """The episode of a game with its newest step, as RLlib's env runner would have built it."""
        from ray.rllib.env.single_agent_episode import SingleAgentEpisode

        episode = self._episodes.get(game)
        if episode is None:
            if self._history is not None:
                observation = self._history.start(observation[None])[0]
            episode = SingleAgentEpisode()
            episode.add_env_reset(observation=observation)
        else:
            if len(episode) >= _CUT_EVERY:
                episode = episode.cut(len_lookback_buffer=self._lookback)
            action, extra = self._last[game]
            if self._history is not None:
                before = np.asarray(episode.get_observations(-1))
                observation = self._history.extend(before[None], observation[None], [action], [reward])[0]
            episode.add_env_step(observation=observation, action=action, reward=reward, extra_model_outputs=extra)
        self._episodes[game] = episode
        return episode


def frame_encoder(env: Any, env_config: Mapping[str, Any]) -> FrameEncoder | None:
    """The encoder inside the environment that a configuration names, None if its observations are frames."""
    encoder = env_config.get("encoder")
    if encoder is None and isinstance(env, str) and env.startswith(PREFIX) and env != PIXELS:
        encoder = env.removeprefix(PREFIX)
    if encoder is None:
        return None
    known = EnvConfig.from_dict({name: value for name, value in env_config.items() if name in EnvConfig.model_fields})
    return FrameEncoder(
        encoder,
        distribution_mode=env_config.get("distribution_mode", "memory"),
        normalize=known.normalize,
        options=known.encoder_options,
    )


def history(encode: FrameEncoder | None, env_config: Mapping[str, Any]) -> History | None:
    """How the environment of a configuration makes observations of its encodings, None if they are the encodings."""
    stack, previous = env_config.get("frame_stack", 1), env_config.get("previous_action_reward", False)
    if encode is None or (stack == 1 and not previous):
        return None
    actions = ACTIONS[env_config.get("actions", EnvConfig().actions)]
    return History(encode.size, frame_stack=stack, num_actions=actions if previous else 0)
