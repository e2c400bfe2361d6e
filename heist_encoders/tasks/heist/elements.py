"""The vocabulary of Heist: colours, elements, strata. No dependencies."""

from __future__ import annotations

from typing import Final

COLORS: Final = ("blue", "green", "red")
KEYS: Final = tuple(f"key_{color}" for color in COLORS)
DOORS: Final = tuple(f"door_{color}" for color in COLORS)
ELEMENTS: Final = (*KEYS, *DOORS, "exit")
"""The 7 things that autoencoders tend to drop, always in this order."""

STRATA: Final = (
    "door_blue", "door_red", "door_green", "exit", "key_blue", "key_green", "key_red",
    *(f"none_{i}" for i in range(7)),
)  # fmt: skip
"""The 14 equally likely strata of a balanced dataset: one element in view, or (7 of 14) no key and no door in view."""

CLASSES: Final = ("floor", "wall", "agent", *ELEMENTS, *(f"ring_{color}" for color in COLORS))
"""Classes of a semantic map; a key that is held is drawn on the ring in the upper right corner."""
