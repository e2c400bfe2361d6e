"""``heist-encoders train``: train one autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import Address, JsonFlag, ShowConfig, check_folder, examples, given_path, needed
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset
    from heist_encoders.data.stream import FrameStream
    from heist_encoders.training.config import TrainConfig
    from heist_encoders.training.report import EpochReport, Progress, TrainResult

EPILOG = examples(
    "heist-encoders train vae_paper --data data/memory --out runs/one",
    "heist-encoders train my.yaml --data data/memory --out runs/two --max-seconds 600",
    "heist-encoders train vae_paper --stream data --data data/memory --out runs/three",
    "heist-encoders train runs/one/artifact --data data/memory --out runs/again",
    "heist-encoders train vae_paper --max-epochs 20 --show-config > my.yaml",
    "heist-encoders evaluate runs/one/artifact --data data/memory",
)


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="An autoencoder's name (its defaults; 'heist-encoders list --autoencoders'), a YAML file "
            "(autoencoder, params, loss, batch_size, learning_rate, max_epochs, ...), or the folder of an artifact, "
            "to train it once more exactly as it was.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="A dataset's folder or URI, as written by 'heist-encoders generate'. Needed, but for --stream, with "
            "which it only tests.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=given_path,
            metavar="DIR",
            help="Where checkpoints, logs and the artifact go. Needed, but for --show-config.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The artifact's name. Default: <architecture>-<folder>.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", min=1, help="Default: the config's.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", min=1, help="Stop after so many seconds. Default: the config's.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Default: the config's.")] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="'auto', 'cpu' or 'cuda'. Default: the config's.")
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(
            "--stream",
            metavar="SPEC",
            help="Train on frames that are drawn while it trains, each seen once: a YAML file with the options of a "
            "dataset (distribution_mode, balance, seed, size: the frames of an epoch, ...), or 'data' for those of "
            "--data. Default: no stream.",
        ),
    ] = None,
    stream_workers: Annotated[
        int, typer.Option("--stream-workers", min=1, max=256, help="Processes that draw. Never changes the frames.")
    ] = 1,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=1,
            max=4096,
            help="Processes that train together, each on its part of every batch, started by Ray Train; with a GPU "
            "each if there are any.",
        ),
    ] = 1,
    address: Address = None,
    show_config: ShowConfig = False,
    json: JsonFlag = False,
) -> None:
    """Train an autoencoder on a dataset, or on an endless stream of fresh frames.

    Its best weights become an artifact in OUT/artifact.

    A checkpoint is kept after each epoch: killed half-way, run it again and it goes on from there.
    """
    output.set_resume_hint("run the same command again to go on at the last finished epoch")
    settings: JsonObject = {
        key: value
        for key, value in {
            "max_epochs": max_epochs, "max_seconds": max_seconds, "seed": seed, "device": device,
        }.items()
        if value is not None
    }  # fmt: skip
    loaded, epochs = load_config(config, settings)
    if show_config:
        print(loaded.to_yaml(), end="")
        return
    out = check_folder(needed(out, "--out"))

    from heist_encoders.cli.progress import Reporter
    from heist_encoders.training.train import train as train_autoencoder
    from heist_encoders.zoo import save_artifact

    dataset = open_frames(data, stream, stream_workers, recorded_stream(config))
    with Reporter([f"train {loaded.autoencoder}"], [max_seconds]) as progress:
        progress.start(0)

        hear = going_on(progress.say)

        def after_epoch(report: EpochReport) -> bool:
            hear(report.epoch)
            progress.say(
                f"epoch {report.epoch + 1}: train {report.train_loss:.5f}, test {report.test_loss:.5f}, "
                f"mse {report.mse:.5f}, {report.samples:,} frames, {report.samples_per_second:,.0f} frames/s"
                + (", best so far" if report.best else "")
            )
            return epochs is not None and report.epoch + 1 >= epochs

        def within_epoch(state: Progress) -> None:
            hear(state.epoch)
            detail = f"epoch {state.epoch + 1}, {state.samples:,} frames, loss {state.loss:.5f}"
            progress.count(state.seconds, state.seconds + state.seconds_left, detail)

        if workers == 1:
            result = train_autoencoder(loaded, dataset, out=out, callback=after_epoch, progress=within_epoch)
        else:
            result = train_together(loaded, dataset, epochs, workers, out=out, callback=after_epoch, address=address)
        artifact = save_artifact(
            out / "artifact",
            result,
            name=name or f"{loaded.autoencoder}-{out.resolve().name}",
            dataset=dataset,
            training=result.record(),
        )
    summary = {
        "artifact": artifact.path,
        "name": artifact.name,
        "test_loss": result.test_loss,
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "samples": result.samples,
        "seconds": result.seconds,
        "sha256": artifact.sha256,
    }
    if json:
        output.print_json(summary)
    else:
        print(f"{artifact.path}: test loss {result.test_loss:.5f} after epoch {result.best_epoch + 1}")
        output.note(f"Next: heist-encoders evaluate {out / 'artifact'} --data {data or 'DIR'}")


def going_on(say: Callable[[str], None]) -> Callable[[int], None]:
    """A listener that is told the epoch (from 0) again and again, and says once that a training goes on."""
    heard: list[int] = []

    def hear(epoch: int) -> None:
        if not heard and epoch:
            say(f"going on at epoch {epoch + 1}")
        heard[:] = [epoch]

    return hear


def train_together(
    config: TrainConfig,
    dataset: Dataset | FrameStream,
    epochs: int | None,
    workers: int,
    *,
    out: Path,
    callback: Callable[[EpochReport], object],
    address: str | None,
) -> TrainResult:
    """``train_distributed`` on the GPUs, if the configuration's device is one or there are any."""
    import torch

    from heist_encoders.training.distributed import train_distributed

    if epochs is not None and epochs < config.max_epochs:
        raise ConfigError(
            f"--workers {workers}: an artifact whose training ended early is trained once more by one process; "
            "leave --workers out or give --max-epochs"
        )
    gpu = config.device.startswith("cuda") or (config.device == "auto" and torch.cuda.is_available())
    return train_distributed(config, dataset, workers=workers, use_gpu=gpu, out=out, callback=callback, address=address)


def open_frames(
    data: str | None, stream: str | None, workers: int, recorded: JsonObject | None
) -> Dataset | FrameStream:
    """What to train on: the dataset ``data``, or a FrameStream that is tested on it.

    Args:
        data: folder or URI.
        stream: a YAML file with a spec, or ``data``.
        workers: processes that draw the stream.
        recorded: spec of the stream that an artifact was trained on, if it is to be trained once more.
    """
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.data.manifest import DatasetSpec
    from heist_encoders.data.stream import FrameStream

    if data is None and (stream == "data" or (stream is None and recorded is None)):
        wanted = "a dataset to train on" if stream is None else "the dataset whose options --stream data means"
        raise ConfigError(
            f"no --data; expected {wanted} (make one by 'heist-encoders generate'), or --stream SPEC.yaml"
        )
    dataset = None if data is None else open_dataset(data)
    if stream is None:
        if recorded is not None:
            return FrameStream(recorded, dataset, workers=workers)
        assert dataset is not None
        return dataset
    spec = dataset.spec if dataset is not None and stream == "data" else DatasetSpec.from_yaml(stream)
    return FrameStream(spec, dataset, workers=workers)


def recorded_stream(config: str) -> JsonObject | None:
    """The spec of the stream that the artifact ``config`` was trained on; None for all else."""
    folder = artifact_folder(config)
    if folder is None:
        return None
    from heist_encoders.zoo import load_artifact

    found: JsonObject | None = (load_artifact(folder).training.get("stream") or {}).get("spec")
    return found


def artifact_folder(config: str) -> Path | None:
    """The folder of the artifact that ``config`` names, or None."""
    path = Path(config)
    folder = path.parent if path.name == "config.json" else path
    return folder if (folder / "config.json").is_file() else None


def load_config(config: str, settings: JsonObject) -> tuple[TrainConfig, int | None]:
    """The TrainConfig of a YAML file, an artifact or an autoencoder's defaults, with ``settings`` on top.

    Returns:
        The configuration, and the epochs after which an artifact's training had ended (None: no such end).
    """
    from heist_encoders.config import read_yaml
    from heist_encoders.training.config import TrainConfig

    folder = artifact_folder(config)
    if folder is not None:
        from heist_encoders.training.report import read_record
        from heist_encoders.zoo import load_artifact

        recorded, epochs = read_record(load_artifact(folder).training, where=str(folder))
        longer = settings.keys() & {"max_epochs", "max_seconds"}
        return TrainConfig.from_dict({**recorded.to_dict(), **settings}, where=config), None if longer else epochs
    if config.endswith((".yaml", ".yml")) or "/" in config:
        return TrainConfig.from_dict({**read_yaml(config), **settings}, where=config), None
    return TrainConfig.from_dict({"autoencoder": config, **settings}), None
