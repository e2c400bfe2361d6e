"""A dataset of drawn squares: frames and semantic maps in memory, as much as training needs of one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COLORS = np.array(
    [[60, 90, 250], [60, 220, 80], [240, 60, 60], [30, 40, 120], [30, 110, 40], [120, 30, 30], [250, 220, 40]], np.uint8
)
CLASSES = ("floor", "wall", *(f"square_{i}" for i in range(7)))


class Maps:
    """Semantic maps in memory."""

    classes = CLASSES

    def __init__(self, maps: npt.NDArray[np.uint8]) -> None:
        self.maps = maps

    def __len__(self) -> int:
        return len(self.maps)

    def pick(self, rows: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.uint8]:
        return self.maps[rows]


class Squares:
    """Grey frames; every other one holds one object, a coloured square of 6x6 pixels."""

    def __init__(self, train: int = 96, test: int = 32, *, seed: int = 0) -> None:
        self.hash = f"squares-{train}-{test}-{seed}"
        self._frames: dict[str, npt.NDArray[np.uint8]] = {}
        self._maps: dict[str, Maps] = {}
        generator = np.random.default_rng(seed)
        for split, count in (("train", train), ("test", test)):
            frames = np.repeat(generator.integers(40, 160, (count, 1, 1, 1), dtype=np.uint8), 64, axis=1)
            frames = np.ascontiguousarray(np.broadcast_to(frames, (count, 64, 64, 3)))
            maps = np.zeros((count, 64, 64), np.uint8)
            for i in range(0, count, 2):
                kind, (x, y) = int(generator.integers(7)), generator.integers(0, 58, 2)
                maps[i, y : y + 6, x : x + 6] = 2 + kind
                frames[i, y : y + 6, x : x + 6] = COLORS[kind]
            frames.flags.writeable = False
            self._frames[split], self._maps[split] = frames, Maps(maps)

    def frames(self, split: str) -> npt.NDArray[np.uint8]:
        return self._frames[split]

    def semantic_maps(self, split: str) -> Maps:
        return self._maps[split]
