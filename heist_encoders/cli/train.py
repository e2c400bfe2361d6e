"""``heist-encoders train``: train one autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import Data, JsonFlag, check_folder, examples

EPILOG = examples(
    "heist-encoders train vae_paper --data data/memory --out runs/one",
    "heist-encoders train my.yaml --data data/memory --out runs/two --max-seconds 600",
    "heist-encoders train runs/one/artifact --data data/memory --out runs/again",
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
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where checkpoints, logs and the artifact go.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The artifact's name. Default: <family>-<folder>.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", min=1, help="Instead of the config's.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", min=1, help="Stop after so many seconds.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the config's.")] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="'auto', 'cpu' or 'cuda', instead of the config's.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Train an autoencoder on a dataset and keep its best weights as an artifact in OUT/artifact.

    A checkpoint is kept after each epoch: killed half-way, run it again and it goes on from there.
    """
    check_folder(out)
    output.set_resume_hint("run the same command again to go on at the last finished epoch")
    settings: dict[str, Any] = {
        key: value
        for key, value in {
            "max_epochs": max_epochs, "max_seconds": max_seconds, "seed": seed, "device": device,
        }.items()
        if value is not None
    }  # fmt: skip
    loaded, epochs = load_config(config, settings)

    from heist_encoders.cli.progress import Reporter
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.training.train import train as train_autoencoder
    from heist_encoders.zoo import save_artifact

    dataset = open_dataset(data)
    with Reporter([f"train {loaded.autoencoder}"], [max_seconds]) as progress:
        progress.start(0)

        def after_epoch(report: Any) -> bool:
            progress.say(
                f"epoch {report.epoch + 1}: train {report.train_loss:.5f}, test {report.test_loss:.5f}, "
                f"mse {report.mse:.5f}, {report.samples:,} frames, {report.samples_per_second:,.0f} frames/s"
                + (", best so far" if report.best else "")
            )
            return epochs is not None and report.epoch + 1 >= epochs

        def within_epoch(state: Any) -> None:
            detail = f"epoch {state.epoch + 1}, {state.samples:,} frames, loss {state.loss:.5f}"
            progress.count(state.seconds, state.seconds + state.seconds_left, detail)

        result = train_autoencoder(loaded, dataset, out=out, callback=after_epoch, progress=within_epoch)
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
        output.note(f"Next: heist-encoders evaluate {out / 'artifact'} --data {data}")


def load_config(config: str, settings: dict[str, Any]) -> tuple[Any, int | None]:
    """The TrainConfig of a YAML file, an artifact or an autoencoder's defaults, with ``settings`` on top.

    Returns:
        The configuration, and the epochs after which an artifact's training had ended (None: no such end).
    """
    from heist_encoders.config import read_yaml
    from heist_encoders.training.config import TrainConfig

    path = Path(config)
    folder = path.parent if path.name == "config.json" else path
    if (folder / "config.json").is_file():
        from heist_encoders.training.report import read_record
        from heist_encoders.zoo import load_artifact

        recorded, epochs = read_record(load_artifact(folder).training, where=str(folder))
        longer = settings.keys() & {"max_epochs", "max_seconds"}
        return TrainConfig.from_dict({**recorded.to_dict(), **settings}, where=config), None if longer else epochs
    if config.endswith((".yaml", ".yml")) or "/" in config:
        return TrainConfig.from_dict({**read_yaml(config), **settings}, where=config), None
    return TrainConfig.from_dict({"autoencoder": config, **settings}), None
