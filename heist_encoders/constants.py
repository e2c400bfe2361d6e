"""What all games share: frames, modes, actions, level ranges. No dependencies."""

from __future__ import annotations

from typing import Final

FRAME_SIZE: Final = 64
FRAME_SHAPE: Final = (FRAME_SIZE, FRAME_SIZE, 3)
"""A frame is uint8 of this shape, RGB, as procgen draws it."""

DISTRIBUTION_MODES: Final = {"easy": 0, "hard": 1, "memory": 10}
"""Name of a distribution mode -> the engine's number for it."""

BALANCES: Final = ("elements", "natural", "basic")

GAMES: Final = (
    "bigfish", "bossfight", "caveflyer", "chaser", "climber", "coinrun", "dodgeball", "fruitbot",
    "heist", "jumper", "leaper", "maze", "miner", "ninja", "plunder", "starpilot",
)  # fmt: skip

NUM_ACTIONS: Final = 15
"""Procgen's actions; 9 to 14 do nothing in Heist."""
NUM_MOVES: Final = 9
"""The actions that matter in Heist: action = (dx + 1) * 3 + (dy + 1), with y up."""
NOOP: Final = 4
TIME_LIMIT: Final = 1_000
"""Steps after which procgen ends an episode of Heist."""

VISIBLE: Final = 0.5
"""An element counts as visible from this fraction of its painted box on; exactly 0 is absent; between is partial."""

# Level seeds. What is trained on, tested on and evaluated on never shares a level.
TRAIN_LEVELS: Final = range(1_000_000_000)
TEST_LEVELS: Final = range(1_000_000_000, 1_500_000_000)
EVALUATION_LEVELS: Final = range(1_500_000_000, 2_000_000_000)
MAX_LEVEL_SEED: Final = 2**31 - 2
