"""Numpy arrays of more than one dtype, as types."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""Of any dtype."""
Integers: TypeAlias = NDArray[np.integer[Any]]
Reals: TypeAlias = NDArray[np.floating[Any]]
