"""Learning by reward alone from one's own successes, without Ray.

A policy, at first a random one, plays; of the episodes that it solved it learns what it did itself (self-imitation, Oh
et al. 2018), and plays again. A solved episode of a bad player is full of detours, which are not worth imitating: so
each frame is labelled with the action that was taken when its *place* was left for the last time. Whoever never comes
back to a place left it towards the goal; in a maze without loops that action is the way. Neither labels nor the
engine's states have a part in it: two frames show the same place if they differ in nothing beyond a box of about a
cell, as where the agent has turned or moved a little.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from heist_encoders.arrays import Integers
from heist_encoders.constants import FRAME_SHAPE, MAX_ACTION_REPEAT, NUM_MOVES, TRAIN_LEVELS
from heist_encoders.envs.make import make_vector_env
from heist_encoders.errors import ConfigError
from heist_encoders.policies.clone import used_labels
from heist_encoders.policies.heads import HeadConfig, HeadPolicy, head_kind
from heist_encoders.policies.planner import PlannerConfig, fit_head
from heist_encoders.policies.policy import Policy, choose
from heist_encoders.tasks.registry import task_of
from heist_encoders.training.hardware import denormals_as_zero, keep_memory
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.encoder import Encoder, load_encoder

PLANNER = PlannerConfig(channels=16, iterations=12)
"""Sizes of the planner unless others are asked for: it learns in a third of the time that the default ones take."""
PLACE_CELLS = 1.8
"""Side of the box within which frames of one place differ, in cells: an agent is .75 wide, and this much less one cell
apart. Of random play in easy mode, actions held for 4 steps, 71% of the labels lead nearer to the oracle's next cell
and 2% away from it; with 1.3 cells 62% and 10%, with boxes of single pixels 39% and 30%."""
_KEYS = np.random.default_rng(0).integers(1, 2**63, FRAME_SHAPE[0], dtype=np.int64) | 1
"""Of the hashes of rows and columns: a row is the sum of its pixels times these, modulo 2**64."""


def last_exits(frames: NDArray[np.uint8], actions: Integers, place: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The action with which the place of each frame was left for the last time.

    Args:
        frames: uint8 (T, 64, 64, 3), of one episode, in order.
        actions: int (T,), taken in these frames.
        place: frames that differ only within a box of fewer pixels than this, in height and in width, show one place.

    Returns:
        int64 (U,), the first row of each different frame, ascending, and int64 (U,), its action.
    """
    codes = frames.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])  # (T, 64, 64)
    rows, columns = codes @ _KEYS, np.swapaxes(codes, 1, 2) @ _KEYS  # (T, 64), wrapping
    _, first, which = np.unique(np.concatenate([rows, columns], axis=1), axis=0, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    last = np.zeros(len(first), np.int64)
    np.maximum.at(last, which, np.arange(len(which)))
    same = np.ones((len(first), len(first)), np.bool_)
    for hashes in (rows[first], columns[first]):
        differ = hashes[:, None] != hashes[None]  # (U, U, 64)
        begin, end = differ.argmax(axis=2), differ.shape[2] - differ[:, :, ::-1].argmax(axis=2)
        same &= np.where(differ.any(axis=2), end - begin, 0) < place
    exits = np.where(same, last[None], -1).max(axis=1)
    order = np.argsort(first)
    return first[order].astype(np.int64), np.asarray(actions, np.int64)[exits[order]]


class Played(NamedTuple):
    """What was played in a round.

    Attributes:
        encodings: float16 (N, *shape), normalised, of the different frames of each solved episode.
        actions: int64 (N,), their labels, see ``last_exits``.
        frames: steps of the game that were played.
        episodes: that ended.
        solved: of these.
    """

    encodings: NDArray[np.float16]
    actions: NDArray[np.int64]
    frames: int
    episodes: int
    solved: int


class SelfImitation:
    """Rounds of playing and learning. ``self_imitate`` is all of them.

    Args:
        encoder, mode, action_repeat, head, passes, games, batch_size, lr, levels, seed, workers, backend: as there.

    Attributes:
        rounds: what was played so far; all of it is learned from again after each round.
        policy: what was learned; None before the first round, which plays at random.
    """

    def __init__(
        self,
        encoder: str | Path | Artifact,
        *,
        mode: str,
        action_repeat: int = 4,
        head: HeadConfig | None = None,
        passes: float = 2.0,
        games: int = 128,
        batch_size: int = 32,
        lr: float = 4e-3,
        levels: int = 0,
        seed: int = 0,
        name: str = "self-imitation",
        workers: int = 1,
        backend: str = "auto",
    ) -> None:
        if not 1 <= action_repeat <= MAX_ACTION_REPEAT or passes <= 0 or min(games, batch_size, workers) < 1:
            raise ConfigError(
                f"action_repeat = {action_repeat}, passes = {passes}, games = {games}, batch_size = {batch_size}, "
                f"workers = {workers}: expected 1 to {MAX_ACTION_REPEAT}, more than 0 and at least 1"
            )
        self.encoder: Encoder = load_encoder(encoder, distribution_mode=mode, backend=backend)
        cells = task_of(self.encoder.artifact.game).cells_in_view(mode)
        if cells is None:
            raise ConfigError(
                f"{self.encoder.artifact.game} has no cells of fixed size in the frame, so places can't be told apart; "
                "use an encoder of heist"
            )
        self.place = round(PLACE_CELLS * FRAME_SHAPE[0] / cells)
        self.head = head or HeadConfig(kind=head_kind("auto", self.encoder.shape), planner=PLANNER)
        if self.head.lstm:
            raise ConfigError("lstm > 0: single frames are learned from; expected a head without memory")
        self.mode, self.action_repeat, self.passes, self.games = mode, action_repeat, passes, games
        self.batch_size, self.lr, self.levels, self.seed = batch_size, lr, levels, seed
        self.name, self.workers = name, workers
        self.rounds: list[Played] = []
        self.policy: Policy | None = None

    def play(self, frames: int, progress: Callable[[int, int], None] | None = None) -> Played:
        """Play so many steps of the game, all games together, and keep what was solved.

        Each game plays levels of the training range from their true starts to their ends; episodes that have not ended
        when the steps are used up are left out.
        """
        number = len(self.rounds)
        rng = np.random.default_rng([self.seed, number])
        steps = max(1, round(frames / (self.games * self.action_repeat)))
        envs = make_vector_env(
            None, num_envs=self.games, game=self.encoder.artifact.game, distribution_mode=self.mode, actions="moves",
            use_backgrounds=self.encoder.artifact.use_backgrounds, action_repeat=self.action_repeat,
            num_levels=self.levels or len(TRAIN_LEVELS),
        )  # fmt: skip
        seen: list[list[NDArray[np.uint8]]] = [[] for _ in range(self.games)]
        made: list[list[int]] = [[] for _ in range(self.games)]
        kept: list[Future[tuple[NDArray[np.float16], NDArray[np.int64]]]] = []
        episodes = 0
        # Random play leaves the encoder to the other thread, while the engine steps in this one.
        with ThreadPoolExecutor(1, "solved") as pool, contextlib.closing(envs):
            observations, _ = envs.reset(seed=int(rng.integers(2**31)))
            opened = np.zeros(self.games, np.bool_)
            for step in range(steps):
                actions = self._actions(observations, rng)
                for game in np.flatnonzero(~opened).tolist():
                    seen[game].append(observations[game])
                    made[game].append(int(actions[game]))
                observations, _, terminated, truncated, infos = envs.step(actions)
                opened = (terminated | truncated) & ~opened
                for game in np.flatnonzero(opened).tolist():
                    episodes += 1
                    if infos["level_complete"][game]:
                        job = pool.submit(self._labelled, np.stack(seen[game]), np.array(made[game]))
                        kept.append(job)
                        if self.policy is not None:
                            job.result()
                    seen[game], made[game] = [], []
                if progress is not None:
                    progress(step + 1, steps)
            labelled = [job.result() for job in kept]
        played = Played(
            np.concatenate([np.zeros((0, *self.encoder.shape), np.float16), *(part[0] for part in labelled)]),
            np.concatenate([np.zeros(0, np.int64), *(part[1] for part in labelled)]),
            steps * self.games * self.action_repeat,
            episodes,
            len(labelled),
        )
        self.rounds.append(played)
        return played

    def learn(self, progress: Callable[[int, int], None] | None = None) -> Policy:
        """Learn from all rounds, with fresh weights.

        Raises:
            ConfigError: if no episode has been solved yet.
        """
        encodings = np.concatenate([played.encodings for played in self.rounds])
        actions = np.concatenate([played.actions for played in self.rounds])
        if not len(actions):
            raise ConfigError(
                f"{sum(played.frames for played in self.rounds):,} frames of play solved no level; play more frames"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + len(self.rounds))
            model = HeadPolicy(self.encoder.shape, self.head)
        samples = max(1, round(self.passes * len(actions)))
        with keep_memory(), denormals_as_zero():
            fit_head(
                model, encodings, np.eye(NUM_MOVES, dtype=np.float32)[actions], samples=samples,
                batch_size=self.batch_size, lr=self.lr, seed=self.seed + len(self.rounds), workers=self.workers,
                progress=None if progress is None else lambda done, _: progress(min(done, samples), samples),
            )  # fmt: skip
        artifact = self.encoder.artifact
        labels = used_labels(artifact)
        training = {
            **({} if labels is None else {"class": "B" if labels else "A"}),
            "method": "self-imitation",
            "frames_played": sum(played.frames for played in self.rounds),
            "rounds": len(self.rounds),
            "episodes": sum(played.episodes for played in self.rounds),
            "solved": sum(played.solved for played in self.rounds),
            "own_frames": len(actions),
            "passes": self.passes,
            "batch_size": self.batch_size,
            "lr": self.lr,
            "seed": self.seed,
            "encoder_frames": artifact.training.get("samples"),
            "encoder_labels": labels,
        }
        self.policy = Policy(
            model, artifact, action_repeat=self.action_repeat, name=self.name, training=training,
            backend=self.encoder.backend,
        )  # fmt: skip
        return self.policy

    def _actions(self, frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.int64]:
        if self.policy is None:
            return rng.integers(NUM_MOVES, size=len(frames))
        return choose(self.policy.logits(frames), rng)

    def _labelled(self, frames: NDArray[np.uint8], actions: Integers) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """Encodings and labels of the different frames of a solved episode."""
        rows, exits = last_exits(frames, actions, self.place)
        return self.encoder.normalize(self.encoder.encode(frames[rows])).astype(np.float16), exits


def self_imitate(
    encoder: str | Path | Artifact,
    *,
    mode: str,
    frames: int,
    rounds: int = 3,
    action_repeat: int = 4,
    head: HeadConfig | None = None,
    passes: float = 2.0,
    games: int = 128,
    batch_size: int = 32,
    lr: float = 4e-3,
    levels: int = 0,
    seed: int = 0,
    name: str = "self-imitation",
    workers: int = 1,
    backend: str = "auto",
    progress: Callable[[int, str, int, int], None] | None = None,
    after_round: Callable[[Policy], None] | None = None,
) -> Policy:
    """Teach a head to play by reward alone: it imitates its own successes, without their detours.

    Args:
        encoder: name, path or artifact; stays as it is.
        mode: distribution mode, ``easy``, ``hard`` or ``memory``.
        frames: steps of the game to play in all. Each round plays twice as many as the one before, but for the first
            two, which play equally many; the first plays at random.
        rounds: of playing and learning.
        action_repeat: steps of the game for which each action is held. Random moves get farther so.
        head: what to train, not recurrent; None: a planner of ``PLANNER``'s sizes for spatial encodings,
            else an MLP.
        passes: over all frames of the solved episodes so far, after each round.
        games: played at the same time.
        batch_size: rows a step of the optimizer.
        lr: its highest learning rate, see ``fit_head``.
        levels: size of the set of levels, from 0 on; 0: all of the training range.
        seed: of the levels, the draws, the initial weights and the order.
        name: of the policy.
        workers: threads that learn together (see ``fit_head``).
        backend: of the encoder.
        progress: called with the round (from 0), ``play`` or ``learn``, and how much of it is done.
        after_round: called with the policy that each round ends with.

    Returns:
        The policy, of class A if its encoder was trained without labels, else of class B.

    Raises:
        UnknownNameError, ArtifactError: for an encoder that does not exist (for this mode).
        ConfigError: for a recurrent head, a game without cells, values out of range, or if the first round solves
            nothing.
    """
    if rounds < 1 or frames < rounds:
        raise ConfigError(f"frames = {frames}, rounds = {rounds}: expected at least 1 round, and a frame in each")
    learner = SelfImitation(
        encoder, mode=mode, action_repeat=action_repeat, head=head, passes=passes, games=games, batch_size=batch_size,
        lr=lr, levels=levels, seed=seed, name=name, workers=workers, backend=backend,
    )  # fmt: skip
    times = {"play": 0.0, "learn": 0.0}

    def timed(number: int, part: str, work: Callable[[Callable[[int, int], None]], object]) -> None:
        started = time.perf_counter()
        work(lambda done, total: None if progress is None else progress(number, part, done, total))
        times[part] += time.perf_counter() - started

    for number, share in enumerate(round_shares(rounds)):
        timed(number, "play", functools.partial(learner.play, round(share * frames)))
        timed(number, "learn", learner.learn)
        assert learner.policy is not None
        learner.policy.training["seconds"] = {part: round(seconds, 1) for part, seconds in times.items()}
        if after_round is not None:
            after_round(learner.policy)
    assert learner.policy is not None
    return learner.policy


def round_shares(rounds: int) -> list[float]:
    """Shares of the frames that the rounds play: a half of all before the last one, and so on; they add up to 1."""
    ends = [0.0, *(2.0 ** (number - rounds + 1) for number in range(rounds))]
    return [end - begin for begin, end in itertools.pairwise(ends)]
