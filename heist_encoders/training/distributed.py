"""Several processes, on one machine or many, train one model: data parallel training in a Ray Train TorchTrainer."""

from __future__ import annotations

import functools
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heist_encoders.errors import ConfigError, HeistEncodersError, ResourceError
from heist_encoders.paths import user_path
from heist_encoders.training.config import TrainConfig, as_config
from heist_encoders.training.report import EpochReport, TrainResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heist_encoders.data.dataset import Dataset
    from heist_encoders.data.stream import FrameStream

_RESTARTS = 2
"""How often lost processes are started again, from the last finished epoch."""
DDP_OPTIONS = {"static_graph": True, "gradient_as_bucket_view": True}
"""Of DistributedDataParallel. A static graph may have parameters without a gradient, and costs no search for them."""


def train_distributed(
    config: TrainConfig | dict[str, Any],
    dataset: Dataset | FrameStream,
    *,
    workers: int = 2,
    use_gpu: bool = False,
    out: str | Path | None = None,
    callback: Callable[[EpochReport], object] | None = None,
    resume: bool = True,
    address: str | None = None,
) -> TrainResult:
    """``train`` by several processes: each takes an equal shard of every batch, gradients are averaged at each step.

    The configuration means the same as in one process, ``batch_size`` included: it is the batch of all processes
    together. So are the frames and their order, the loss (element weights are those of the whole batch) and the
    checkpoints, which any number of processes, or ``train``, can go on from. Three things are each process's own, and
    make the result differ a little from one process's: the statistics of batch normalisation, which see a shard (the
    moving ones that are kept are those of the first process), the noise of a VAE, and ``free_bits``, which is applied
    to the mean over a shard. The same number of processes gives the same result again on the same CPUs.

    Args:
        config: what to train and how; ``device`` and ``threads`` are chosen here (one thread a process).
        dataset: on a path that every node can read. Of a ``FrameStream`` every process draws all the frames, which
            keeps pace with training up to about 8 processes.
        workers: processes.
        use_gpu: one GPU for each (NCCL); otherwise one CPU each (gloo).
        out: folder for checkpoints and logs, on a path that every node can write to; None: a temporary one.
        callback: called with each epoch's report, in a thread, within about 2 seconds of its end; what it returns does
            not matter. An epoch then takes at least so long.
        resume: go on from the last finished epoch in ``out``; False starts anew.
        address: Ray cluster to join; None: the one that runs, else a local one for this call.

    Returns:
        As ``train``, with the model on the CPU.

    Raises:
        ConfigError: also if ``batch_size`` is no multiple of ``workers``.
        ResourceError: if Ray has not enough CPUs or GPUs, or processes were lost too often.
        HeistEncodersError: as ``train``.
    """
    from heist_encoders.training.train import train

    config = as_config(config)
    if workers < 1:
        raise ConfigError(f"workers = {workers}: expected at least 1 process to train")
    if config.batch_size % workers:
        raise ConfigError(
            f"batch_size = {config.batch_size} cannot be split evenly over {workers} processes; "
            f"take a multiple of {workers}"
        )
    source = _reference(dataset)
    with _folder(out) as folder:
        # What is wrong with configuration, dataset or folder shows here, before any process is started; on this machine
        # the frames are decoded once.
        done = _check(config, dataset, folder, resume)
        report = None if callback is None else Unseen(callback, done)
        _fit(config, source, folder, workers, use_gpu, address, report)
        return train({**config.to_dict(), "device": "cpu"}, dataset, out=folder)


def _reference(dataset: Any) -> dict[str, Any]:
    """What a process on another node needs to open the dataset or stream again."""
    from heist_encoders.data.dataset import Dataset
    from heist_encoders.data.stream import FrameStream

    if isinstance(dataset, FrameStream):
        tested = None if dataset.dataset is None else _reference(dataset.dataset)["path"]
        return {"stream": dataset.spec.to_dict(), "path": tested, "workers": dataset.workers}
    if not isinstance(dataset, Dataset):
        raise ConfigError(
            f"dataset is {type(dataset).__name__}, expected what open_dataset gives or a FrameStream: "
            "other processes must be able to open it too"
        )
    return {"path": dataset.path}


def _open(source: dict[str, Any]) -> Dataset | FrameStream:
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.data.stream import FrameStream

    dataset = None if source["path"] is None else open_dataset(source["path"])
    if "stream" in source:
        return FrameStream(source["stream"], dataset, workers=source["workers"])
    assert dataset is not None
    return dataset


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    if out is not None:
        yield user_path(out).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="heist-train-") as folder:
        yield Path(folder)


def _check(config: TrainConfig, dataset: Dataset | FrameStream, folder: Path, resume: bool) -> int:
    """Set a training up as a process will, and let it go; the number of its finished epochs."""
    import torch

    from heist_encoders.training.train import Run

    with torch.random.fork_rng(devices=[]):
        run = Run(config, dataset, torch.device("cpu"), folder, resume)
        run.close()
    return len(run.history)


class Unseen:
    """Calls back with each epoch once, in order, however often a history is reported and whichever reports were lost.

    Args:
        callback: what to call.
        seen: epochs at the start of the history that it knows of.
    """

    def __init__(self, callback: Callable[[EpochReport], object], seen: int) -> None:
        self._callback, self._seen = callback, seen

    def __call__(self, history: list[Mapping[str, Any]]) -> None:
        """Take a history, as the lines of ``history.jsonl``."""
        for report in history[self._seen :]:
            self._seen += 1
            self._callback(EpochReport.from_dict(report))


@contextmanager
def _relayed(receive: Unseen | None) -> Iterator[list[Any]]:
    """Callbacks of Ray Train, which run in a process of its own, that hand what is reported on to a thread here."""
    from ray.train import UserCallback
    from ray.util.queue import Queue

    if receive is None:
        yield []
        return
    queue = Queue(actor_options={"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1})

    class Relay(UserCallback):
        def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
            queue.put(metrics[0]["history"])

    def listen() -> None:
        while (history := queue.get()) is not None:
            receive(history)

    thread = threading.Thread(target=listen, name="epochs", daemon=True)
    thread.start()
    try:
        yield [Relay()]
    finally:
        queue.put(None)
        thread.join()
        queue.shutdown()


def _fit(
    config: TrainConfig,
    source: dict[str, Any],
    folder: Path,
    workers: int,
    use_gpu: bool,
    address: str | None,
    receive: Unseen | None,
) -> None:
    """Start the processes and wait until the training is done."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

    from heist_encoders.ray_session import quiet_ray

    storage = folder / "ray"
    settings = {
        "config": config.to_dict(),
        "source": source,
        "folder": str(folder),
        "reports": receive is not None,
    }
    with quiet_ray(workers, address):
        _need_gpus(workers if use_gpu else 0)
        with _relayed(receive) as callbacks:
            trainer = TorchTrainer(
                _process,
                train_loop_config=settings,
                torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
                scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu, resources_per_worker={"CPU": 1}),
                run_config=RunConfig(
                    storage_path=str(storage),
                    failure_config=FailureConfig(max_failures=_RESTARTS),
                    callbacks=callbacks,
                ),
            )
            try:
                trainer.fit()
            except WorkerGroupError as error:
                for failure in error.worker_failures.values():
                    cause: BaseException | None = failure
                    while cause is not None:
                        if isinstance(cause, HeistEncodersError):
                            raise cause from None
                        cause = cause.__cause__ or getattr(cause, "cause", None)
                raise ResourceError(f"{_line(error)}; the same call goes on at the last finished epoch") from None
            except TrainingFailedError as error:
                raise ResourceError(f"{_line(error)}; the same call goes on at the last finished epoch") from None
            finally:
                shutil.rmtree(storage, ignore_errors=True)


def _need_gpus(count: int) -> None:
    import ray

    found = int(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]
    if found < count:
        raise ResourceError(f"{count} GPUs asked for and Ray has {found}; ask for {found} or set use_gpu to False")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _process(settings: dict[str, Any]) -> None:
    """What each process does: the loop of ``train``, as one of a group."""
    import ray.train
    import torch
    from ray.train.torch import get_device, prepare_model

    from heist_encoders.training.group import ProcessGroup
    from heist_encoders.training.hardware import denormals_as_zero, keep_memory, torch_threads
    from heist_encoders.training.train import Run

    config = TrainConfig.from_dict({**settings["config"], "device": "auto"})
    device = get_device()
    assert isinstance(device, torch.device)
    wrap = functools.partial(prepare_model, move_to_device=False, parallel_strategy_kwargs=DDP_OPTIONS)
    with torch_threads(1), keep_memory(), denormals_as_zero():
        run = Run(config, _open(settings["source"]), device, Path(settings["folder"]), True, ProcessGroup(device, wrap))

        def report(_: EpochReport) -> None:
            ray.train.report({"history": [epoch.to_dict() for epoch in run.history]})

        run.go(report if settings["reports"] else None, None)
