"""What the oracle did becomes RLlib's offline data: the right rows, the same bytes; MARWIL gets whole episodes."""

from __future__ import annotations

import contextlib
import errno
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from heist_encoders.constants import TRAIN_LEVELS
from heist_encoders.envs import make_env
from heist_encoders.errors import ConfigError, ResourceError, UnknownNameError
from heist_encoders.files import LOCK, FolderLock
from heist_encoders.rllib import offline, offline_config, record_oracle
from heist_encoders.rllib.offline import ABOUT, Recorder, offline_about
from heist_encoders.rllib.taught import record_in
from heist_encoders.zoo import find_artifact

ENCODER = "vae-alex"


def about(kind: str, number: int) -> dict[str, Any]:
    artifact = find_artifact(ENCODER, "easy")
    return {
        "kind": kind, "number": number, "encoder": artifact.reference, "distribution_mode": "easy", "normalize": True,
        "seed": 3,
    }  # fmt: skip


def rows(kind: str, number: int, shard: int = 0) -> pd.DataFrame:
    _, content = Recorder(about(kind, number), "torch").record(shard, number)
    found: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas()
    return found


def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are made in this process."""

    def recorded(about: dict[str, Any], shards: Any, workers: int, backend: str) -> Any:
        yield from (Recorder(about, backend).record(*shard) for shard in shards)

    monkeypatch.setattr(offline, "_recorded", recorded)
    monkeypatch.setattr(offline, "share", lambda artifact: None)
    monkeypatch.setattr(offline, "quiet_ray", lambda *_: contextlib.nullcontext(1))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """See ``without_ray``."""
    without_ray(monkeypatch)


def test_episodes_of_the_oracle() -> None:
    table = rows("episodes", 3)
    assert list(table.eps_id.unique()) == ["0-0", "0-1", "0-2"]
    levels = np.random.default_rng([3, 0]).integers(TRAIN_LEVELS.start, TRAIN_LEVELS.stop, 3)
    env = make_env(ENCODER, distribution_mode="easy", actions="moves", normalize=True, backend="torch")
    for (_, episode), level in zip(table.groupby("eps_id"), levels, strict=True):
        seen, _ = env.reset(options={"level_seed": int(level)})
        assert episode.t.tolist() == list(range(len(episode)))
        for row in episode.itertuples():
            np.testing.assert_allclose(row.obs, seen, rtol=1e-3, atol=1e-4)
            seen, reward, terminated, truncated, _ = env.step(row.actions)
            assert (row.rewards, row.terminateds, row.truncateds) == (reward, terminated, truncated)
        assert episode.rewards.sum() == 10
        np.testing.assert_array_equal(np.stack(episode.new_obs)[:-1], np.stack(episode.obs)[1:])
    env.close()


def test_labelled_frames() -> None:
    table = rows("frames", 40, shard=1)
    assert "new_obs" not in table.columns
    assert 30 < len(table) <= 40
    assert table.terminateds.all()
    assert set(table.actions) <= set(range(9))
    again = rows("frames", 40, shard=1)
    np.testing.assert_array_equal(np.stack(table.obs), np.stack(again.obs))
    np.testing.assert_array_equal(table.actions, again.actions)
    assert not np.array_equal(np.stack(table.obs)[:20], np.stack(rows("frames", 40).obs)[:20])


@pytest.mark.usefixtures("here")
def test_a_recording_goes_on_and_marwil_gets_its_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "EPISODES_A_SHARD", 2)
    options: dict[str, Any] = {"episodes": 3, "mode": "easy", "backend": "torch"}
    seen: list[tuple[int, int]] = []
    data = record_oracle(ENCODER, tmp_path / "data", **options, progress=lambda *done: seen.append(done))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    written = (data / "000001.parquet").read_bytes()
    (data / "000001.parquet").unlink()
    (data / ".000001.0123.parquet").write_bytes(written[:100])  # what a kill leaves
    with pytest.raises(ConfigError, match="lacks 1 shards"):
        offline_config(data)
    with FolderLock(data), pytest.raises(ConfigError, match="another run is writing there"):
        record_oracle(ENCODER, data, **options)
    record_oracle(ENCODER, data, **options)
    assert sorted(path.name for path in data.iterdir()) == [LOCK, "000000.parquet", "000001.parquet", ABOUT]
    assert (data / "000001.parquet").read_bytes() == written
    with pytest.raises(ConfigError, match=r"number = 3, here 4; choose another folder"):
        record_oracle(ENCODER, data, **{**options, "episodes": 4})

    config = offline_config(data, "marwil").training(gamma=0.5)
    table = pq.read_table([str(data / name) for name in ("000000.parquet", "000001.parquet")]).to_pandas()
    record = record_in(config)
    assert (record["class"], record["demonstration_frames"]) == ("D", len(table))
    spaces = config.observation_space, config.action_space
    config.rl_module(rl_module_spec=config.get_multi_rl_module_spec(spaces={"default_policy": spaces}))
    read = config.prelearner_class(config=config, spaces=spaces)({key: table[key].to_numpy() for key in table})
    batch = {key.rsplit("/", 1)[-1]: np.asarray(value) for key, value in read.items()}
    mask = batch["loss_mask"]
    assert len(mask) == len(table) + 3, "a step more for each episode"
    np.testing.assert_array_equal(batch["actions"][mask], table.actions)
    left = table.groupby("eps_id").t.transform("max") - table.t
    np.testing.assert_allclose(batch["value_targets"][mask], 10 * 0.5**left, atol=1e-5)


WIDE = pa.array([[0.5] * 99] * 20, pa.list_(pa.float32(), 99))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda table: pa.concat_tables([table, table]), {}),
        (lambda table: table.drop_columns(["rewards"]), {}),
        (lambda table: table.set_column(2, "obs", WIDE), {}),
        (lambda table: table.set_column(0, "eps_id", pa.array(["x" * 1_000] * 20)), {}),
        (lambda table: table, {"use_dictionary": True}),
    ],
)
def test_shards_that_are_not_what_was_written(
    tmp_path: Path, change: Callable[[Any], Any], options: dict[str, Any]
) -> None:
    """Ray Data would take the memory that their pages claim, however much that is."""
    data = record_oracle(ENCODER, tmp_path, frames=20, mode="easy", backend="torch")
    offline_config(data)
    shard = data / "000000.parquet"
    pq.write_table(change(pq.read_table(shard)), shard, **{"compression": "zstd", "use_dictionary": False, **options})
    with pytest.raises(ConfigError, match=r"cannot read the shards in .*; record it again in a new folder"):
        offline_config(data)


@pytest.mark.usefixtures("here")
def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        if self.suffix == ".parquet":
            raise OSError(errno.ENOSPC, "no space")
        return real(self, content)

    real = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResourceError, match="no room left on the disk"):
        record_oracle(ENCODER, tmp_path / "data", frames=20, mode="easy", backend="torch")
    assert {path.name for path in (tmp_path / "data").iterdir()} == {LOCK, ABOUT}


def test_what_ray_data_looks_for_in_threads_is_there() -> None:
    """Where the import fails, one thread may take another's failed import for the module, and the job ends."""
    from fsspec.implementations.http import HTTPFileSystem
    from ray.data.datasource import path_util

    assert path_util._is_http_filesystem(fs.PyFileSystem(fs.FSSpecHandler(HTTPFileSystem())))
    assert not path_util._is_http_filesystem(fs.LocalFileSystem())


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of frames and episodes"):
        record_oracle(ENCODER, tmp_path / "new", mode="easy")
    with pytest.raises(ConfigError, match="workers = 0"):
        record_oracle(ENCODER, tmp_path / "new", frames=1, mode="easy", workers=0)
    with pytest.raises(ConfigError, match=f"{ABOUT}"):
        offline_about(tmp_path)
    about = dict.fromkeys(("kind", "encoder", "distribution_mode", "normalize", "seed"), 0)
    for number, message in ((10**15, "lacks 15625000000000 shards"), ("many", "has not the entries")):
        (tmp_path / ABOUT).write_text(json.dumps({**about, "number": number}))
        with pytest.raises(ConfigError, match=message):
            offline_about(tmp_path)
    (tmp_path / ABOUT).unlink()
    with pytest.raises(UnknownNameError, match="did you mean 'bc'"):
        offline_config(tmp_path, "bcc")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="holds other files"):
        record_oracle(ENCODER, tmp_path, frames=1, mode="easy")
