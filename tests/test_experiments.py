"""What the scripts of ``experiments`` decide by: which processes are killed when, and what counts as growth."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.fixture(scope="module", autouse=True)
def _path() -> Iterator[None]:
    sys.path.insert(0, str(EXPERIMENTS))
    yield
    sys.path.remove(str(EXPERIMENTS))


class TestKills:
    @pytest.fixture
    def cluster_test(self) -> ModuleType:
        import cluster_test

        return cluster_test

    def test_a_schedule_follows_from_its_seed(self, cluster_test: ModuleType) -> None:
        parts = {
            (seed, part): cluster_test.schedule(seed, part, cluster_test.KILLS)
            for seed in (0, 1)
            for part in cluster_test.NAMES
        }
        for (seed, part), kills in parts.items():
            assert kills == cluster_test.schedule(seed, part, cluster_test.KILLS)
            assert Counter(kill.what for kill in kills) == cluster_test.KILLS
            gaps = [after.at - before.at for before, after in itertools.pairwise(kills)]
            assert min(gaps) > 0.04, "what was hit has no time to go on"
            assert next(kill.at for kill in kills if kill.what == "driver") > 0.35
            assert all(0 < kill.at < 1 and kill.wait >= 0 and 0 <= kill.pick < 1 for kill in kills)
        assert len({tuple(kills) for kills in parts.values()}) == len(parts)

    def test_at_least_20_raylets_and_workers(self, cluster_test: ModuleType) -> None:
        each = cluster_test.KILLS["raylet"] + cluster_test.KILLS["worker"]
        assert each * len(cluster_test.NAMES) >= 20
        assert min(cluster_test.KILLS.values()) >= 1

    def test_each_victim_can_be_chosen(self, cluster_test: ModuleType) -> None:
        chosen = {cluster_test.Kill(0.1, 0.0, "worker", pick / 100).choose([9, 4, 7]) for pick in range(100)}
        assert chosen == {4, 7, 9}
        assert cluster_test.Kill(0.1, 0.0, "worker", 0.5).choose([]) is None


class TestGrowth:
    @pytest.fixture
    def soak(self) -> ModuleType:
        import soak

        return soak

    def test_noise_is_no_growth_and_a_leak_is(self, soak: ModuleType) -> None:
        rng = np.random.default_rng(0)
        noise = rng.normal(1000, 20, (100, 40))
        assert sum(soak.slope(list(row)).grows for row in noise) <= 5
        assert all(soak.slope(list(row + 2 * np.arange(40))).grows for row in noise)
        assert not any(soak.slope(list(row - 2 * np.arange(40))).grows for row in noise)

    def test_one_peak_is_no_growth(self, soak: ModuleType) -> None:
        values = [100.0, 101.0] * 20
        values[-1] = 500.0
        assert not soak.slope(values).grows

    def test_constants(self, soak: ModuleType) -> None:
        found = soak.slope([7.0] * 10)
        assert (found.mean, found.low, found.high, found.grows) == (0, 0, 0, False)

    def test_rounds(self, soak: ModuleType) -> None:
        rounds = [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]
        values = [9.0, 9.0, 1.0, 3.0, 2.0, 2.0, 5.0, 6.0, 7.0, 99.0]
        assert soak.by_round(rounds, values, warm_up=0.2) == [1.0, 2.0, 5.0, 7.0]
