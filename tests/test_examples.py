"""Each file of examples/ runs, with a tiny budget."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from heist_encoders.data.dataset import Dataset
from heist_encoders.policies.artifact import load_policy
from heist_encoders.policies.card import class_sentence
from heist_encoders.rllib import ppo_config
from heist_encoders.rllib.run_options import PPORunOptions
from heist_encoders.zoo import find_artifact, load_artifact

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def folder_of(dataset: Dataset) -> Path:
    return Path(dataset.path)


def test_each_example_has_a_test_and_a_line_in_the_list() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in (*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb"), *EXAMPLES.glob("*.yaml")):
        assert f'example("{path.stem}")' in here or path.name in here
        assert f"`{path.name}`" in listed


def test_gymnasium_loop() -> None:
    assert example("gymnasium_loop").main(steps=20) >= 0


def test_vector_env() -> None:
    assert example("vector_env").main(num_envs=4, steps=5)[0] == 4


def test_start_states() -> None:
    assert example("start_states").main(num_envs=4, steps=100) >= 4


@pytest.mark.slow
@pytest.mark.ray
def test_encode_dataset(ray_local: None, tmp_path: Path) -> None:
    out = example("encode_dataset").main(tmp_path / "out", size=512, workers=1)
    assert len(np.load(out / "encodings.npy")) == len(pd.read_csv(out / "labels.csv")) > 0


def test_train_autoencoder(small_dataset: Dataset, tmp_path: Path) -> None:
    path = example("train_autoencoder").main(tmp_path, data=folder_of(small_dataset), seconds=1.0)
    assert load_artifact(path).architecture == "grid"


@pytest.mark.slow
@pytest.mark.ray
def test_sweep(ray_local: None, small_dataset: Dataset, tmp_path: Path) -> None:
    name = example("sweep").main(tmp_path, data=folder_of(small_dataset), preset="smoke")
    assert find_artifact(name).architecture == "conv_maxpool"


@pytest.mark.ray
def test_ppo(ray_local: None) -> None:
    assert example("ppo").main(iterations=1, num_envs=2) == 256


@pytest.mark.ray
def test_rllib_bc(ray_local: None, tmp_path: Path) -> None:
    first, last = example("rllib_bc").main(tmp_path, frames=600, iterations=3, levels=1)
    assert last < first
    policy = load_policy(tmp_path / "policy")
    assert policy.head.config.kind == "planner"
    assert class_sentence(policy.training).startswith("Class D: learned from the oracle's moves; 600 labelled frames")


def test_clone_policy(tmp_path: Path) -> None:
    assert 0 <= example("clone_policy").main(tmp_path / "policy", frames=128, levels=2, encoder="vae_paper") <= 1


def test_notebook(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / "heist_encoders.ipynb", as_version=4)
    assert len(notebook.cells) <= 15
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in codes)  # stored without
    (budget,) = [cell for cell in codes if "parameters" in cell.metadata.get("tags", ())]
    assert budget.source.count(" = ") == 6
    budget.source = (
        f"FOLDER, SIZE, SECONDS = {str(tmp_path)!r}, 256, 1.0\nMAP_SAMPLES, MOVES, LEVELS, STEPS = 128, 64, 1, 2"
    )
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    pictures = [cell for cell in codes if any("image/png" in output.get("data", {}) for output in cell.outputs)]
    assert len(pictures) == 3  # the dataset, the encoder, its map
    assert "random" in codes[-2].outputs[-1]["data"]["text/plain"]
    assert "image/gif" in codes[-1].outputs[-1]["data"]


def test_ppo_with_shaping_is_that_of_the_learning_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures that docs/curves.md has of it were measured with the options of the file."""
    monkeypatch.syspath_prepend(str(EXAMPLES.parent / "experiments"))
    runs = importlib.import_module("curves.runs")
    reward = importlib.import_module("curves.reward")
    options = PPORunOptions.from_yaml(EXAMPLES / "ppo_shaped.yaml").ppo
    given = {"head": "planner", "planner": runs.SMALL, "training": runs.SHAPED_TRAINING, **runs.SHAPED}
    grid = find_artifact("grid", "easy")
    measured = reward.config_of(runs.Run("shaped", "C", "ppo", "grid", settings=given, encoder=grid)).to_dict()
    config = ppo_config(options=options, evaluation_levels=0).to_dict()
    different = {name for name in measured if measured[name] != config[name]}
    assert different <= {"callbacks_on_algorithm_init", "callbacks_on_environment_created"}  # functions
    for name in [name for name in sys.modules if name.partition(".")[0] == "curves"]:
        del sys.modules[name]
