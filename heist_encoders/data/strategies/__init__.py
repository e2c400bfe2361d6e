"""Sampling strategies, one file each: how the rows of a chunk are drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from heist_encoders.data.manifest import Chunk, DatasetSpec
from heist_encoders.data.strategies.basic import draw_basic
from heist_encoders.data.strategies.natural import draw_natural
from heist_encoders.data.strategies.stratified import draw_stratified
from heist_encoders.tasks import Rows

STRATEGIES: dict[str, Callable[[DatasetSpec, Chunk, range, np.random.Generator], Rows]] = {
    "elements": draw_stratified,
    "natural": draw_natural,
    "basic": draw_basic,
}
"""Name of a sampling strategy -> what draws a chunk with it: a pure function of the spec, the chunk, the range of level
seeds and the random numbers."""
