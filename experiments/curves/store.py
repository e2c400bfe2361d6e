"""What is known of a run, on disk: whole files only, so that a process that is killed loses no finished step."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.files import write_atomically
from heist_encoders.json_text import plain
from heist_encoders.policies.evaluate import Evaluation, play_levels
from heist_encoders.policies.play import LevelResult

PART = 128
"""Levels that are played at once; their results are kept when all of them are done."""
Play = Callable[[list[int]], Iterable[LevelResult]]
"""Level seeds -> their results."""


@dataclasses.dataclass
class Point:
    """A policy at one time of its training, and how it played.

    Attributes:
        amount: labelled frames or environment steps that it had learned from.
        seconds: of learning, without evaluations, in processor time of one thread: what an idle core would take.
        results: of the first evaluation levels, in order: keys, success, return, length.
        known: figures instead of results, where another experiment played the levels.
    """

    amount: int
    seconds: float
    results: list[list[Any]] = dataclasses.field(default_factory=list)
    known: dict[str, Any] | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """As ``Evaluation.to_dict`` gives them, with ``success_interval`` (95%, normal, over episodes) besides."""
        levels = tuple(LevelResult(0, int(k), bool(s), float(r), int(n)) for k, s, r, n in self.results)
        figures = copy.deepcopy(self.known) or Evaluation("policy", False, "easy", levels, 0.0).to_dict()
        for part in (figures, *figures["by_num_keys"].values()):
            rate, count = part["success_rate"], part["num_levels"]
            half = 1.96 * math.sqrt(rate * (1 - rate) / count)
            part["success_interval"] = [max(0.0, rate - half), min(1.0, rate + half)]
        return figures


class Store:
    """The points of a run.

    Args:
        folder: of the run.
        published: points that an earlier command showed, see ``published``; they count while the folder has none.
    """

    def __init__(self, folder: Path, published: Sequence[Point] = ()) -> None:
        self.folder = folder
        self._published = list(published)

    def points(self) -> list[Point]:
        """Those that were played, in order."""
        files = sorted((self.folder / "points").glob("*.json"))
        found = [Point(**json.loads(file.read_text(encoding="utf-8"))) for file in files]
        return [point for point in found if point.results or point.known] or self._published

    def played(self, amount: int) -> int:
        """Levels that the policy of this point has played."""
        return next((len(point.results) for point in self.points() if point.amount == amount), 0)

    def put(self, amount: int, figures: dict[str, Any]) -> None:
        """Keep a point whose figures another experiment found."""
        self._write(Point(amount, 0.0, known=figures))

    def measure(self, amount: int, seconds: float, levels: int, play: Play) -> Point:
        """Play the first evaluation levels that have not been played by this policy yet, and keep the results."""
        file = self._file(amount)
        point = Point(amount, seconds)
        if file.exists():
            point = dataclasses.replace(Point(**json.loads(file.read_text(encoding="utf-8"))), seconds=seconds)
            self._write(point)
        while len(point.results) < levels:
            first = len(point.results)
            seeds = [int(seed) for seed in EVALUATION_LEVELS[first : min(levels, first + PART)]]
            for level in play(seeds):
                point.results.append([level.num_keys, level.success, level.episode_return, level.length])
            self._write(point)
        return point

    def _file(self, amount: int) -> Path:
        return self.folder / "points" / f"{amount:010d}.json"

    def _write(self, point: Point) -> None:
        file = self._file(point.amount)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(dataclasses.asdict(point)))


def published(file: Path) -> dict[str, list[Point]]:
    """Name of a run's folder -> its points, as figures: what ``publish`` wrote; empty without the file."""
    if not file.exists():
        return {}
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {folder: [Point(**point) for point in points] for folder, points in kept.items()}


def publish(file: Path, stores: Mapping[str, Store]) -> None:
    """Write the figures of all points, so that another machine can draw them without the runs."""
    kept = {}
    for store in stores.values():
        points = [Point(p.amount, p.seconds, known=plain(p.figures, 6)) for p in store.points()]
        if points:
            kept[store.folder.name] = [dataclasses.asdict(point) for point in points]
    write_atomically(file, json.dumps(kept, indent=1) + "\n")


def player(policy: Any, mode: str = "easy", **options: Any) -> Play:
    """How a policy, a ``BatchPolicy`` or ``"random"`` plays levels."""
    return lambda seeds: play_levels(policy, mode, seeds, seed=int(np.uint32(seeds[0])), **options).levels
