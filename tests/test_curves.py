"""The parts of experiments/ppo_curves.py: what is kept after a kill, and what is shown."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from heist_encoders.policies.play import LevelResult
from tests.zoo.making import make_artifact

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
LABELLED = {"config": {"loss": {"semantic_map": 0.3}}, "samples": 2_000}
ALONE = {"config": {"loss": {"weighting": "rarity"}}, "samples": 1_000}


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package experiments/curves, its modules as attributes."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    names = ("runs", "store", "sources", "cloning", "own", "reward", "showing")
    yield SimpleNamespace(**{name: importlib.import_module(f"curves.{name}") for name in names})
    for name in [name for name in sys.modules if name.partition(".")[0] == "curves"]:
        del sys.modules[name]


def results(seeds: list[int], solved: int = 2) -> list[LevelResult]:
    """Every second level is solved."""
    return [LevelResult(seed, seed % 4, not seed % solved, 10.0 * (not seed % solved), 50) for seed in seeds]


def encoder(name: str, training: dict[str, Any], **probes: float) -> Any:
    return SimpleNamespace(sha256=name, training=training, metrics={"probes": probes})


class Killed(BaseException):
    """As if by kill -9: nothing catches it."""


def test_levels_that_were_played_are_not_played_again(curves: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(curves.store, "PART", 4)
    store, played = curves.store.Store(tmp_path), []

    def play(seeds: list[int]) -> list[LevelResult]:
        if len(played) == 4:
            played.append(-1)
            raise Killed
        played.extend(seeds)
        return results(seeds)

    with pytest.raises(Killed):
        store.measure(100, 1.5, 10, play)
    assert store.played(100) == 4
    played.remove(-1)
    played.append(0)
    point = store.measure(100, 9.9, 10, play)
    assert len(point.results) == 10
    assert point.seconds == 9.9  # of the newest learning
    assert [seed - played[0] for seed in played[5:]] == [4, 5, 6, 7, 8, 9]
    assert store.measure(100, 1.5, 10, lambda seeds: pytest.fail("played again")).results == point.results


def few_rows(spec: Any, number: int) -> Any:
    """A chunk of 96 rows of noise."""
    rng = np.random.default_rng(number)
    frames = rng.integers(0, 256, (96, 64, 64, 3), np.uint8)
    return SimpleNamespace(frames=frames, labels={"oracle_moves": 1 << rng.integers(0, 9, 96)})


def test_sources_show_what_their_models_take(curves: Any) -> None:
    from heist_encoders.data.drawing import stream_chunk
    from heist_encoders.data.manifest import DatasetSpec

    rows = stream_chunk(DatasetSpec(distribution_mode="easy", seed=1), 0)
    rows = rows._replace(frames=rows.frames[:4], labels={name: column[:4] for name, column in rows.labels.items()})
    for source in (curves.sources.TrueState(), curves.sources.Pixels()):
        seen = source.of_rows(rows)
        assert seen.shape == (4, *source.shape)
        assert source.model()(torch.from_numpy(seen).float())[0].shape == (4, 9)


def test_frames_of_a_few_levels(curves: Any) -> None:
    from heist_encoders.data.manifest import DatasetSpec

    rows = curves.cloning.chunk_of(DatasetSpec(distribution_mode="easy", seed=1), 3, 20)
    assert len(rows.frames) == 1_008
    assert set(np.unique(rows.labels["level_seed"])) <= set(range(20))


class Toy:
    """A source that shows four numbers."""

    def of_rows(self, rows: Any) -> Any:
        return rows.frames[:, ::16, 32, 0].astype(np.float32) / 255

    def model(self) -> nn.Module:
        class Head(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(4, 9)

            def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
                return (self.layer(x),)

        return Head()


def test_cloning_goes_on_after_a_kill_as_if_there_had_been_none(curves: Any, tmp_path: Path, monkeypatch: Any) -> None:
    cloning: ModuleType = curves.cloning
    monkeypatch.setattr(cloning, "BLOCK", 1)
    monkeypatch.setattr(cloning, "stream_chunk", few_rows)
    monkeypatch.setattr(cloning, "player", lambda policy: results)
    learn_block, blocks = cloning.learn_block, []

    def block(source: Any, model: Any, optimizer: Any, number: int, *rest: Any) -> float:
        if number == 2 and blocks.count(2) == 0:
            blocks.append(2)
            raise Killed
        blocks.append(number)
        return float(learn_block(source, model, optimizer, number, *rest))

    whole, parts = curves.store.Store(tmp_path / "whole"), curves.store.Store(tmp_path / "parts")
    cloning.learn(Toy(), whole, blocks=3, levels=8, point_levels=4)
    monkeypatch.setattr(cloning, "learn_block", block)
    with pytest.raises(Killed):
        cloning.learn(Toy(), parts, blocks=3, levels=8, point_levels=4)
    cloning.learn(Toy(), parts, blocks=3, levels=8, point_levels=4)
    assert blocks == [0, 1, 2, 2]
    a, b = (torch.load(s.folder / cloning.STATE, weights_only=True)["model"] for s in (whole, parts))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert [len(point.results) for point in parts.points()] == [4, 4, 8]


def test_ppo_goes_on_and_measures_what_was_not(curves: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """RLlib's part is played by a clock: 10 steps a second."""
    reward, now = curves.reward, {"seconds": 0.0}
    stops: list[float] = []

    def train(run: Any, out: Path, until: float) -> None:
        stops.append(until)
        now["seconds"] = until

    monkeypatch.setattr(reward, "train", train)
    monkeypatch.setattr(reward, "progress", lambda out: (int(10 * now["seconds"]), now["seconds"]))
    monkeypatch.setattr(reward, "play_of", lambda run, store: results)
    run, store = curves.runs.Run("x", "A", "ppo", "grid", 10_000), curves.store.Store(tmp_path)
    now["seconds"] = 45.0  # a command that was killed in the third stretch, while the policy of the second one played
    reward.learn(run, store, seconds=100, levels=8, point_levels=4)
    assert stops == [70.0, 100.0]
    assert [(p.amount, len(p.results)) for p in store.points()] == [(450, 4), (700, 4), (1000, 8)]
    reward.learn(run, store, seconds=100, levels=8, point_levels=4)
    assert stops == [70.0, 100.0]
    reward.learn(run, store, seconds=200, levels=12, point_levels=4)  # more time
    assert stops[2:] == [140.0, 200.0]
    assert [len(p.results) for p in store.points()] == [4, 4, 8, 4, 12]


def test_a_policy_plays_in_its_mode_at_its_temperature(curves: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from heist_encoders.policies.artifact import load_policy
    from heist_encoders.rllib import export

    policy = load_policy("best", distribution_mode="easy")
    monkeypatch.setattr(export, "export_policy", lambda *args, **options: policy)
    monkeypatch.setattr(curves.reward, "Encodings", lambda encoder: None)
    played = []
    monkeypatch.setattr(curves.reward, "player", lambda head, mode: played.append((head._model, mode)))
    run = curves.runs.Run("x", "C", "ppo", "grid", encoder=encoder("m", ALONE), mode="memory", temperature=8.0)
    curves.reward.play_of(run, curves.store.Store(tmp_path))
    [(head, mode)] = played
    assert mode == "memory"
    torch.testing.assert_close(8 * head.logits.weight, policy.head.logits.weight)


def test_time_of_iterations_that_were_lost_does_not_count(curves: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from heist_encoders.rllib import runs

    lines = [{"iteration": n, "seconds": 2.0 * n} for n in (1, 2, 3)] + [{"iteration": 3, "seconds": 5.5}]
    (tmp_path / "clock.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"iteration": 4, "sec')
    monkeypatch.setattr(runs, "state_of", lambda out: {"iteration": 2, "env_steps": 80})
    assert curves.reward.progress(tmp_path / "ppo") == (80, 4.0)
    monkeypatch.setattr(runs, "state_of", lambda out: {"iteration": 3, "env_steps": 90})
    assert curves.reward.progress(tmp_path / "ppo") == (90, 5.5)
    monkeypatch.setattr(runs, "state_of", lambda out: {})
    assert curves.reward.progress(tmp_path / "none") == (0, 0.0)


def test_a_run_is_another_where_it_learns_otherwise(curves: Any) -> None:
    Run = curves.runs.Run
    grid = encoder("a", ALONE)
    run = Run("PPO, grid", "A", "ppo", "grid", 10, 5.0, {"head": "planner"}, 0, grid)
    assert run.folder == Run("PPO, grid", "A", "ppo", "grid", 99, 7.0, {"head": "planner"}, 0, grid).folder
    others = [
        Run("PPO, grid", "A", "ppo", "grid", 10, 5.0, {"head": "planner"}, 1, grid),
        Run("PPO, grid", "A", "ppo", "grid", 10, 5.0, {"head": "mlp"}, 0, grid),
        Run("PPO, grid", "A", "ppo", "grid", 10, 5.0, {"head": "planner"}, 0, encoder("b", ALONE)),
    ]
    assert len({run.folder, *(other.folder for other in others)}) == 4


def test_classes_follow_from_what_was_learned_from(curves: Any) -> None:
    def grades(training: dict[str, Any]) -> dict[str, str]:
        encoders = {"grid": encoder("g", training), "vae": encoder("v", LABELLED)}
        runs = curves.runs.all_runs(encoders, encoder("u", {"samples": 0}), None, 4_032, encoder("m", training))
        assert len({run.folder for run in runs}) == len(runs)
        return {run.name: run.grade for run in runs}

    found = grades(ALONE)
    assert found["PPO, grid"] == "A"
    assert found["PPO with a curriculum, grid"] == found["PPO with shaping, grid, seed 1"] == "C"
    assert {grade for name, grade in found.items() if name.startswith("BC")} == {"D"}
    assert grades(LABELLED)["PPO, grid"] == "B"
    assert not curves.runs.uses_labels(encoder("u", {"samples": 0}))


def test_figure_and_tables(curves: Any, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for page in (docs / "curves.md", tmp_path / "README.md"):
        page.write_text("before\n<!-- curves -->\nold\n<!-- end of curves -->\nafter\n", encoding="utf-8")
    encoders = {
        "grid": encoder("g", ALONE, miou=0.9, plan_accuracy=0.9, presence_f1=0.9),
        "unpool": encoder("c", LABELLED, miou=0.6, plan_accuracy=0.3, presence_f1=0.8),
        "vae": encoder("v", LABELLED, miou=0.7, plan_accuracy=0.5, presence_f1=0.7),
    }
    card = {"num_levels": 9, "return_mean": 9.0, "return_interval": [8, 10], "success_rate": 0.9, "by_num_keys": {}}
    best = SimpleNamespace(
        artifact=encoder("g", ALONE), training={"samples": 50, "demonstration_frames": 70, "dagger": {}}
    )
    runs = curves.runs.all_runs(encoders, encoder("u", {"samples": 0}), best, 4_032, encoder("m", ALONE))
    stores = {run.name: curves.store.Store(tmp_path / run.folder) for run in runs}
    assert curves.showing.show(runs, stores, docs) == "nothing was played yet"
    shaped = f"PPO with shaping, {curves.runs.SHAPED_STEPS:,} steps, grid"
    # Fewer and fewer levels are solved: grid, vae, unpool.
    played = {"BC, grid": 1, "BC, vae": 2, "BC, unpool": 3, "PPO, grid": 4, shaped: 2, "random moves": 5}
    for name, solved in played.items():
        stores[name].measure(1_000, 60.0, 12, lambda seeds, solved=solved: results(seeds, solved))
    stores["random moves, memory mode"].measure(0, 0.0, 8, lambda seeds: results(seeds, 8))
    stores["BC, grid"].measure(4_032, 200.0, 16, lambda seeds: results(seeds, 1))
    stores["BC + DAgger, grid (packaged)"].put(70, card)
    text = curves.showing.show(runs, stores, docs)
    rows = {
        cells[2].strip(): [c.strip() for c in cells] for line in text.splitlines() if len(cells := line.split("|")) > 12
    }
    assert rows["BC, grid"][1:8] == ["D", "BC, grid", "1,000", "4,032", "–", "3", "10.00 (10.00 to 10.00)"]
    assert rows["BC + DAgger, grid (packaged)"][3:8] == ["1,000", "70", "–", "–", "9.00 (8.00 to 10.00)"]
    assert rows["BC, vae, so far"][3] == "2,000 with labels"
    assert rows["PPO, grid"][3:6] == ["1,000", "0", "1,000"]
    assert rows["random moves, memory mode"][7] == "1.25 (0.00 to 3.70)"
    assert text.index("published") < text.index("random moves, memory mode")  # in a table of its own
    assert "Not run yet: " in text
    assert "| plan accuracy | +1.00 (n = 3) | – | – |" in text
    assert "| presence F1 by an MLP | +0.50 (n = 3) | – | – |" in text
    assert "| grid | 0.900 | 0.900 | 0.900 | – | – | – | 1.000 | – | 5.000 |" in text  # not of other runs
    assert "| BC success | – | – | – |" in text  # PPO on one encoder alone: three are needed
    assert (docs / "curves.png").stat().st_size > 10_000
    page = (docs / "curves.md").read_text(encoding="utf-8")
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert text in page
    assert "old" not in page
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| D | BC, grid | 4,032 | – | 10.00 (10.00 to 10.00) | 100.0% |" in readme
    assert "vae" not in readme  # the other encoders stand in the documentation
    assert json.loads(next((tmp_path / runs[0].folder / "points").iterdir()).read_text())["amount"] == 1_000
    # Another machine draws the same without the runs.
    curves.store.publish(docs / "curves.json", stores)
    kept = curves.store.published(docs / "curves.json")
    elsewhere = {run.name: curves.store.Store(tmp_path / "new" / run.folder, kept.get(run.folder, ())) for run in runs}
    assert curves.showing.show(runs, elsewhere, docs) == text
    assert curves.store.published(tmp_path / "none.json") == {}


def test_self_imitation_goes_on_after_the_last_whole_round(curves: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A kill -9 in the third round costs that round alone; the policy goes on as if there had been none."""
    own, artifact, played = curves.own, make_artifact(tmp_path / "encoder", "conv_maxpool", mode="memory"), []

    def play(learner: Any, frames: int) -> Any:
        if len(played) == 2:
            played.append("killed")
            raise Killed
        played.append((frames, len(learner.rounds), learner.policy is not None))
        random = np.random.default_rng(len(learner.rounds))
        encodings = random.normal(size=(6, *artifact.encoding_shape)).astype(np.float16)
        learner.rounds.append(own.Played(encodings, random.integers(0, 9, 6), frames, 3, 2))
        return learner.rounds[-1]

    monkeypatch.setattr(own.SelfImitation, "play", play)
    monkeypatch.setattr(own, "player", lambda policy, mode: results)
    settings = {"rounds": 3, "action_repeat": 4}
    run = curves.runs.Run("own", "A", "own", "it", 4_000, settings=settings, encoder=artifact, mode="memory")
    store, whole = curves.store.Store(tmp_path / "parts"), curves.store.Store(tmp_path / "whole")
    with pytest.raises(Killed):
        own.learn(run, store, levels=8, point_levels=4)
    own.learn(run, store, levels=8, point_levels=4)
    assert played == [(1_000, 0, False), (1_000, 1, True), "killed", (2_000, 2, True)]
    assert [(point.amount, len(point.results)) for point in store.points()] == [(1_000, 4), (2_000, 4), (4_000, 8)]
    own.learn(run, whole, levels=8, point_levels=4)
    weights = [(s.folder / "policy-2" / "policy.safetensors").read_bytes() for s in (store, whole)]
    assert weights[0] == weights[1]
