"""What all games share: frames, modes, actions, level ranges. No dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

FRAME_SIZE: Final = 64
FRAME_SHAPE: Final = (FRAME_SIZE, FRAME_SIZE, 3)
"""A frame is uint8 of this shape, RGB, as procgen draws it."""

DISTRIBUTION_MODES: Final = {"easy": 0, "hard": 1, "memory": 10}
"""Name of a distribution mode -> the engine's number for it."""

BALANCES: Final = ("elements", "natural", "basic")
"""Names of the sampling strategies; a game's task says which of them it has."""
POLICIES: Final = ("random", "oracle", "mixed")
"""Names of the scripted policies; a game's task says which of them can play it."""


class Game(NamedTuple):
    """What the engine offers of a game.

    Attributes:
        modes: its distribution modes (Cobbe et al. 2020, https://github.com/openai/procgen).
        time_limit: steps after which it ends an episode; read from the engine's states.
    """

    modes: tuple[str, ...] = ("easy", "hard")
    time_limit: int = 1_000


_WITH_MEMORY: Final = ("easy", "hard", "memory")
GAMES: Final[Mapping[str, Game]] = {
    "bigfish": Game(time_limit=6_000),
    "bossfight": Game(time_limit=4_000),
    "caveflyer": Game(_WITH_MEMORY),
    "chaser": Game(),
    "climber": Game(),
    "coinrun": Game(),
    "dodgeball": Game(_WITH_MEMORY),
    "fruitbot": Game(),
    "heist": Game(_WITH_MEMORY),
    "jumper": Game(_WITH_MEMORY),
    "leaper": Game(time_limit=500),
    "maze": Game(_WITH_MEMORY, time_limit=500),
    "miner": Game(_WITH_MEMORY),
    "ninja": Game(),
    "plunder": Game(time_limit=4_000),
    "starpilot": Game(),
}
"""Procgen's 16 games by name."""
DEFAULT_GAME: Final = "heist"
"""The game where none is named, and that of the packaged encoders."""

NUM_ACTIONS: Final = 15
"""Procgen's actions. 0 to 8 are moves; 9 to 14 do something special in some games and nothing in the others."""
NUM_MOVES: Final = 9
"""The moves: action = (dx + 1) * 3 + (dy + 1), with y up."""
NOOP: Final = 4
MAX_ACTION_REPEAT: Final = 100
"""Steps of the game for which an action may be held."""

VISIBLE: Final = 0.5
"""An element counts as visible from this fraction of its painted box on; exactly 0 is absent; between is partial."""

# Level seeds. What is trained on, tested on and evaluated on never shares a level.
TRAIN_LEVELS: Final = range(1_000_000_000)
TEST_LEVELS: Final = range(1_000_000_000, 1_500_000_000)
EVALUATION_LEVELS: Final = range(1_500_000_000, 2_000_000_000)
MAX_LEVEL_SEED: Final = 2**31 - 2

HEADS: Final = ("auto", "mlp", "planner")
"""Kinds of policy heads on encodings, see ``policies.heads``."""
