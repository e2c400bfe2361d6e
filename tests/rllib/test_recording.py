"""What RLlib does by another class of env runner works with ``ppo_config`` as with any configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest


@pytest.mark.usefixtures("ray_local")
def test_offline_data_is_recorded(tiny: Callable[..., Any], tmp_path: Path) -> None:
    config = tiny().offline_data(output=str(tmp_path), output_write_episodes=False)
    algorithm = config.build_algo()
    try:
        algorithm.train()
    finally:
        algorithm.stop()
    table = pyarrow.dataset.dataset(tmp_path, format="parquet").to_table()
    assert table.num_rows == 64
    assert {"obs", "actions", "rewards", "eps_id"} <= set(table.column_names)
