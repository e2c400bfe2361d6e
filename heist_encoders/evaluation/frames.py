"""The names of evaluation's arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Frames = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
