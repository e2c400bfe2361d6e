"""Policies: frames in, actions out. An encoder and a head, without Ray."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from heist_encoders.constants import MAX_ACTION_REPEAT, NUM_ACTIONS, NUM_MOVES
from heist_encoders.deprecation import old_names
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject
from heist_encoders.policies.heads import HeadPolicy, State
from heist_encoders.policies.play import ActionRepeat, StepInput, play_episodes
from heist_encoders.zoo.artifact import Artifact

if TYPE_CHECKING:
    from heist_encoders.zoo.encoder import Encoder

ACTIONS = {"moves": NUM_MOVES, "all": NUM_ACTIONS}
"""Name of a set of actions -> how many."""


class Policy:
    """A head on an encoder. Saved with ``save_policy``, loaded with ``load_policy``.

    Args:
        head: takes the encoder's encodings.
        encoder: the artifact of the encoder.
        normalize: encodings by the mean and standard deviation stored in the artifact.
        action_repeat: steps of the game for which each of its actions is held.
        name: of the policy.
        training: how it was trained, with the frames and demonstrations that it saw.
        metrics: what an evaluation found.
        backend: of the encoder, ``torch``, ``openvino`` or ``auto`` (they differ in the last digits).
        device: of the encoder and the head.

    Raises:
        ConfigError: if the head takes encodings of another shape.
    """

    def __init__(
        self,
        head: HeadPolicy,
        encoder: Artifact,
        *,
        normalize: bool = True,
        action_repeat: int = 1,
        name: str = "policy",
        training: Mapping[str, object] | None = None,
        metrics: Mapping[str, object] | None = None,
        backend: str = "auto",
        device: str = "cpu",
    ) -> None:
        if head.shape != tuple(encoder.encoding_shape):
            raise ConfigError(
                f"the head takes encodings of shape {head.shape}, encoder {encoder.name!r} gives "
                f"{tuple(encoder.encoding_shape)}; use the encoder that the policy was trained on"
            )
        if head.num_actions not in ACTIONS.values():
            raise ConfigError(f"the head has {head.num_actions} actions, expected one of {sorted(ACTIONS.values())}")
        if not 1 <= action_repeat <= MAX_ACTION_REPEAT:
            raise ConfigError(f"action_repeat = {action_repeat}: expected 1 to {MAX_ACTION_REPEAT}")
        self.head = head.eval().to(device)
        self.artifact = encoder
        self.normalize = normalize
        self.action_repeat = action_repeat
        self.name = name
        self.training: JsonObject = dict(training or {})
        self.metrics: JsonObject = dict(metrics or {})
        self.device = device
        self._backend = backend

    @property
    def distribution_mode(self) -> str:
        """The mode of the frames that its encoder was trained on."""
        return self.artifact.distribution_mode

    @property
    def recurrent(self) -> bool:
        """Whether its actions depend on what it saw before."""
        return self.head.lstm is not None

    @functools.cached_property
    def encoder(self) -> Encoder:
        """The loaded encoder."""
        from heist_encoders.zoo.encoder import load_encoder

        return load_encoder(self.artifact, device=self.device, backend=self._backend)

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, 64, 64, 3) -> float32 (N, *shape), as the head takes them."""
        encodings = self.encoder.encode(frames)
        return self.encoder.normalize(encodings) if self.normalize else encodings

    def logits(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, 64, 64, 3) -> float32 (N, actions). A recurrent policy takes each for the first of an episode."""
        return self.step(frames, None)[0]

    @torch.no_grad()
    def step(self, frames: NDArray[np.uint8], state: State | None) -> tuple[NDArray[np.float32], State | None]:
        """Logits and the next state of a recurrent policy; the state before is None at the start of all episodes."""
        encodings = torch.from_numpy(np.ascontiguousarray(self.encode(frames), np.float32)).to(self.device)
        logits, _, state = self.head(encodings, state)
        values: NDArray[np.float32] = logits.float().cpu().numpy()
        return values, state

    def act(
        self, frames: NDArray[np.uint8], *, greedy: bool = False, rng: np.random.Generator | None = None
    ) -> NDArray[np.int64]:
        """An action for each frame, to be held for ``action_repeat`` steps of the game.

        Args:
            frames: uint8 (N, 64, 64, 3).
            greedy: the most probable action; else drawn from the policy's distribution. A policy without memory that
                is greedy runs in circles wherever it errs.
            rng: to draw with; None: a fresh one.

        Returns:
            int64 (N,), procgen's actions: 0 to 8, or to 14.

        Raises:
            ConfigError: for a recurrent policy, which needs the order of the steps: use ``PolicyRunner``.
        """
        if self.recurrent:
            raise ConfigError(f"policy {self.name!r} is recurrent; run it with PolicyRunner(policy)")
        return choose(self.logits(frames), None if greedy else rng or np.random.default_rng())


def choose(logits: NDArray[np.float32], rng: np.random.Generator | None) -> NDArray[np.int64]:
    """Draw from softmax(logits), float32 (N, A) -> int64 (N,); without a generator the largest."""
    values = logits.astype(np.float64)
    if rng is not None:
        values += rng.gumbel(size=values.shape)
    actions: NDArray[np.int64] = values.argmax(axis=1).astype(np.int64)
    return actions


class PolicyRunner:
    """Runs a policy in many games at once: holds its actions, and keeps the state of a recurrent one.

    Args:
        policy: what to play.
        greedy: the most probable actions; else drawn.
        seed: of the draws.
    """

    name = "policy"

    def __init__(self, policy: Policy, *, greedy: bool = False, seed: int = 0) -> None:
        self.policy = policy
        self.greedy = greedy
        self._decisions = _Decisions(policy, None if greedy else np.random.default_rng(seed))
        self._player = ActionRepeat(self._decisions, policy.action_repeat)

    def start(self, games: Sequence[int]) -> None:
        """New episodes have begun in these games."""
        self._player.start(games)

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """int64 (n,): an action for each game."""
        return self._player.act(seen)


class _Decisions:
    """A new action of a policy whenever it is asked."""

    name = "policy"

    def __init__(self, policy: Policy, rng: np.random.Generator | None) -> None:
        self.policy, self._rng = policy, rng
        self._states: dict[int, State] = {}

    def start(self, games: Sequence[int]) -> None:
        """Forget the states of these games."""
        for game in games:
            self._states.pop(int(game), None)

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """int64 (n,): an action for each game."""
        games = [int(game) for game in seen.games]
        state = None
        if self.policy.recurrent:
            units = self.policy.head.config.lstm
            empty = torch.zeros(units, device=self.policy.device)
            kept = [self._states.get(game, (empty, empty)) for game in games]
            state = torch.stack([h for h, _ in kept]), torch.stack([c for _, c in kept])
        logits, state = self.policy.step(seen.frames, state)
        if state is not None:
            self._states.update({game: (state[0][row], state[1][row]) for row, game in enumerate(games)})
        return choose(logits, self._rng)


class Recorder:
    """A policy that keeps the frames that another one sees.

    Attributes:
        frames: game -> list of uint8 (64, 64, 3), in order.
    """

    def __init__(self, runner: PolicyRunner) -> None:
        self.name, self.runner = runner.name, runner
        self.frames: dict[int, list[NDArray[np.uint8]]] = {}

    def start(self, games: Sequence[int]) -> None:
        """New episodes have begun in these games."""
        self.runner.start(games)
        self.frames.update({int(game): [] for game in games})

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """int64 (n,): the other policy's actions."""
        for game, frame in zip(seen.games.tolist(), seen.frames, strict=True):
            self.frames[game].append(frame.copy())
        return self.runner.act(seen)


def solved_game(
    policy: Policy, levels: Sequence[int], *, seed: int = 0, max_steps: int = 400
) -> tuple[int, NDArray[np.uint8]] | None:
    """Play some levels once more, with sampled actions, and keep what was seen in the first one that is solved.

    Args:
        policy: what plays.
        levels: level seeds, the most wanted first.
        seed: of the draws.
        max_steps: longer episodes do not count.

    Returns:
        The level and the frames uint8 (T, 64, 64, 3) from its start to the last one before its end; None if none is
        solved.
    """
    if not levels:
        return None
    recorder = Recorder(PolicyRunner(policy, seed=seed))
    artifact = policy.artifact
    options = {
        "game": artifact.game, "distribution_mode": artifact.distribution_mode,
        "use_backgrounds": artifact.use_backgrounds,
    }  # fmt: skip
    for game, result in enumerate(play_episodes(recorder, levels, options, num_games=len(levels))):
        if result.success and result.length <= max_steps:
            return result.level_seed, np.stack(recorder.frames[game])
    return None


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__, {"PolicyPlayer": "PolicyRunner"})
