"""An env runner that keeps a fragment in arrays and makes its episodes at the end, one slice each.

RLlib's own runner appends every step of every game to lists, passes the lists through eleven connectors and stacks
them again when the fragment is done. With the default connectors and a vector environment nothing of that changes the
result: here a step is one forward pass, one draw of actions and one call of the environment, on whole arrays.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
import time
from typing import Any

import numpy as np
import tree
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.common.tensor_to_numpy import TensorToNumpy
from ray.rllib.connectors.env_to_module import (
    AddObservationsFromEpisodesToBatch,
    AddStatesFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    BatchIndividualItems,
    NumpyToTensor,
)
from ray.rllib.connectors.module_to_env import (
    GetActions,
    ListifyDataForVectorEnv,
    NormalizeAndClipActions,
    RemoveSingleTsTimeRankFromBatch,
    UnBatchToIndividualItems,
)
from ray.rllib.core.columns import Columns
from ray.rllib.env.env_runner import ENV_STEP_FAILURE
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
from ray.rllib.utils.metrics import (
    CONNECTOR_PIPELINE_TIMER,
    ENV_TO_MODULE_CONNECTOR,
    ENV_TO_MODULE_SUM_EPISODES_LENGTH_IN,
    ENV_TO_MODULE_SUM_EPISODES_LENGTH_OUT,
    MODULE_TO_ENV_CONNECTOR,
    RLMODULE_INFERENCE_TIMER,
    WEIGHTS_SEQ_NO,
)
from ray.rllib.utils.numpy import convert_to_numpy
from ray.rllib.utils.spaces import space_utils
from ray.rllib.utils.torch_utils import convert_to_torch_tensor

_items: Any = space_utils.unbatch

logger = logging.getLogger(__name__)

_CURRICULUM = "curriculum"

EPISODE_CALLBACKS = ("on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end")
_ENV_TO_MODULE = [
    AddObservationsFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    AddStatesFromEpisodesToBatch,
    BatchIndividualItems,
    NumpyToTensor,
]
_MODULE_TO_ENV = [
    GetActions,
    TensorToNumpy,
    UnBatchToIndividualItems,
    RemoveSingleTsTimeRankFromBatch,
    NormalizeAndClipActions,
    ListifyDataForVectorEnv,
]


# Half of RLlib's methods and attributes have no types, and others wrong ones.
_Runner: Any = SingleAgentEnvRunner


class ArrayEnvRunner(_Runner):
    """RLlib's ``SingleAgentEnvRunner``, faster on vector environments: the same episodes, metrics and checkpoints.

        config.env_runners(env_runner_cls=ArrayEnvRunner, gym_env_vectorize_mode="vector_entry_point")

    For what its arrays cannot do it runs RLlib's own loop instead, and logs why once: connectors of the user's (they
    work on single episodes), ``on_episode_*`` callbacks (they get an episode that grows step by step), another
    framework than torch, other spaces than Box and Discrete, an autoreset other than ``NEXT_STEP``, and
    ``episodes_to_numpy=False``; also, unlogged, for ``sample(random_actions=True)``. All other callbacks are
    called as ever.

    Two things differ on purpose. The timers of single connectors are not logged, for they do not run. And the metrics
    of an episode that was cut are kept as numbers: RLlib keeps the chunks themselves, which a learner in the same
    process makes a step longer before they are counted.
    """

    _needs_initial_reset: bool
    _cached_to_module: dict[str, Any] | None

    @property
    def own_loop_reason(self) -> str | None:
        """Why RLlib's own loop is used, None if it is not."""
        space, actions = self.env.single_observation_space, self.env.single_action_space
        if self.module is None or self.config.framework_str != "torch":
            return "there is no torch RLModule"
        if not isinstance(space, Box) or not isinstance(actions, Discrete):
            return f"its arrays hold Box observations and Discrete actions, not {space} and {actions}"
        if self.env.metadata.get("autoreset_mode") is not AutoresetMode.NEXT_STEP:
            return f"the environment's autoreset_mode is {self.env.metadata.get('autoreset_mode')}, not NEXT_STEP"
        if not self.config.episodes_to_numpy:
            return "episodes_to_numpy is False"
        for pipeline, usual in ((self._env_to_module, _ENV_TO_MODULE), (self._module_to_env, _MODULE_TO_ENV)):
            unusual = [type(piece).__name__ for piece in pipeline.connectors if type(piece) not in usual]
            if unusual:
                return f"the connector {unusual[0]} works on single episodes"
            if len(pipeline.connectors) != len(usual):
                return f"{type(pipeline).__name__} lacks default connectors"
        for name in EPISODE_CALLBACKS:
            overridden = any(getattr(type(obj), name) is not getattr(RLlibCallback, name) for obj in self._callbacks)
            if overridden or getattr(self.config, f"callbacks_{name}"):
                return f"the callback {name} needs episodes that grow step by step"
        return None

    def _sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> list[Any]:
        reason = self.own_loop_reason
        if reason is not None and not getattr(self, "_said_why", False):
            logger.warning("%s runs RLlib's own loop: %s", type(self).__name__, reason)
            self._said_why = True
        if reason is not None or random_actions or not (num_timesteps or num_episodes):
            return super()._sample(
                num_timesteps=num_timesteps,
                num_episodes=num_episodes,
                explore=explore,
                random_actions=random_actions,
                force_reset=force_reset,
            )
        if force_reset or num_episodes is not None or self._needs_initial_reset:
            self._reset_envs_and_episodes(explore)
        if num_episodes is not None:
            self._needs_initial_reset = True

        self.module.eval()  # else every forward pass switches all of its parts there and back
        done: list[Any] = []
        fragment = _Fragment(self)
        ts = 0
        while ts < num_timesteps if num_timesteps is not None else len(done) + fragment.num_done < (num_episodes or 0):
            output, actions = self._act(explore, ts)
            results = self._try_env_step(actions)
            if results == ENV_STEP_FAILURE:
                # As RLlib does: what has ended stays, all games start anew.
                done += fragment.done_episodes()
                ts = 0
                self._reset_envs_and_episodes(explore)
                fragment = _Fragment(self)
                continue
            limit = None if num_episodes is None else num_episodes - len(done)
            ts += fragment.add(results, actions, output, limit)
            with self.metrics.log_time((ENV_TO_MODULE_CONNECTOR, CONNECTOR_PIPELINE_TIMER)):
                state = output.get(Columns.STATE_OUT)
                self._cached_to_module = self._to_module(results[0], state, fragment.just_reset)
            length = fragment.chunk_lengths.sum()
            self.metrics.log_value(ENV_TO_MODULE_SUM_EPISODES_LENGTH_IN, length)
            self.metrics.log_value(ENV_TO_MODULE_SUM_EPISODES_LENGTH_OUT, length)

        done += fragment.done_episodes()
        self._done_episodes_for_metrics.extend(_Played.of(episode) for episode in done)
        ongoing = fragment.cut_episodes() if num_timesteps is not None else []
        for episode in ongoing:
            self._ongoing_episodes_for_metrics[episode.id_].append(_Played.of(episode))
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=ts)
        self._increase_sampled_metrics(ts, len(done))
        return done + ongoing

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """RLlib's, and the curriculum of the environments' starts, so that a checkpoint goes on where it was."""
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        curriculum = _curriculum_of(self)
        return state if components is not None or curriculum is None else state | {_CURRICULUM: curriculum}

    def set_state(self, state: dict[str, Any]) -> None:
        """See ``get_state``."""
        super().set_state(state)
        if _CURRICULUM in state and _curriculum_of(self) is not None:
            self.env.unwrapped.curriculum = state[_CURRICULUM]

    def _act(self, explore: bool, ts: int) -> tuple[dict[str, Any], Any]:
        """The module's output, with the actions' log probabilities, and the actions int32 (N,) apart."""
        to_module, self._cached_to_module = self._cached_to_module, None
        if explore:
            runners = self.config.num_env_runners or 1
            steps = (self.num_env_steps_sampled_lifetime // runners + ts) * runners
            with self.metrics.log_time(RLMODULE_INFERENCE_TIMER):
                output = self.module.forward_exploration(to_module, t=steps)
        else:
            with self.metrics.log_time(RLMODULE_INFERENCE_TIMER):
                output = self.module.forward_inference(to_module)
        with self.metrics.log_time((MODULE_TO_ENV_CONNECTOR, CONNECTOR_PIPELINE_TIMER)):
            if Columns.ACTIONS not in output:
                self._draw_actions(output, explore)
            return output, convert_to_numpy(output.pop(Columns.ACTIONS).reshape(self.num_envs))

    def _draw_actions(self, output: dict[str, Any], explore: bool) -> None:
        """What the connector ``GetActions`` does."""
        module = self.module
        get_class = module.get_exploration_action_dist_cls if explore else module.get_inference_action_dist_cls
        distribution = get_class().from_logits(output[Columns.ACTION_DIST_INPUTS])
        if not explore:
            distribution = distribution.to_deterministic()
        output[Columns.ACTIONS] = distribution.sample()
        if Columns.ACTION_LOGP not in output:
            output[Columns.ACTION_LOGP] = distribution.logp(output[Columns.ACTIONS])

    def _to_module(self, observations: Any, state: Any, just_reset: Any) -> dict[str, Any]:
        """What the env-to-module pipeline makes of a step: games just reset get the module's initial state."""
        batch: dict[str, Any] = {Columns.OBS: convert_to_torch_tensor(observations, device=self._device)}
        if state is not None:
            batch[Columns.OBS] = batch[Columns.OBS].unsqueeze(1)
            if just_reset.any():
                mask = convert_to_torch_tensor(just_reset, device=self._device)
                initial = convert_to_torch_tensor(self.module.get_initial_state(), device=self._device)
                state = tree.map_structure(
                    lambda now, first: now.where(~mask.view(-1, *[1] * first.dim()), first), state, initial
                )
            batch[Columns.STATE_IN] = state
        return batch


def _curriculum_of(env_runner: Any) -> dict[str, Any] | None:
    env = env_runner.env
    return None if env is None else getattr(env.unwrapped, "curriculum", None)


def log_curriculum(*, env_runner: Any, metrics_logger: Any, **_: Any) -> None:
    """RLlib's ``on_sample_end``: the curriculum's bound as ``env_runners/curriculum_bound``."""
    curriculum = _curriculum_of(env_runner)
    if curriculum is not None:
        metrics_logger.log_value("curriculum_bound", curriculum["bound"], window=1)


@dataclasses.dataclass(frozen=True)
class _Played:
    """What ``get_metrics`` asks of an episode or a chunk of one."""

    id_: str
    length: int
    episode_return: float
    seconds: float
    is_done: bool

    @classmethod
    def of(cls, episode: Any) -> _Played:
        return cls(episode.id_, len(episode), episode.get_return(), episode.get_duration_s(), bool(episode.is_done))

    def __len__(self) -> int:
        return self.length

    def get_return(self) -> float:
        return self.episode_return

    def get_duration_s(self) -> float:
        return self.seconds


class _Fragment:
    """The steps since the last cut, row t being the step that was made t-th; and the episodes they belong to.

    A game's episode began before the fragment (it then holds its last observation and some steps to look back on) or
    at row ``first``, whose step was the game's reset: only that row's observation counts.
    """

    def __init__(self, runner: ArrayEnvRunner) -> None:
        self.runner = runner
        self.episodes: list[Any] = runner._ongoing_episodes
        self.reset = np.array([episode.is_reset for episode in self.episodes])
        self.chunk_lengths = np.array([len(episode) for episode in self.episodes])
        self.just_reset = np.zeros(runner.num_envs, dtype=np.bool_)
        self._first = [0] * runner.num_envs
        self._observations: list[Any] = []
        self._rewards: list[Any] = []
        self._infos: list[Any] = []
        self._actions: list[Any] = []
        self._outputs: list[dict[str, Any]] = []
        self._times: list[float] = []
        self._done: list[tuple[int, int, Any, int, Any, Any]] = []
        self._columns: tuple[Any, ...] | None = None

    @property
    def num_done(self) -> int:
        """Episodes that have ended in this fragment."""
        return len(self._done)

    def add(self, results: Any, actions: Any, output: dict[str, Any], limit: int | None) -> int:
        """Keep a step; episodes beyond ``limit`` ended ones are not wanted. Returns the steps that were no resets."""
        observations, rewards, terminated, truncated, infos = results
        self._observations.append(observations)
        self._rewards.append(rewards)
        self._infos.append(infos)
        self._actions.append(actions)
        self._outputs.append(output)
        self._times.append(time.perf_counter())
        stepped = self.reset
        self.just_reset = ~stepped
        self.chunk_lengths = np.where(stepped, self.chunk_lengths + 1, 0)
        ended = stepped & (terminated | truncated)
        self.reset = ~ended
        row = len(self._times) - 1
        for i in np.flatnonzero(ended).tolist():
            if limit is not None and len(self._done) >= limit:
                break
            self._done.append((i, row, self.episodes[i], self._first[i], terminated[i], truncated[i]))
            self._first[i] = row + 1
            self.runner._new_episode(i, self.episodes)
        return int(np.count_nonzero(stepped))

    def done_episodes(self) -> list[Any]:
        """The episodes that have ended, in the order in which they did."""
        for i, row, episode, first, terminated, truncated in self._done:
            self._fill(episode, i, first, row)
            episode.is_terminated, episode.is_truncated = terminated, truncated
        return [entry[2] for entry in self._done]

    def cut_episodes(self) -> list[Any]:
        """The chunks of all others that have steps; the runner goes on with their continuations."""
        row = len(self._times) - 1
        chunks, continuations = [], []
        lookback = self.runner.config.episode_lookback_horizon
        for i, episode in enumerate(self.episodes):
            first = self._first[i]
            if episode.is_reset or first < row:
                self._fill(episode, i, first, row)
                chunks.append(episode)
            elif first == row:
                episode.add_env_reset(self._observations[row][i], self._infos[row][i])
            continuations.append(_continuation(episode, lookback) if episode.is_numpy else episode.cut(lookback))
        self.runner._ongoing_episodes = continuations
        return chunks

    def _fill(self, episode: Any, i: int, first: int, last: int) -> None:
        """Give an episode the rows ``first`` to ``last`` of game i."""
        if self._columns is None:
            self._columns = self._stacked()
        observations, actions, rewards, outputs = self._columns
        rows, steps = slice(first, last + 1), slice(first if episode.is_reset else first + 1, last + 1)
        _extend(episode.observations, observations[i, rows])
        _extend(episode.actions, actions[i, steps])
        _extend(episode.rewards, rewards[i, steps])
        episode.infos.data.extend(infos[i] or {} for infos in self._infos[rows])
        for key, values in outputs.items():
            buffer = episode.extra_model_outputs.setdefault(key, InfiniteLookbackBuffer())
            values = tree.map_structure(lambda value: value[i, steps], values)
            _extend(buffer, values, as_before=Columns.STATE_OUT in outputs)
        episode.t += steps.stop - steps.start
        episode._last_added_observation = self._observations[last][i]
        episode._last_added_infos = episode.infos.data[-1]
        episode._start_time = episode._start_time or self._times[first]
        episode._last_step_time = self._times[last]
        episode.validate()

    def _stacked(self) -> tuple[Any, ...]:
        """Observations, actions, rewards and outputs, each (N, T, ...): a game's rows lie side by side."""
        outputs: dict[str, Any] = {}
        for key, first in self._outputs[0].items():
            values = tree.map_structure(_stack_tensors, first, *[output[key] for output in self._outputs[1:]])
            if Columns.STATE_OUT in self._outputs[0] and key != Columns.STATE_OUT:
                values = tree.map_structure(lambda value: value.squeeze(2), values)
            outputs[key] = values
        actions = np.stack(self._actions, axis=1)
        outputs[WEIGHTS_SEQ_NO] = np.full(actions.shape, self.runner._weights_seq_no)
        return np.stack(self._observations, axis=1), actions, np.stack(self._rewards, axis=1), outputs


def _stack_tensors(*tensors: Any) -> Any:
    import torch

    return convert_to_numpy(torch.stack(tensors, dim=1))


def _extend(buffer: Any, values: Any, *, as_before: bool = False) -> None:
    """Put arrays (T, ...) behind a list of items; the buffer then is as RLlib's ``to_numpy`` leaves it.

    RLlib stacks arrays with the first one's dtype, ``as_before``, and lets numpy find one for scalars. They only differ
    where exploration was switched on or off within an episode: the log probability of a greedy action is a whole 0.
    """

    def joined(old: Any, new: Any) -> Any:
        dtype = old.dtype if as_before or old.ndim > 1 else np.result_type(old, new)
        return np.concatenate([old, new], dtype=dtype, casting="unsafe")

    buffer.data = tree.map_structure(joined, space_utils.batch(buffer.data), values) if buffer.data else values
    buffer.finalized = True


def _continuation(episode: Any, lookback: int) -> Any:
    """``SingleAgentEpisode.cut`` for one of arrays: lists to append to. Its own takes states' names for a length."""
    last, rest = slice(-lookback - 1, None), slice(-lookback, None) if lookback else slice(None, 0)
    following = SingleAgentEpisode(
        id_=episode.id_,
        observations=_items(episode.get_observations(last)),
        observation_space=episode.observation_space,
        infos=episode.get_infos(last),
        actions=_items(episode.get_actions(rest)),
        action_space=episode.action_space,
        rewards=_items(episode.get_rewards(rest)),
        extra_model_outputs={
            key: _items(episode.get_extra_model_outputs(key, rest)) for key in episode.extra_model_outputs
        },
        t_started=episode.t,
        len_lookback_buffer="auto",
    )
    following._custom_data = copy.deepcopy(episode.custom_data)
    return following
