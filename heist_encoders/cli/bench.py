"""``heist-encoders bench``: how fast generation, encoders and environments are on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, Mode, examples
from heist_encoders.constants import DEFAULT_GAME

EPILOG = examples(
    "heist-encoders bench",
    "heist-encoders bench --encoders vae_paper,conv_unpool --num-envs 64 --json",
    "heist-encoders bench --seconds 5",
)


def bench(
    encoders: Annotated[
        str | None,
        typer.Option(
            "--encoders", metavar="A,B", help="Names or folders. Default: all of this mode that 'list' shows."
        ),
    ] = None,
    mode: Mode = "memory",
    num_envs: Annotated[int, typer.Option("--num-envs", min=1, max=4096, help="Games in one vector environment.")] = 32,
    frames: Annotated[int, typer.Option("--frames", min=64, help="Frames to generate for the measurement.")] = 4032,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each environment is stepped.")] = 2.0,
    json: JsonFlag = False,
) -> None:
    """Measure frames generated a second, encoder latency, and environment steps a second.

    Generation runs in one process here; 'generate' runs one such worker a CPU. Steps count every game of the batch.
    """
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.pipeline import benchmarks
    from heist_encoders.zoo import find_artifact, list_artifacts

    if encoders is None:
        artifacts = [a for a in list_artifacts() if a.distribution_mode == mode and a.game == DEFAULT_GAME]
    else:
        artifacts = [find_artifact(name.strip(), mode) for name in encoders.split(",") if name.strip()]
    titles = ["generate frames", "step pixels", *(f"measure {artifact.name}" for artifact in artifacts)]
    with Reporter(titles, [3.0, seconds + 1, *(seconds + 6 for _ in artifacts)]) as progress:
        progress.start(0)
        generation = benchmarks.generation(mode, frames)
        progress.start(1)
        rows: list[dict[str, float | str]] = [benchmarks.environment(None, mode, num_envs, seconds)]
        for index, artifact in enumerate(artifacts):
            progress.start(index + 2)
            rows.append({**benchmarks.encoder(artifact), **benchmarks.environment(artifact, mode, num_envs, seconds)})
    if json:
        output.print_json({"mode": mode, "num_envs": num_envs, "generation": generation, "encoders": rows})
        return
    print(
        f"generation: {generation['frames_per_second']:,.0f} balanced frames/s in one process "
        f"({generation['frames']:,} frames, {generation['seconds']:.1f} s)"
    )
    columns = {
        "encoder": "encoder",
        "numbers": "latent_dimension",
        "1 frame, ms": "latency_1_ms",
        "64 frames, ms": "latency_64_ms",
        "frames/s at 64": "frames_per_second",
        f"steps/s, {num_envs} games": "steps_per_second",
    }
    output.print_table(tuple(columns), [[row.get(key) for key in columns.values()] for row in rows])
