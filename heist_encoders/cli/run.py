"""``heist-encoders run``: the whole chain, from frames to a policy and a report."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, Mode, Seed, Workers, check_folder, examples, given_path
from heist_encoders.errors import ConfigError

EPILOG = examples(
    "heist-encoders run",
    "heist-encoders run --out runs/memory --mode memory",
    "heist-encoders run --out runs/long --size 200000 --seconds-per-family 1800 --ppo-steps 5000000",
    "heist-encoders run --out runs/two --families vae_paper,conv_unpool",
)


def run(
    out: Annotated[
        Path,
        typer.Option(
            "--out", parser=given_path, metavar="DIR", help="The run's folder. The same folder goes on where it was."
        ),
    ] = Path("runs/default"),
    size: Annotated[int, typer.Option("--size", min=512, help="Frames to generate.")] = 20_000,
    mode: Mode = "easy",
    families: Annotated[
        str | None,
        typer.Option("--families", metavar="A,B", help="Autoencoders to sweep, by name. Default: all."),
    ] = None,
    seconds_per_family: Annotated[
        float,
        typer.Option(
            "--seconds-per-family", min=1, help="Training time of each sweep (starting processes comes on top)."
        ),
    ] = 30.0,
    ppo_steps: Annotated[
        int, typer.Option("--ppo-steps", min=0, help="Environment steps of PPO on the best encoder; 0 leaves it out.")
    ] = 100_000,
    seed: Seed = 0,
    workers: Workers = None,
    json: JsonFlag = False,
) -> None:
    """Run the whole chain: data, a sweep of each family, winners, PPO on the best of them, a report.

    On defaults it takes a quarter of an hour on two cores without a GPU. Stop it with Ctrl-C when you like: the same
    command goes on where it was, and what is done is never done twice.

    The default mode is easy: the whole maze is in view, so that a policy without memory can solve it. 100,000 steps
    show that learning runs, not how good a policy gets: that takes millions (--ppo-steps).
    """
    check_folder(out)
    output.set_resume_hint(f"run the same command again to go on; what is done is kept in {out}")
    import warnings

    from heist_encoders.cli.progress import Reporter
    from heist_encoders.pipeline.run import plan
    from heist_encoders.pipeline.run import run as run_pipeline
    from heist_encoders.pipeline.state import RunOptions

    warnings.simplefilter("ignore")
    options = RunOptions.from_dict(
        {
            "mode": mode,
            "size": size,
            "families": _families(families),
            "seconds_per_family": seconds_per_family,
            "ppo_steps": ppo_steps,
            "seed": seed,
        }
    )
    stages = plan(options)
    with Reporter([stage.title for stage in stages], [stage.seconds for stage in stages]) as progress:
        result = run_pipeline(out, options, workers=workers, progress=progress)
    if json:
        output.print_json(result)
    else:
        _closing_lines(out, mode, result)


def _families(given: str | None) -> list[str]:
    from heist_encoders.autoencoders import autoencoder_class, autoencoder_names
    from heist_encoders.tuning import space_names

    searchable = space_names()
    if given is None:
        return [name for name in autoencoder_names() if name in searchable]
    names = [autoencoder_class(name.strip()).name for name in given.split(",") if name.strip()]
    for name in names:
        if name not in searchable:
            raise ConfigError(f"--families {given}: {name} has no search space; write tune_configs/{name}.yaml")
    if not names:
        raise ConfigError(f"--families {given!r}: expected names separated by commas, as in vae_paper,conv_unpool")
    return list(dict.fromkeys(names))


def _closing_lines(out: Path, mode: str, result: dict[str, Any]) -> None:
    best, ppo = result["best"], result["stages"].get("ppo")
    again = " (all of it was there already)" if result["reused"] == len(result["stages"]) else ""
    print(f"\nDone in {result['seconds']:.0f} s{again}. Everything lies in {out}:")
    lines = [
        (f"{out}/report.html", "open it in a browser: what each encoder kept and threw away"),
        (f"{out}/data", "the frames with their labels"),
        (f"{out}/sweeps", "every trial of every sweep"),
        (f"{out}/evaluation", "figures, pictures and a video of each winner"),
    ]
    if ppo is not None:
        lines.append((f"{out}/ppo", "the policy and its learning curve"))
    width = max(len(path) for path, _ in lines)
    for path, text in lines:
        print(f"  {path:<{width}}  {text}")
    print(f"The winners have names now ('heist-encoders list'); the best one is {best}.\n\nTry next:")
    policy = f"{out}/ppo" if ppo is not None else "oracle"
    print(f"  heist-encoders play --encoder {best} --policy {policy} --out policy.gif")
    print(f"  heist-encoders tune {_family(result, best)} --data {out}/data --out runs/longer --seconds 1800")
    if ppo is not None:
        print(f"  heist-encoders ppo train --encoder {best} --mode {mode} --steps 2000000 --out runs/ppo")
    print(f"  python -c {json_module.dumps(_snippet(best))}")


def _family(result: dict[str, Any], name: str) -> str:
    return next(
        str(stage["family"]) for stage in result["stages"].values() if stage.get("name") == name and "family" in stage
    )


def _snippet(name: str) -> str:
    from heist_encoders.zoo.names import env_id_of

    return f"import gymnasium; print(gymnasium.make('heist_encoders:{env_id_of(name)}').reset(seed=0)[0].shape)"
