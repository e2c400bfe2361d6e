"""``heist-encoders run``: the whole chain, from frames to a policy and a report."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, Mode, Seed, Workers, check_folder, examples, given_path
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject
from heist_encoders.pipeline.state import RunOptions

_FIELDS = RunOptions.model_fields
"""Where the defaults stand."""
EPILOG = examples(
    "heist-encoders run",
    "heist-encoders run --out runs/memory --mode memory",
    "heist-encoders run --out runs/long --size 200000 --seconds-per-architecture 900 --train-frames 1000000",
    "heist-encoders run --out runs/two --architectures vae_paper,conv_unpool",
)


def run(
    out: Annotated[
        Path,
        typer.Option(
            "--out", parser=given_path, metavar="DIR", help="The run's folder. The same folder goes on where it was."
        ),
    ] = Path("runs/default"),
    size: Annotated[int, typer.Option("--size", min=512, help="Frames to generate.")] = _FIELDS["size"].default,
    mode: Mode = "easy",
    architectures: Annotated[
        str | None,
        typer.Option("--architectures", metavar="A,B", help="Autoencoders to sweep, by name. Default: all."),
    ] = None,
    seconds_per_architecture: Annotated[
        float,
        typer.Option(
            "--seconds-per-architecture", min=1, help="Training time of each sweep (starting processes comes on top)."
        ),
    ] = _FIELDS["seconds_per_architecture"].default,
    train_frames: Annotated[
        int,
        typer.Option(
            "--train-frames",
            min=0,
            help="Frames that the best encoder is trained on again, for longer; 0 leaves it out.",
        ),
    ] = _FIELDS["train_frames"].default,
    policy_frames: Annotated[
        int,
        typer.Option(
            "--policy-frames",
            min=0,
            help="Frames that a policy on the best encoder plays to learn by reward alone; 0 leaves it out.",
        ),
    ] = _FIELDS["policy_frames"].default,
    ppo_steps: Annotated[
        int, typer.Option("--ppo-steps", min=0, help="Environment steps of PPO on the best encoder; 0 leaves it out.")
    ] = 0,
    evaluation_levels: Annotated[
        int,
        typer.Option("--evaluation-levels", min=1, help="Levels, never trained on, that policies are compared on."),
    ] = _FIELDS["evaluation_levels"].default,
    seed: Seed = 0,
    workers: Workers = None,
    families: Annotated[str | None, typer.Option("--families", hidden=True)] = None,
    seconds_per_family: Annotated[float | None, typer.Option("--seconds-per-family", min=1, hidden=True)] = None,
    json: JsonFlag = False,
) -> None:
    """Run the whole chain: data, a sweep of each architecture, longer training of the best, a policy on it, a report.

    On defaults it takes under 12 minutes on two idle cores without a GPU. Stop it with Ctrl-C when you like: the same
    command goes on where it was, and what is done is never done twice.

    The default mode is easy: the whole maze is in view, so that a policy without memory can solve it. The policy
    learns by reward alone, from its own successes (self-imitation, docs/policies.md). --ppo-steps adds PPO, which
    takes millions of steps.
    """
    if families is not None:
        output.note("--families is now called --architectures; the old name goes with the next version")
        architectures = families
    if seconds_per_family is not None:
        output.note(
            "--seconds-per-family is now called --seconds-per-architecture; the old name goes with the next version"
        )
        seconds_per_architecture = seconds_per_family
    check_folder(out)
    output.set_resume_hint(f"run the same command again to go on; what is done is kept in {out}")
    import warnings

    from heist_encoders.cli.progress import Reporter
    from heist_encoders.pipeline.run import plan
    from heist_encoders.pipeline.run import run as run_pipeline

    warnings.simplefilter("ignore")
    options = RunOptions.from_dict(
        {
            "mode": mode,
            "size": size,
            "architectures": _architectures(architectures),
            "seconds_per_architecture": seconds_per_architecture,
            "train_frames": train_frames,
            "policy_frames": policy_frames,
            "ppo_steps": ppo_steps,
            "evaluation_levels": evaluation_levels,
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


def _architectures(given: str | None) -> list[str]:
    from heist_encoders.autoencoders import autoencoder_class, autoencoder_names
    from heist_encoders.tuning import space_names

    searchable = space_names()
    if given is None:
        return [name for name in autoencoder_names() if name in searchable]
    names = [autoencoder_class(name.strip()).name for name in given.split(",") if name.strip()]
    for name in names:
        if name not in searchable:
            raise ConfigError(f"--architectures {given}: {name} has no search space; write tune_configs/{name}.yaml")
    if not names:
        raise ConfigError(f"--architectures {given!r}: expected names separated by commas, as in vae_paper,conv_unpool")
    return list(dict.fromkeys(names))


def _closing_lines(out: Path, mode: str, result: JsonObject) -> None:
    best, encoder = result["best"], result["encoder"]
    learned, ppo = result["stages"].get("policy"), result["stages"].get("ppo")
    again = " (all of it was there already)" if result["reused"] == len(result["stages"]) else ""
    print(f"\nDone in {result['seconds']:.0f} s{again}. Everything lies in {out}:")
    lines = [
        (f"{out}/report.html", "open it in a browser: what each encoder kept and threw away"),
        (f"{out}/data", "the frames with their labels"),
        (f"{out}/sweeps", "every trial of every sweep"),
        (f"{out}/evaluation", "figures, pictures and a video of each encoder"),
    ]
    if learned is not None:
        lines.append((f"{out}/policy", f"the policy: return {learned['policy']['return_mean']:.2f}"))
    if ppo is not None:
        lines.append((f"{out}/ppo", "the policy that PPO trained, and its learning curve"))
    width = max(len(path) for path, _ in lines)
    for path, text in lines:
        print(f"  {path:<{width}}  {text}")
    print(f"The best encoders have names now ('heist-encoders list'); the best one is {best}.\n\nTry next:")
    policy = learned["name"] if learned is not None else f"{out}/ppo" if ppo is not None else "oracle"
    print(f"  heist-encoders play --encoder {encoder} --policy {policy} --out policy.gif")
    if learned is not None:
        print(f"  heist-encoders ppo evaluate --policy {policy} --mode {mode} --levels 1000:2000")
    print(f"  heist-encoders tune {_architecture(result, best)} --data {out}/data --out runs/longer --seconds 1800")
    if ppo is not None:
        print(f"  heist-encoders ppo train --encoder {encoder} --mode {mode} --steps 2000000 --out runs/ppo")
    print(f"  python -c {json_module.dumps(_snippet(encoder))}")


def _architecture(result: JsonObject, name: str) -> str:
    return next(
        str(stage["family"]) for stage in result["stages"].values() if stage.get("name") == name and "family" in stage
    )


def _snippet(name: str) -> str:
    from heist_encoders.zoo.names import env_id_of

    return f"import gymnasium; print(gymnasium.make('heist_encoders:{env_id_of(name)}').reset(seed=0)[0].shape)"
