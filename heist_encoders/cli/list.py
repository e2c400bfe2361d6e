"""``heist-encoders list``: every artifact that a name can mean, with its figures and hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, examples
from heist_encoders.json_text import JsonObject

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact

EPILOG = examples("heist-encoders list", "heist-encoders list --json", "heist-encoders list --autoencoders")


def list_artifacts(
    autoencoders: Annotated[
        bool, typer.Option("--autoencoders", help="List the architectures that can be trained instead.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """List the trained encoders: the packaged ones first, then those that you promoted.

    Your own lie in $HEIST_ENCODERS_HOME, by default ~/.heist_encoders.
    """
    if autoencoders:
        _list_autoencoders(json)
        return
    from heist_encoders.paths import home
    from heist_encoders.zoo import list_artifacts

    rows = [_row(artifact) for artifact in list_artifacts()]
    if json:
        output.print_json({"home": home(), "artifacts": rows})
        return
    output.print_table(
        ("name", "mode", "id", "latent dimension", "mIoU", "plan accuracy", "decoded success", "presence F1", "sha256"),
        [
            (
                row["name"],
                row["distribution_mode"],
                row["env_id"],
                row["latent_dimension"],
                row["miou"],
                row["plan_accuracy"],
                row["decoded_success"],
                row["map_presence_f1"],
                row["sha256"][:12],
            )
            for row in rows
        ],
    )
    output.note(f"Your own artifacts: {home() / 'artifacts'}")


def _row(artifact: Artifact) -> JsonObject:
    from heist_encoders.zoo.names import env_id_of

    size = 1
    for length in artifact.encoding_shape:
        size *= length
    return {
        "name": artifact.name,
        "architecture": artifact.architecture,
        "family": artifact.architecture,  # its old name, until the next version
        "distribution_mode": artifact.distribution_mode,
        "game": artifact.game,
        "encoding_shape": list(artifact.encoding_shape),
        "latent_dimension": size,
        "env_id": env_id_of(artifact.name),
        "miou": find_figure(artifact.metrics, "miou"),
        "plan_accuracy": find_figure(artifact.metrics, "plan_accuracy"),
        "decoded_success": find_figure(artifact.metrics, "decoded_success"),
        "map_presence_f1": find_figure(artifact.metrics, "map_presence_f1"),
        "presence_f1": find_figure(artifact.metrics, "presence_f1"),
        "sha256": artifact.sha256,
        "dataset_hash": artifact.dataset_hash,
        "path": str(artifact.path),
    }


def find_figure(metrics: object, name: str) -> float | None:
    """The number called ``name`` anywhere in an artifact's metrics, outermost first; None if there is none."""
    level = [metrics]
    while level:
        for entry in level:
            if isinstance(entry, dict) and isinstance(entry.get(name), int | float):
                return float(entry[name])
        level = [child for entry in level if isinstance(entry, dict) for child in entry.values()]
    return None


def _list_autoencoders(json: bool) -> None:
    from heist_encoders.autoencoders import autoencoder_class, autoencoder_names, create_autoencoder

    rows: list[JsonObject] = []
    for name in autoencoder_names():
        model = create_autoencoder(name)
        rows.append(
            {
                "name": name,
                "env_id": autoencoder_class(name).env_id,
                "encoding_shape": list(model.encoding_shape),
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "options": model.params.to_dict(),
            }
        )
    if json:
        output.print_json({"autoencoders": rows})
    else:
        output.print_table(
            ("name", "environment id", "encoding", "parameters"),
            [
                (row["name"], row["env_id"], "x".join(map(str, row["encoding_shape"])), row["parameters"])
                for row in rows
            ],
        )
