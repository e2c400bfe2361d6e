"""Learning from the oracle where the policy itself goes: DAgger, without Ray.

Frames that are drawn one by one show every situation equally often, but a policy that errs in a corridor walks up and
down in it for the rest of the episode. Here the policy plays, the oracle says at every step what it would do, and the
policy learns that (Ross et al. 2011, "A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
Learning"). Episodes have an order, so that a recurrent head learns as well.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heist_encoders.constants import NUM_MOVES, TRAIN_LEVELS
from heist_encoders.engine import RESET, Engine
from heist_encoders.errors import ConfigError
from heist_encoders.policies.heads import HeadPolicy, State
from heist_encoders.policies.planner import plan_loss, schedule, shared_gradients
from heist_encoders.policies.policy import Policy, choose
from heist_encoders.tasks.registry import task_of
from heist_encoders.tasks.targets import move_distribution
from heist_encoders.training.hardware import denormals_as_zero, keep_memory


class Chunk(NamedTuple):
    """Some steps of all games, one after the other.

    Attributes:
        encodings: float16 (games, steps, *shape), normalised.
        moves: float32 (games, steps, actions), a distribution over the oracle's moves; zeros where it has none.
        first: bool (games, steps), True on the first frame of an episode.
        state: of a recurrent head before the first step, two float32 (games, units); None for a head without one.
    """

    encodings: NDArray[np.float16]
    moves: NDArray[np.float32]
    first: NDArray[np.bool_]
    state: State | None


class Trainee:
    """Plays a policy in many games of the training levels and queries the oracle at every step.

    Args:
        policy: plays; what it learns meanwhile counts at once.
        games: at the same time.
        max_steps: an episode that takes longer is left for another level.
        seed: of the levels and the draws.

    Raises:
        ConfigError: for a game without an oracle's moves among its labels.
    """

    def __init__(self, policy: Policy, games: int, max_steps: int, seed: int) -> None:
        artifact = policy.artifact
        self._policy, self._games, self._max_steps = policy, games, max_steps
        self._task = task_of(artifact.game)
        if "oracle_moves" not in self._task.label_columns():
            raise ConfigError(f"{artifact.game} has no oracle to learn from; use another game")
        self._rng = np.random.default_rng(seed)
        self._engine = Engine(
            games, game=artifact.game, distribution_mode=artifact.distribution_mode,
            use_backgrounds=artifact.use_backgrounds,
        )  # fmt: skip
        self._engine.load_levels(self._levels(games).tolist())
        self._seen = self._engine.observe()
        self._lengths = np.zeros(games, np.int64)
        self._state = policy.head.initial_state(games)
        self.episodes, self.solved = 0, 0

    def _levels(self, count: int) -> NDArray[np.int64]:
        return self._rng.integers(TRAIN_LEVELS.start, TRAIN_LEVELS.stop, count)

    def play(self, steps: int, oracle_share: float) -> Chunk:
        """The next steps of all games; in ``oracle_share`` of them the oracle's move is made, not the policy's."""
        rows = range(self._games)
        before = self._state and (self._state[0].clone(), self._state[1].clone())
        encodings: list[NDArray[np.float16]] = []
        firsts = np.empty((self._games, steps), np.bool_)
        moves = np.zeros((self._games, steps, self._policy.head.num_actions), np.float32)
        for step in range(steps):
            seen = self._seen
            firsts[:, step] = seen.first
            for game in np.flatnonzero(seen.first).tolist():
                self._engine.queue_level(game, int(self._levels(1)[0]))
            encoded = self._policy.encode(seen.frames)
            encodings.append(encoded.astype(np.float16))
            labels = self._task.label(self._engine, rows, seen.rewards)["oracle_moves"].astype(np.int64)
            moves[:, step, :NUM_MOVES] = move_distribution(labels)
            self._step(encoded, moves[:, step], oracle_share)
        return Chunk(np.stack(encodings, axis=1), moves, firsts, before)

    @torch.no_grad()
    def _step(self, encoded: NDArray[np.float32], moves: NDArray[np.float32], oracle_share: float) -> None:
        head = self._policy.head
        if self._state is not None:
            for part in self._state:
                part[torch.from_numpy(self._seen.first)] = 0
        logits, _, self._state = head(torch.from_numpy(np.ascontiguousarray(encoded)), self._state)
        actions = choose(logits.numpy(), self._rng)
        oracle = choose(np.log(np.maximum(moves, 1e-9)), self._rng)
        theirs = (self._rng.random(self._games) < oracle_share) & (moves.sum(axis=1) > 0)
        actions = np.where(theirs, oracle, actions)
        self._lengths += 1
        late = self._lengths >= self._max_steps
        self._engine.act(np.where(late, RESET, actions))
        self._seen = after = self._engine.observe()
        self.episodes += int(after.first.sum())
        self.solved += int((after.level_completes & after.first & ~late).sum())
        self._lengths[after.first] = 0

    def close(self) -> None:
        """End the games."""
        self._engine.close()


Progress = Callable[[int, int, int, int], None]
"""Called with the steps done, the steps in all, and how many episodes ended and were solved since the last call."""


def dagger(
    policy: Policy,
    *,
    steps: int,
    games: int = 64,
    chunk: int = 16,
    max_steps: int = 300,
    oracle_share: float = 0.0,
    replay: int = 1,
    keep: int = 256,
    batch_size: int = 32,
    lr: float = 1e-3,
    clip: float = 1.0,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Policy:
    """Teach a policy the oracle's moves in the situations that it gets into itself.

    Args:
        policy: to begin with, for instance from ``clone``; stays as it is. Its encoder is not trained.
        steps: that all games together are played; the oracle labels each of them.
        games: played at the same time, levels of the training range from their true starts.
        chunk: steps of each game between two updates, and through which a recurrent head is trained.
        max_steps: an episode that takes longer is left for another level.
        oracle_share: of the steps in which the oracle's move is made at first; it falls to 0 over the first half.
        replay: for each new chunk, so many earlier ones are learned from once more.
        keep: how many earlier chunks are kept for that.
        batch_size: steps in an update; of a recurrent head, whole chunks of games with as many steps in all.
        lr: highest learning rate, Adam; it ends at 0 after half a cosine.
        clip: largest norm of the gradient.
        seed: of the levels, the draws and the order.
        workers: threads that compute a gradient together, see ``fit_head``; a recurrent head takes one.
        progress: see ``Progress``.

    Returns:
        The policy, of class D, which chooses a move in each step of the game; its training record counts the labelled
        steps with those from before.

    Raises:
        ConfigError: for values out of range, or a game without an oracle.
    """
    if min(steps, games, chunk, max_steps, keep, batch_size, workers) < 1 or replay < 0 or not 0 <= oracle_share <= 1:
        raise ConfigError(
            f"steps = {steps}, games = {games}, chunk = {chunk}, max_steps = {max_steps}, keep = {keep}, "
            f"batch_size = {batch_size}, workers = {workers}, replay = {replay}, oracle_share = {oracle_share}: "
            "expected numbers of at least 1, replay of at least 0 and a share between 0 and 1"
        )
    started = time.perf_counter()
    learner = Policy(
        copy.deepcopy(policy.head), policy.artifact, normalize=policy.normalize, name=policy.name,
        backend=policy.encoder.backend, device="cpu",
    )  # fmt: skip
    parameters = list(learner.head.parameters())
    optimizer = torch.optim.Adam(parameters, lr=lr)
    rng = np.random.default_rng(seed)
    kept: deque[Chunk] = deque(maxlen=keep)
    trainee = Trainee(learner, games, max_steps, seed)
    rounds = max(1, round(steps / (games * chunk)))
    losses: list[float] = []
    try:
        with keep_memory(), denormals_as_zero(), shared_gradients(learner.head, workers) as gradient:
            for number in range(rounds):
                episodes, solved = trainee.episodes, trainee.solved
                new = trainee.play(chunk, oracle_share * max(0.0, 1 - 2 * number / rounds))
                older = [kept[int(rng.integers(len(kept)))] for _ in range(replay if kept else 0)]
                for group in optimizer.param_groups:
                    group["lr"] = lr * schedule(number / rounds)
                learner.head.train()
                for part in (new, *older):
                    for loss in _gradients(learner.head, part, batch_size, rng, gradient):
                        nn.utils.clip_grad_norm_(parameters, clip)
                        optimizer.step()
                        losses.append(loss)
                learner.head.eval()
                kept.append(new)
                if progress is not None:
                    done = (number + 1) * games * chunk
                    progress(done, rounds * games * chunk, trainee.episodes - episodes, trainee.solved - solved)
    finally:
        trainee.close()
    own = rounds * games * chunk
    before = policy.training.get("demonstration_frames", 0)
    learner.training = {
        **policy.training,
        "class": "D",
        "method": " and ".join([part for part in (policy.training.get("method"), "DAgger") if part]),
        "demonstration_frames": before + own,
        "dagger": {
            "steps": own, "games": games, "chunk": chunk, "max_steps": max_steps, "oracle_share": oracle_share,
            "replay": replay, "batch_size": batch_size, "lr": lr, "seed": seed,
            "loss": float(np.mean(losses[-max(1, len(losses) // 20) :])),
            "seconds": round(time.perf_counter() - started, 1),
        },
    }  # fmt: skip
    return learner


def with_memory(policy: Policy, units: int, *, seed: int = 0) -> Policy:
    """A feed-forward policy with an LSTM put between its body and its actions; ``dagger`` teaches it to use it.

    Args:
        policy: stays as it is. The new one has the weights of its body, and fresh ones behind it.
        units: of the LSTM.
        seed: of the fresh weights.

    Raises:
        ConfigError: if it is recurrent already, or for units < 1.
    """
    if policy.recurrent or units < 1:
        raise ConfigError(f"units = {units}, policy {policy.name!r}: expected at least 1, and a policy without memory")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = policy.head.config.model_copy(update={"lstm": units})
        head = HeadPolicy(policy.head.shape, config, num_actions=policy.head.num_actions)
    head.body.load_state_dict(policy.head.body.state_dict())
    return Policy(
        head, policy.artifact, normalize=policy.normalize, action_repeat=policy.action_repeat, name=policy.name,
        training=policy.training,
        backend=policy.encoder.backend,
    )  # fmt: skip


def _gradients(
    head: HeadPolicy,
    chunk: Chunk,
    batch_size: int,
    rng: np.random.Generator,
    gradient: Callable[[Tensor, Tensor], float],
) -> Iterator[float]:
    """The loss of each batch of a chunk, its gradient in the head's parameters; the caller makes the steps."""
    games, steps = chunk.moves.shape[:2]
    if chunk.state is None:
        encodings = chunk.encodings.reshape(games * steps, *chunk.encodings.shape[2:])
        moves = chunk.moves.reshape(games * steps, -1)
        for rows in np.array_split(rng.permutation(games * steps), max(1, games * steps // batch_size)):
            yield gradient(torch.from_numpy(encodings[rows]).float(), torch.from_numpy(moves[rows]))
        return
    h, c = chunk.state
    for rows in np.array_split(rng.permutation(games), min(games, max(1, games * steps // batch_size))):
        x, first = torch.from_numpy(chunk.encodings[rows]).float(), torch.from_numpy(chunk.first[rows])
        logits = head.unroll(x, first, (h[rows], c[rows]))
        loss = plan_loss(logits.flatten(0, 1), torch.from_numpy(chunk.moves[rows]).flatten(0, 1))
        head.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        yield float(loss.detach())
