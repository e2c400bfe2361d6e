"""RLlib's policies as players, whatever their connectors and environments."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from heist_encoders.envs.history import History
from heist_encoders.envs.options import ACTIONS, EnvConfig
from heist_encoders.errors import ArtifactError, ConfigError
from heist_encoders.paths import user_path
from heist_encoders.policies.play import StepInput
from heist_encoders.rllib.encoding import FrameEncoder
from heist_encoders.rllib.options import GREEDY
from heist_encoders.rllib.registration import PIXELS, PREFIX, env_name
from heist_encoders.rllib.training import damage_told
from heist_encoders.zoo.lookup import list_artifacts

_CUT_EVERY = 64
_END_OF_SCHEDULES = 2**62


class RLlibPolicy:
    """A policy of RLlib with its own connectors, so that it sees what it saw in training.

    Args:
        module: the RLModule.
        env_to_module: its pipeline from observations to the module.
        module_to_env: its pipeline from the module's output to actions.
        encode: the encoder of a policy that was trained on encoded environments; None if it takes frames.
        history: how its environments made observations of the encodings; None if they are the encodings.
        greedy: the most probable action; else sampled with torch's generator (default, see ``GREEDY``).
        lookback: steps of an episode that the connectors may look back.
        env_steps: steps of the training so far, by which exploration goes that has a schedule, such as DQN's; None: it
            is at its end.
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
        env_steps: int | None = None,
    ) -> None:
        self._module = module
        self._env_to_module = env_to_module
        self._module_to_env = module_to_env
        self._encode = encode
        self._history = history
        self._explore = not greedy
        self._lookback = max(1, lookback)
        self._env_steps = _END_OF_SCHEDULES if env_steps is None else env_steps
        self._episodes: dict[int, Any] = {}
        self._rows: dict[int, NDArray[np.float32]] = {}
        self._last: dict[int, tuple[Any, dict[str, Any]]] = {}

    @classmethod
    def from_algorithm(cls, algorithm: Any, *, greedy: bool = GREEDY, frames: bool = True) -> Self:
        """The current policy of a built algorithm, with connectors of its own: the training's do not change.

        Args:
            algorithm: what RLlib built.
            greedy: as in the constructor.
            frames: whether it is to play frames (``act``); else the observations of its environment (``decide``).

        Raises:
            ConfigError: if it is to play frames, and its environment is none that this package registered.
        """
        from ray.rllib.core import COMPONENT_ENV_TO_MODULE_CONNECTOR, COMPONENT_MODULE_TO_ENV_CONNECTOR

        runner, config = algorithm.env_runner, algorithm.config
        encode = frame_encoder(config.env, config.env_config) if frames else None
        module = playing_module(algorithm)
        device = next((value.device for value in module.parameters()), "cpu")
        env, spaces = (None, None) if runner is None else (runner.env, runner.get_spaces())
        env_to_module = config.build_env_to_module_connector(env=env, spaces=spaces, device=device)
        module_to_env = config.build_module_to_env_connector(env=env, spaces=spaces)
        if runner is not None:
            # Connectors hold what they learned of observations, and go on learning where they are called.
            names = (COMPONENT_ENV_TO_MODULE_CONNECTOR, COMPONENT_MODULE_TO_ENV_CONNECTOR)
            state = copy.deepcopy(runner.get_state(components=list(names)))
            env_to_module.set_state(state[names[0]])
            module_to_env.set_state(state[names[1]])
        return cls(
            module,
            env_to_module,
            module_to_env,
            encode=encode,
            history=history(encode, config.env_config),
            greedy=greedy,
            lookback=config.episode_lookback_horizon,
            env_steps=None if runner is None else runner.num_env_steps_sampled_lifetime,
        )

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        *,
        env: str,
        env_config: Mapping[str, Any],
        greedy: bool = GREEDY,
        lookback: int = 1,
        frames: bool = True,
        env_steps: int | None = None,
    ) -> Self:
        """The policy of a checkpoint of RLlib's, without building its algorithm or starting Ray.

        Ray's checkpoints contain pickles of Ray's own: open only those that you trust.

        Args:
            path: the folder that ``Algorithm.save_to_path`` wrote.
            env: the environment's name in the configuration (``heist-vae-alex``).
            env_config: its options.
            greedy, lookback, env_steps: as in the constructor.
            frames: as in ``from_algorithm``.

        Raises:
            ArtifactError: if there is no checkpoint of a policy, or it was cut or altered.
            ConfigError: as ``from_algorithm``.
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
        encode = frame_encoder(env, env_config) if frames else None
        with damage_told(path):
            parts = (
                RLModule.from_checkpoint(module),
                EnvToModulePipeline.from_checkpoint(pipelines / "env_to_module_connector"),
                ModuleToEnvPipeline.from_checkpoint(pipelines / "module_to_env_connector"),
            )
        return cls(
            *parts,
            encode=encode,
            history=history(encode, env_config),
            greedy=greedy,
            lookback=lookback,
            env_steps=env_steps,
        )

    def start(self, games: Sequence[int]) -> None:
        """Forget the episodes, and with them the recurrent states."""
        for game in games:
            self._episodes.pop(game, None)
            self._last.pop(game, None)
            self._rows.pop(game, None)

    def act(self, step: StepInput) -> NDArray[np.int64]:
        """One forward pass for all games."""
        games = step.games.tolist()
        observations: Any = step.frames
        if self._encode is not None:
            observations = self._encode(step.frames)
        if self._history is not None:
            observations = [
                self._row(self._history, game, encoding, float(reward))
                for game, encoding, reward in zip(games, observations, step.rewards, strict=True)
            ]
        return self.decide(games, observations, step.rewards)

    def decide(self, games: Sequence[int], observations: Iterable[Any], rewards: Iterable[Any]) -> NDArray[np.int64]:
        """Actions for the observations of the policy's own environment.

        Args:
            games: numbers of the games, n.
            observations: n, as the environment gives them, before any connector.
            rewards: n, of the steps that led there; not used at an episode's start.

        Returns:
            int64 (n,).
        """
        from ray.rllib.core.columns import Columns

        episodes = [
            self._extend(game, observation, float(reward))
            for game, observation, reward in zip(games, observations, rewards, strict=True)
        ]
        shared_data: dict[str, Any] = {}
        common = {"rl_module": self._module, "episodes": episodes, "explore": self._explore, "shared_data": shared_data}
        batch = self._env_to_module(batch={}, **common)
        if self._explore:
            output = self._module.forward_exploration(batch, t=self._env_steps)
        else:
            output = self._module.forward_inference(batch)
        output = self._module_to_env(batch=output, **common)
        actions = output.pop(Columns.ACTIONS)
        for index, game in enumerate(games):
            self._last[game] = (actions[index], {key: value[index] for key, value in output.items()})
        return np.asarray(output.get(Columns.ACTIONS_FOR_ENV, actions), dtype=np.int64)

    def _row(self, history: History, game: int, encoding: Any, reward: float) -> NDArray[np.float32]:
        """The observation with its history. Not made of the one in the episode: connectors may have changed that."""
        before = self._rows.get(game)
        if before is None:
            row = history.start(encoding[None])[0]
        else:
            row = history.extend(before[None], encoding[None], [self._last[game][0]], [reward])[0]
        self._rows[game] = row
        return row

    def _extend(self, game: int, observation: Any, reward: float) -> Any:
        """The episode of a game with its newest step, as RLlib's env runner would have built it."""
        from ray.rllib.env.single_agent_episode import SingleAgentEpisode

        episode = self._episodes.get(game)
        if episode is None:
            episode = SingleAgentEpisode()
            episode.add_env_reset(observation=observation)
        else:
            if len(episode) >= _CUT_EVERY:
                episode = episode.cut(len_lookback_buffer=self._lookback)
            action, extra = self._last[game]
            episode.add_env_step(observation=observation, action=action, reward=reward, extra_model_outputs=extra)
        self._episodes[game] = episode
        return episode


def playing_module(algorithm: Any) -> Any:
    """The RLModule that plays: the local env runner's, or, where there is none (BC), one with the learners' weights."""
    from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE, DEFAULT_MODULE_ID

    if algorithm.env_runner is not None:
        return algorithm.env_runner.module
    config = algorithm.config
    spaces = {DEFAULT_MODULE_ID: (config.observation_space, config.action_space)}
    module = config.get_rl_module_spec(spaces=spaces).build()
    state = algorithm.learner_group.get_state(components=f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}")
    module.set_state(state[COMPONENT_LEARNER][COMPONENT_RL_MODULE][DEFAULT_MODULE_ID])
    return module


def plays_frames(env: Any, env_config: Mapping[str, Any]) -> bool:
    """Whether an environment is one that ``register`` makes, whose observations follow from frames."""
    if not isinstance(env, str) or not env.startswith(PREFIX):
        return False
    return env == PIXELS or env_config.get("encoder") is not None or env in {env_name(a.name) for a in list_artifacts()}


def frame_encoder(env: Any, env_config: Mapping[str, Any]) -> FrameEncoder | None:
    """The encoder inside the environment that a configuration names, None if its observations are frames.

    Raises:
        ConfigError: for an environment that ``register`` did not make: what it shows, only it knows.
    """
    if not plays_frames(env, env_config):
        raise ConfigError(
            f"the policy was trained in the environment {env!r}, expected one of this package's ({PREFIX}...): play it "
            "with evaluate_policy, or in its environment"
        )
    encoder = env_config.get("encoder")
    if encoder is None and env != PIXELS:
        encoder = env.removeprefix(PREFIX)
    if encoder is None:
        return None
    known = EnvConfig.from_dict({name: value for name, value in env_config.items() if name in EnvConfig.model_fields})
    return FrameEncoder(
        encoder,
        distribution_mode=known.distribution_mode,
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
