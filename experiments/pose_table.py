"""Make the packaged tables of sub-cell poses from played frames, one a distribution mode.

Shows: how an agent stands in its cell depends on which neighbours are closed.
Run:   python experiments/pose_table.py          (about 2 minutes on one core; rewrites heist_encoders/tasks/heist/data)
Plays games by a mix of the oracle and random moves and keeps up to 400 poses for each code of closed neighbours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heist_encoders.constants import TRAIN_LEVELS
from heist_encoders.data.play import Play
from heist_encoders.engine import Engine
from heist_encoders.tasks.heist.levels import wall_codes
from heist_encoders.tasks.heist.poses import ROTATIONS, closed_codes
from heist_encoders.tasks.heist.state import DOOR, WALL, parse_state

GAMES, STEPS, EVERY, KEEP = 64, 2500, 5, 400
FOLDER = Path(__file__).parent.parent / "heist_encoders" / "tasks" / "heist" / "data"


def played_poses(mode: str, seed: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes uint8 (N,), offsets float32 (N, 2) and rotation indices uint8 (N,) of played agents."""
    codes, offsets, rotations = [], [], []
    with Engine(GAMES, distribution_mode=mode) as engine:
        play = Play(engine, TRAIN_LEVELS, "mixed", np.random.default_rng(seed))
        for step in range(steps):
            play.step()
            if step % EVERY:
                continue
            for i in np.flatnonzero(~play.fresh):
                state = parse_state(engine.get_state(int(i)))
                x, y, rotation = state.agent
                cell = np.array([[int(x), int(y)]])
                doors = np.full((1, 3, 2), np.nan, dtype=np.float32)
                for color, position in state.positions(DOOR).items():
                    doors[0, color] = position
                walls = wall_codes((state.grid == WALL)[None])[0, int(y), int(x)]
                code = closed_codes(walls[None], cell, doors, np.int8([state.num_keys]), np.int8([state.progress]))
                codes.append(code[0])
                offsets.append((x - int(x), y - int(y)))
                rotations.append(int(np.cos(ROTATIONS - rotation).argmax()))
    return np.array(codes, np.uint8), np.array(offsets, np.float32), np.array(rotations, np.uint8)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for mode in ("easy", "hard", "memory"):
        codes, offsets, rotations = played_poses(mode, seed=1, steps=STEPS)
        rng = np.random.default_rng(0)
        groups = [np.sort(rng.permutation(np.flatnonzero(codes == code))[:KEEP]) for code in range(256)]
        order = np.concatenate(groups)
        path = FOLDER / f"poses-{mode}.npz"
        np.savez_compressed(
            path,
            offsets=np.minimum(np.round(offsets[order] * 65536), 65535).astype(np.uint16),
            rotations=rotations[order],
            counts=np.array([len(group) for group in groups], np.int64),
        )
        codes_seen = sum(len(group) > 0 for group in groups)
        print(f"{mode}: {len(codes)} poses played, {codes_seen} codes, {len(order)} kept, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
