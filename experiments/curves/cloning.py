"""Behaviour cloning that can be stopped at any time: blocks of the stream of labelled frames, each seen once."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn

from curves.sources import HeadPlayer
from curves.store import Store, player
from heist_encoders.data.drawing import stream_chunk
from heist_encoders.data.manifest import CHUNK_FRAMES, Chunk, DatasetSpec
from heist_encoders.data.sampler import Rows
from heist_encoders.data.strategies import STRATEGIES
from heist_encoders.files import whole_file
from heist_encoders.policies.planner import plan_loss, schedule
from heist_encoders.tasks.targets import move_distribution
from heist_encoders.training.hardware import denormals_as_zero, keep_memory

BLOCK = 4
"""Chunks whose frames are mixed."""
FRAMES = BLOCK * CHUNK_FRAMES
POINTS = (0.2, 0.5)
"""Shares of the frames after which the policy plays, besides the end."""
BATCH, LR, CLIP = 32, 4e-3, 1.0
STATE = "state.pt"


def learn(
    source: Any,
    store: Store,
    *,
    blocks: int,
    seed: int = 0,
    train_levels: int | None = None,
    levels: int = 1_000,
    point_levels: int = 100,
) -> None:
    """Learn the oracle's moves from so many blocks of frames, and play at some points; goes on where it was.

    Args:
        source: what is observed, one of ``curves.sources``.
        store: of the run.
        blocks: to learn from in all; the learning rate falls to 0 in half a cosine.
        seed: of the frames, the weights and the order.
        train_levels: the frames are of the first so many training levels; None: of all.
        levels: evaluation levels at the end.
        point_levels: and at the points before.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = source.model()
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    done, seconds = 0, 0.0
    if (store.folder / STATE).exists():
        state = torch.load(store.folder / STATE, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done, seconds = state["done"], state["seconds"]
    points = {max(1, round(share * blocks)) for share in POINTS}
    while done < blocks:
        started = time.process_time()
        with keep_memory(), denormals_as_zero():
            learn_block(source, model, optimizer, done, blocks, seed, train_levels)
        done, seconds = done + 1, seconds + time.process_time() - started
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": done, "seconds": seconds}
        store.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(store.folder / STATE) as file:
            torch.save(state, file)
        if done in points and done < blocks:
            store.measure(done * FRAMES, seconds, point_levels, player(HeadPlayer(source, model.eval(), seed)))
    store.measure(done * FRAMES, seconds, levels, player(HeadPlayer(source, model.eval(), seed)))


def chunk_of(spec: DatasetSpec, number: int, train_levels: int | None) -> Rows:
    """A chunk of the stream, or one like it of the first training levels alone."""
    if train_levels is None:
        return stream_chunk(spec, number)
    chunk = Chunk(number, "train", number, number * CHUNK_FRAMES, CHUNK_FRAMES)
    return STRATEGIES[spec.balance](spec, chunk, range(train_levels), np.random.default_rng([spec.seed, number]))


def learn_block(
    source: Any,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    number: int,
    blocks: int,
    seed: int,
    train_levels: int | None = None,
) -> float:
    """One block, each of its frames once, in batches of 32; the mean loss."""
    spec = DatasetSpec(distribution_mode="easy", seed=seed)
    seen, moves = [], []
    for chunk in range(number * BLOCK, (number + 1) * BLOCK):
        rows = chunk_of(spec, chunk, train_levels)
        seen.append(source.of_rows(rows))
        moves.append(move_distribution(rows.labels["oracle_moves"].astype(np.int64)))
    x, y = np.concatenate(seen), torch.from_numpy(np.concatenate(moves))
    order = np.random.default_rng((seed, number)).permutation(len(x))
    batches = np.array_split(order, len(x) // BATCH)
    model.train()
    total = 0.0
    for index, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = LR * schedule((number + index / len(batches)) / blocks)
        loss = plan_loss(model(torch.from_numpy(x[batch]).float())[0], y[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        total += float(loss.detach())
    return total / len(batches)
