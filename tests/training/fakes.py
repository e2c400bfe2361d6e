"""A dataset of drawn squares: frames and boxes in memory, as much as training needs of one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COLORS = np.array(
    [[60, 90, 250], [60, 220, 80], [240, 60, 60], [30, 40, 120], [30, 110, 40], [120, 30, 30], [250, 220, 40]], np.uint8
)


class Squares:
    """Grey frames; every other one holds one element, a coloured square of 6x6 pixels."""

    def __init__(self, train: int = 96, test: int = 32, *, seed: int = 0) -> None:
        self.hash = f"squares-{train}-{test}-{seed}"
        self._frames: dict[str, npt.NDArray[np.uint8]] = {}
        self._boxes: dict[str, npt.NDArray[np.int16]] = {}
        generator = np.random.default_rng(seed)
        for split, count in (("train", train), ("test", test)):
            frames = np.repeat(generator.integers(40, 160, (count, 1, 1, 1), dtype=np.uint8), 64, axis=1)
            frames = np.ascontiguousarray(np.broadcast_to(frames, (count, 64, 64, 3)))
            boxes = np.zeros((count, 7, 4), np.int16)
            for i in range(0, count, 2):
                element, (x, y) = generator.integers(7), generator.integers(0, 58, 2)
                boxes[i, element] = (x, y, x + 6, y + 6)
                frames[i, y : y + 6, x : x + 6] = COLORS[element]
            frames.flags.writeable = False
            self._frames[split], self._boxes[split] = frames, boxes

    def frames(self, split: str) -> npt.NDArray[np.uint8]:
        return self._frames[split]

    def boxes(self, split: str) -> npt.NDArray[np.int16]:
        return self._boxes[split]
