"""``auto`` takes the backend that measures faster, remembers it, and survives whatever lies in its folder."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heist_encoders.errors import ConfigError
from heist_encoders.zoo import choice, load_encoder
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.choice import FOLDER, choose, measure

KEY: dict[str, Any] = {"format": 1, "batch_size": 4, "threads": 1, "weights": "0" * 64}


def sleeping(seconds: float, calls: list[float] | None = None) -> Callable[[], Any]:
    """What makes a backend that takes this long."""

    def encode(frames: Any) -> Any:
        time.sleep(seconds)
        if calls is not None:
            calls.append(seconds)
        return np.zeros((len(frames), 1), np.float32)

    return lambda: encode


def records(home: Path) -> list[Path]:
    return sorted((home / FOLDER).iterdir())


def test_the_faster_one_is_chosen_and_remembered(home: Path) -> None:
    calls: list[float] = []
    candidates = {"slow": sleeping(0.02, calls), "fast": sleeping(0.001, calls)}
    assert choose(KEY, candidates) == "fast"
    assert calls
    (file,) = records(home)
    record = json.loads(file.read_text())
    assert record["key"] == KEY
    assert record["ms_a_frame"]["slow"] > record["ms_a_frame"]["fast"] > 0
    calls.clear()
    choice._known.clear()
    assert choose(KEY, candidates) == "fast"
    assert not calls
    assert choose({**KEY, "batch_size": 2}, candidates) == "fast"
    assert calls
    assert len(records(home)) == 2


def test_the_first_one_wins_a_tie(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "measure", lambda *_: {"first": 1.0, "second": 0.97})
    assert choose(KEY, {"first": sleeping(0), "second": sleeping(0)}) == "first"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"backend": "gone"}', '{"backend": "fast", "key": {}}'])
def test_a_damaged_record_is_replaced(home: Path, content: str) -> None:
    candidates = {"slow": sleeping(0.02), "fast": sleeping(0.001)}
    choose(KEY, candidates)
    (file,) = records(home)
    file.write_text(content)
    choice._known.clear()
    assert choose(KEY, candidates) == "fast"
    assert json.loads(file.read_text())["key"] == KEY
    assert records(home) == [file]


def test_the_first_of_several_processes_decides(home: Path) -> None:
    def other_process_first() -> Any:
        choice._publish(file, {"backend": "slow", "key": KEY}, lambda: None)
        return sleeping(0.001)()

    choose(KEY, {"slow": sleeping(0.001)})
    (file,) = records(home)
    file.unlink()
    choice._known.clear()
    assert choose(KEY, {"slow": sleeping(0.02), "fast": other_process_first}) == "slow"
    assert records(home) == [file]


def test_many_processes_at_once_agree(home: Path) -> None:
    code = (
        "import numpy as np, time\n"
        "from heist_encoders.zoo.choice import choose\n"
        "def make():\n"
        "    return lambda frames: time.sleep(np.random.default_rng().random() / 500)\n"
        f"print(choose({KEY!r}, {{'a': make, 'b': make}}))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate(timeout=60)[0].strip() for process in started}
    (file,) = records(home)
    assert said == {json.loads(file.read_text())["backend"]}


def test_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEIST_ENCODERS_HOME", "/proc/nowhere")
    calls: list[float] = []
    candidates = {"slow": sleeping(0.02, calls), "fast": sleeping(0.001, calls)}
    assert choose(KEY, candidates) == "fast"
    calls.clear()
    assert choose(KEY, candidates) == "fast"
    assert not calls


def test_measured_with_the_threads_asked_for() -> None:
    seen: list[int] = []
    before = torch.get_num_threads()
    measure({"torch": lambda frames: seen.append(torch.get_num_threads())}, 1, before + 1)  # type: ignore[dict-item, func-returns-value]
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs both backends")
def test_auto_measures_the_real_backends_once(home: Path, saved: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = load_encoder(saved, device="cpu", batch_size=3).backend
    (file,) = records(home)
    record = json.loads(file.read_text())
    assert record["backend"] == chosen
    assert set(record["ms_a_frame"]) == {"torch", "openvino"}
    assert record["key"]["weights"] == saved.sha256
    assert record["key"]["batch_size"] == 4
    # What stands there counts, whatever a second measurement would say.
    other = "torch" if chosen == "openvino" else "openvino"
    file.write_text(json.dumps({**record, "backend": other}))
    choice._known.clear()
    assert load_encoder(saved, device="cpu", batch_size=4).backend == other
    load_encoder(saved, device="cpu", batch_size=100, precision="bfloat16")
    assert {json.loads(path.read_text())["key"]["batch_size"] for path in records(home)} == {4, 64}


def test_nothing_is_measured_when_there_is_no_choice(home: Path, saved: Artifact) -> None:
    load_encoder(saved, device="cpu", backend="torch")
    assert not (home / FOLDER).exists()
    with pytest.raises(ConfigError, match="batch_size = 0"):
        load_encoder(saved, batch_size=0)
