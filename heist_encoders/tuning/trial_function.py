"""The function that Ray Tune runs: ``tune.run(trainable, ...)`` and ``tune.Tuner(trainable, ...)``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject


def trainable(config: JsonObject) -> None:
    """Train, probe and report one configuration.

    Args:
        config: What ``search_space`` gives (keys of TrainConfig, and ``objective``) and ``dataset``, the path of a
            dataset. The frames are memory-mapped, so trials on a node share one copy.

    Reports, at the epochs ``objective.first_probe * objective.probe_factor ** k`` and at the end, with a checkpoint:
    ``miou`` (a fast estimate, in [0, 1]), ``test_loss``, ``objective`` (to be maximised: ``miou``
    within the limits, hugely negative beyond), ``latent_dimension``, ``latency_ms`` (CPU time of the
    encoder, one frame, one thread), ``params``, ``epoch``, ``samples``, ``samples_per_second``, ``seconds``,
    ``feasible``, ``reason`` (why not), ``complete``. The checkpoint's folder ``artifact`` is what
    ``heist_encoders.zoo`` loads. A trial has as many threads as CPUs.

    Raises:
        ConfigError, DatasetError: if the configuration or the dataset can't be used; the trial fails with that line.
    """
    from ray import tune

    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.training.config import TrainConfig
    from heist_encoders.tuning.options import Objective
    from heist_encoders.tuning.trial import Trial

    settings = dict(config)
    if "dataset" not in settings:
        raise ConfigError("config has no 'dataset'; give its path: config={**search_space(...), 'dataset': path}")
    dataset = open_dataset(_absolute(settings.pop("dataset")))
    objective = Objective.from_dict(settings.pop("objective", {}), where="objective")
    context = tune.get_context()
    threads = max(1, int((context.get_trial_resources() or _NO_RESOURCES).required_resources.get("CPU", 1)))
    train_config = TrainConfig.from_dict({"threads": threads, **settings})

    def report(figures: JsonObject, folder: Path | None) -> None:
        tune.report(figures, checkpoint=None if folder is None else tune.Checkpoint.from_directory(folder))

    provenance = {"trial_id": context.get_trial_id(), "experiment": context.get_experiment_name()}
    # Tune runs a trial in a working folder inside Ray's session, which Ray removes some day even after a kill.
    scratch = os.getcwd() if "TUNE_ORIG_WORKING_DIR" in os.environ else None
    with tempfile.TemporaryDirectory(prefix="heist-trial-", dir=scratch) as folder:
        trial = Trial(train_config, dataset, objective, Path(folder), report, provenance)
        checkpoint = tune.get_checkpoint()
        if checkpoint is None:
            trial.run()
        else:
            with checkpoint.as_directory() as previous:
                trial.run(Path(previous))


class _NoResources:
    required_resources: dict[str, float] = {"CPU": 1}  # noqa: RUF012


_NO_RESOURCES = _NoResources()


def _absolute(dataset: object) -> str:
    """A dataset's path, relative to where the driver was started; Tune runs trials in folders of their own."""
    text = os.fspath(dataset) if isinstance(dataset, (str, os.PathLike)) else ""
    if not text:
        raise ConfigError(f"dataset = {dataset!r}: expected the path of a dataset")
    start = os.environ.get("TUNE_ORIG_WORKING_DIR")
    if "://" in text or os.path.isabs(text) or start is None:
        return text
    return os.path.join(start, text)
