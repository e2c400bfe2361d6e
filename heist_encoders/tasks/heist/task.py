"""Heist: three keys, three doors, an exit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import BALANCES, NUM_MOVES, POLICIES
from heist_encoders.engine import Engine
from heist_encoders.semantic import SemanticMaps
from heist_encoders.tasks.base import Labeller, Oracle, Part, Rows, Spec, Task
from heist_encoders.tasks.heist.elements import CLASSES, COLORS, ELEMENTS, STRATA
from heist_encoders.tasks.starts import StartStates
from heist_encoders.tasks.targets import Category, Flags, Labels, NextMove, Position, Presence, ProbeTarget

_CELLS_IN_VIEW = {"easy": 9, "hard": 13, "memory": 8}


class HeistTask(Task):
    """The agent fetches the keys in the order blue, green, red, each of which opens a door, and reaches the exit."""

    game = "heist"
    classes = CLASSES
    elements = ELEMENTS
    strata = STRATA
    strategies = BALANCES
    policies = POLICIES
    default_policy = "mixed"
    default_mode = "memory"
    num_moves = NUM_MOVES
    goal = "the exit"

    @property
    def strata_groups(self) -> Mapping[str, tuple[int, ...]]:
        groups = {name: (index,) for index, name in enumerate(STRATA) if name in ELEMENTS}
        return groups | {"no key, no door": tuple(range(len(groups), len(STRATA)))}

    def label_columns(self) -> dict[str, str]:
        """Documented in ``heist.labels``."""
        from heist_encoders.tasks.heist.labels import LABEL_COLUMNS

        return LABEL_COLUMNS

    def labeller(self, distribution_mode: str) -> Labeller:
        from heist_encoders.tasks.heist.labels import HeistLabeller

        return HeistLabeller(distribution_mode)

    def draw_stratified(self, spec: Spec, chunk: Part, levels: range, rng: np.random.Generator) -> Rows:
        from heist_encoders.tasks.heist.stratified import draw_stratified

        return draw_stratified(spec, chunk, levels, rng)

    def oracle(self) -> Oracle:
        from heist_encoders.tasks.heist import solver

        return solver.Oracle()

    def level_group(self, engine: Engine, index: int) -> int:
        """The number of keys in the level."""
        from heist_encoders.tasks.heist.state import parse_state

        return parse_state(engine.get_state(index)).num_keys

    def start_states(self) -> StartStates:
        from heist_encoders.tasks.heist.starts import HeistStartStates

        return HeistStartStates()

    def cells_in_view(self, distribution_mode: str) -> int:
        return _CELLS_IN_VIEW[distribution_mode]

    def semantic_maps(self, labels: Labels, distribution_mode: str) -> SemanticMaps:
        from heist_encoders.tasks.heist import scene

        return scene.SemanticMaps(labels, distribution_mode)

    def true_state(self, labels: Labels, distribution_mode: str, *, places: bool = True) -> NDArray[np.float32] | None:
        """16 channels, 14 without places: see ``scene.true_state``. None in memory mode, whose frames show a part."""
        from heist_encoders.tasks.heist import scene

        return None if distribution_mode == "memory" else scene.true_state(labels, distribution_mode, places=places)

    def probe_targets(self) -> tuple[ProbeTarget, ...]:
        return (
            Presence(ELEMENTS),
            Position(ELEMENTS),
            Flags("inventory", [f"held_{color}" for color in COLORS], "keys held"),
            Category("subgoal", "progress", 2 * len(COLORS) + 1, "subgoals done"),
            NextMove(),
        )
