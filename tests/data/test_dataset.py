"""Datasets: balance, labels against pixels, the same bytes whatever happens, damage found and mended."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heist_encoders.constants import TEST_LEVELS, TRAIN_LEVELS
from heist_encoders.data.dataset import Dataset, open_dataset
from heist_encoders.data.generate import _Worker, generate
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import CHUNK_FRAMES, DatasetSpec
from heist_encoders.data.sampler import draw_chunk
from heist_encoders.data.stream import FrameStream
from heist_encoders.data.verify import repair, verify
from heist_encoders.engine import Engine, EngineState
from heist_encoders.errors import ConfigError, DatasetError, ResourceError, UnknownNameError
from heist_encoders.tasks.heist.elements import ELEMENTS, STRATA
from tests.data.redraw import states_of

GOLDEN = "77aecd28f943bbe2f79d786d6ce19ae99558a88e805f76ad18ebfe5824e603ae"


def test_cases_are_exactly_balanced(small_dataset: Dataset) -> None:
    cases = np.concatenate([small_dataset.labels(split)["case"] for split in ("train", "test")])
    counts = np.bincount(cases, minlength=len(STRATA))
    assert counts.sum() == 512
    assert counts.max() - counts.min() <= 1


def test_cases_hold(small_dataset: Dataset) -> None:
    labels, visible = small_dataset.labels("train"), small_dataset.visible("train")
    for case, name in enumerate(STRATA):
        rows = visible[labels["case"] == case]
        if name in ELEMENTS:
            assert (rows[:, ELEMENTS.index(name)] >= 0.5).all()
        else:
            assert (rows[:, :6] == 0).all()


def test_splits_share_no_level(small_dataset: Dataset) -> None:
    assert small_dataset.labels("train")["level_seed"].between(TRAIN_LEVELS.start, TRAIN_LEVELS.stop - 1).all()
    assert small_dataset.labels("test")["level_seed"].between(TEST_LEVELS.start, TEST_LEVELS.stop - 1).all()


@pytest.mark.parametrize("mode", ["easy", "hard", "memory"])
def test_every_pixel_of_an_element_lies_in_its_box(mode: str) -> None:
    """Erase one element from the level, draw the same pose again: only pixels of its box change."""
    spec = DatasetSpec(distribution_mode=mode, size=150, test_fraction=0.0, seed=3)
    rows = draw_chunk(spec, spec.chunks()[0])
    with Engine(8, distribution_mode=mode) as engine:
        states = states_of(engine, rows.labels)
        np.testing.assert_array_equal(engine.draw(states), rows.frames)
        changed = 0
        for index, element in enumerate(ELEMENTS):
            visible = rows.labels[f"visible_{element}"]
            without = states.copy()
            entities = without["entities"][:, 1 + index]
            assert (visible[entities["will_erase"] == 1] == 0).all()
            entities["x"] = 1000.0
            differs = (engine.draw(without) != rows.frames).any(axis=-1)
            x0, y0, x1, y1 = (rows.labels[f"{element}_{side}"][:, None] for side in ("x0", "y0", "x1", "y1"))
            pixels = np.arange(64)
            inside = ((pixels >= y0) & (pixels < y1))[:, :, None] & ((pixels >= x0) & (pixels < x1))[:, None, :]
            assert not (differs & ~inside).any()
            assert differs[visible >= 0.5].any(axis=(1, 2)).all()
            changed += int(differs.any(axis=(1, 2)).sum())
    assert changed > 120


@pytest.mark.parametrize("mode", ["easy", "memory"])
def test_oracle_goes_on_from_drawn_states(mode: str) -> None:
    """Drawn states are states that can be played to the end; the labelled moves hold the oracle's own first one."""
    from heist_encoders.tasks.heist.solver import Oracle

    spec = DatasetSpec(distribution_mode=mode, size=28, test_fraction=0.0, seed=9)
    rows = draw_chunk(spec, spec.chunks()[0])
    oracle = Oracle()
    with Engine(8, distribution_mode=mode) as engine:
        states = states_of(engine, rows.labels)
        for row in range(28):
            engine.load_levels({0: int(rows.labels["level_seed"][row])})
            engine.set_state(0, EngineState(states[row].tobytes()))
            moves = int(rows.labels["oracle_moves"][row])
            if moves:
                assert moves >> oracle.action(engine.get_state(0)) & 1
            for _ in range(300):
                engine.act([oracle.action(engine.get_state(0))] + [4] * 7)
                if engine.observe().first[0]:
                    break
            assert engine.observe().rewards[0] == 10


def test_generation_is_a_pure_function(small_dataset: Dataset, tmp_path: Path) -> None:
    again = generate_local(DatasetSpec(size=512, seed=7), tmp_path / "again")
    assert again.hash == small_dataset.hash
    other = generate_local(DatasetSpec(size=512, seed=8), tmp_path / "other")
    assert other.hash != small_dataset.hash


def test_golden_hash(small_dataset: Dataset) -> None:
    """The content of this spec on every machine, Python and version of the package."""
    assert small_dataset.hash == GOLDEN


@pytest.mark.parametrize("balance", ["natural", "basic"])
def test_played_balances_have_exact_labels(balance: str, tmp_path: Path) -> None:
    spec = DatasetSpec(size=160, seed=1, balance=balance, test_fraction=0.0)
    data = generate_local(spec, tmp_path / "a")
    labels, frames = data.labels("train"), data.frames("train")
    with Engine(8) as engine:
        np.testing.assert_array_equal(engine.draw(states_of(engine, labels)), frames)
    assert generate_local(spec, tmp_path / "b").hash == data.hash


def test_other_games_have_their_labels(tmp_path: Path) -> None:
    spec = DatasetSpec(game="coinrun", distribution_mode="easy", balance="natural", policy="random", size=64)
    data = generate_local(spec, tmp_path / "d")
    assert list(data.labels("train").columns) == ["level_seed", "reward"]
    with pytest.raises(DatasetError, match="coinrun has no boxes"):
        data.boxes("train")
    with pytest.raises(ConfigError, match="coinrun has no balance 'elements'; it can have natural, basic"):
        DatasetSpec.from_dict({"game": "coinrun"})


def test_ray_workers_make_the_same_bytes(ray_local: None, small_dataset: Dataset, tmp_path: Path) -> None:
    calls: list[tuple[float, float, str]] = []
    data = generate(
        DatasetSpec(size=512, seed=7), tmp_path / "ray", workers=2, progress=lambda *call: calls.append(call)
    )
    assert data.hash == small_dataset.hash
    assert calls[-1][:2] == (512, 512)
    with pytest.raises(ResourceError, match=r"64 CPUs asked for.* has 2"):
        generate(DatasetSpec(size=100), tmp_path / "more", workers=64)
    kept = _actor_classes(_Worker)
    generate(DatasetSpec(size=1), tmp_path / "one", workers=1)
    assert _actor_classes(_Worker) == kept != 0  # Ray never forgets the class of an actor


def _actor_classes(cls: type) -> int:
    gc.collect()
    return len(cls.__subclasses__())


def test_resume_makes_only_what_is_missing(tmp_path: Path) -> None:
    spec = DatasetSpec(size=CHUNK_FRAMES + 500, seed=2, test_fraction=0.0)
    data = generate_local(spec, tmp_path / "d")
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_text())
    kept = (tmp_path / "d" / "train-000000.parquet").stat().st_mtime_ns
    manifest["shards"].pop("train-000001.parquet")
    manifest["hash"] = None
    (tmp_path / "d" / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "d" / ".writing-abc-train-000001.parquet").write_bytes(b"half")
    with pytest.raises(DatasetError, match=r"unfinished \(1 of 2 shards\)"):
        open_dataset(tmp_path / "d")
    assert generate_local(spec, tmp_path / "d").hash == data.hash
    assert (tmp_path / "d" / "train-000000.parquet").stat().st_mtime_ns == kept
    assert not list((tmp_path / "d").glob(".writing*"))


def test_killed_driver_resumes(small_dataset: Dataset, tmp_path: Path) -> None:
    """kill -9 in the middle, then the same call again: the same hash and no stray file."""
    code = (
        "import sys; from heist_encoders.data.local import generate_local; "
        "from heist_encoders.data.manifest import DatasetSpec; import heist_encoders.data.local as m, os, signal\n"
        "made = m.make_shard\n"
        "def dying(*a):\n"
        "    dying.n += 1\n"
        "    if dying.n == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return made(*a)\n"
        "dying.n = 0; m.make_shard = dying\n"
        "generate_local(DatasetSpec(size=512, seed=7), sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "d")], env=os.environ, check=False)
    assert done.returncode == -9
    assert generate_local(DatasetSpec(size=512, seed=7), tmp_path / "d").hash == small_dataset.hash
    assert verify(tmp_path / "d") == []


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
def test_verify_finds_and_repair_mends_exactly_that_shard(damage: str, tmp_path: Path) -> None:
    data = generate_local(DatasetSpec(size=64, seed=4), tmp_path / "d")
    shard = tmp_path / "d" / "test-000000.parquet"
    content = shard.read_bytes()
    if damage == "missing":
        shard.unlink()
    elif damage == "truncated":
        shard.write_bytes(content[:-10])
    else:
        shard.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    (problem,) = verify(tmp_path / "d")
    assert problem.startswith("test-000000.parquet: ")
    with pytest.raises(DatasetError, match=r"shard test-000000.parquet is (missing|damaged); repair it"):
        open_dataset(tmp_path / "d").frames("test")
    with pytest.raises(DatasetError, match="repair it"):  # also where what was altered is not what is read
        open_dataset(tmp_path / "d").labels("test")
    mended, made = repair(tmp_path / "d")
    assert made == ["test-000000.parquet"]
    assert mended.hash == data.hash
    assert verify(tmp_path / "d") == []


def test_other_filesystems(small_dataset: Dataset, tmp_path: Path) -> None:
    """Through a pyarrow filesystem by URI, the same content; a scheme that nothing opens is one line."""
    data = generate_local(DatasetSpec(size=512, seed=7), (tmp_path / "d").as_uri())
    assert data.hash == small_dataset.hash
    np.testing.assert_array_equal(open_dataset((tmp_path / "d").as_uri()).frames("test"), small_dataset.frames("test"))
    with pytest.raises(DatasetError, match="cannot open nosuch://x"):
        open_dataset("nosuch://x")


def test_views(small_dataset: Dataset) -> None:
    view = small_dataset.torch("train")
    frame, index = view[5]
    np.testing.assert_array_equal(frame.numpy(), small_dataset.frames("train")[5])
    assert index == 5
    assert not small_dataset.frames("train").flags.writeable
    with pytest.raises(UnknownNameError, match="unknown split 'tset'; did you mean 'test'"):
        small_dataset.frames("tset")


def test_ray_data_view(ray_local: None, small_dataset: Dataset) -> None:
    rows = small_dataset.ray("test").take(3)
    np.testing.assert_array_equal(
        np.frombuffer(rows[0]["frame"], np.uint8).reshape(64, 64, 3), small_dataset.frames("test")[0]
    )
    assert rows[1]["level_seed"] == small_dataset.labels("test")["level_seed"][1]


def test_card(small_dataset: Dataset) -> None:
    from PIL import Image

    folder = Path(small_dataset.path)
    text = (folder / "README.md").read_text()
    assert small_dataset.hash in text
    assert "| key_red |" in text
    sheet = np.asarray(Image.open(folder / "examples.png"))
    assert sheet.shape[1] > sheet.shape[0]
    assert sheet.std() > 10


def test_mistakes_are_one_line(small_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds another dataset \\(seed = 7, asked for 8\\)"):
        generate_local(DatasetSpec(size=512, seed=8), small_dataset.path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatasetError, match="is a file; expected a folder"):
        generate_local(DatasetSpec(size=14), tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    with pytest.raises(DatasetError, match=r"holds 'thesis.txt'.*is no dataset"):
        generate_local(DatasetSpec(size=14), tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    with pytest.raises(DatasetError, match=r"is not a dataset: it has no manifest.json"):
        open_dataset(tmp_path)
    odd_shard = {"train-000000.parquet": {"rows": 9, "sha256": "", "content": 3}}
    odd = json.dumps({"format_version": 1, "spec": {"size": 10}, "shards": odd_shard})
    for text in ("{}", "[" * 100_000, odd):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(DatasetError, match="not a dataset's manifest"):
            open_dataset(tmp_path)
    for bad, message in (
        ({"szie": 3}, "unknown key 'szie'; did you mean 'size'"),
        ({"size": "3"}, "size = '3'"),
        ({"size": 0}, "size = 0"),
        ({"distribution_mode": "extreme"}, "distribution_mode = 'extreme'"),
        ({"test_fraction": 1.5}, "test_fraction = 1.5"),
    ):
        with pytest.raises(ConfigError, match=message):
            DatasetSpec.from_dict(bad)


@pytest.mark.parametrize("connected", [False, True])
def test_a_failed_generation_blocks_nothing(connected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "data"
    module = importlib.import_module("heist_encoders.data.generate")

    @contextlib.contextmanager
    def ray_for_a_while(*_: Any) -> Iterator[int]:
        if not connected:
            raise ResourceError("no Ray cluster answers")
        yield 1

    monkeypatch.setattr(module, "quiet_ray", ray_for_a_while)
    monkeypatch.setattr(module, "_shards", lambda *_: iter([1 / 0]))
    with pytest.raises((ResourceError, ZeroDivisionError)):
        generate(DatasetSpec(size=64, seed=1), out)
    assert out.exists() == connected
    assert len(generate_local(DatasetSpec(size=32, seed=2), out)) == 32


def test_what_travels_is_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = DatasetSpec(size=64, seed=3)
    data = generate_local(spec, "data")
    stream = FrameStream(DatasetSpec(size=64, seed=4), data)
    things = (data, data.torch("train"), stream)
    before = [len(pickle.dumps(thing)) for thing in things]
    frames, labels = data.frames("train"), data.labels("train")
    assert data.semantic_maps("train") is not None
    assert torch.equal(data.torch("train")[3][0], torch.from_numpy(frames[3].copy()))
    assert len(stream.frames("train")) > 0
    pickles = [pickle.dumps(thing) for thing in things]
    assert [len(text) for text in pickles] == before
    assert max(before) < 4_000
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again, view, drawn = (pickle.loads(text) for text in pickles)
    assert (again.frames("train") == frames).all()
    assert again.labels("train").equals(labels)
    assert len(view) == len(frames)
    assert torch.equal(view[3][0], torch.from_numpy(frames[3].copy()))
    assert (drawn.frames("test") == data.frames("test")).all()


def test_decoded_frames_do_not_go_where_a_link_leads(tmp_path: Path) -> None:
    generate_local(DatasetSpec(size=64, seed=4), tmp_path / "d")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "d" / ".decoded").symlink_to(tmp_path / "elsewhere")
    assert len(open_dataset(tmp_path / "d").frames("test")) > 0
    assert list((tmp_path / "elsewhere").iterdir()) == []
