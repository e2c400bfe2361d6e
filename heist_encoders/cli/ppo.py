"""``heist-encoders ppo train`` and ``ppo evaluate``: policies on encoded Heist."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import Greedy, JsonFlag, Sample, Seed, check_folder, examples, note_sample
from heist_encoders.cli.schema import flags_of
from heist_encoders.errors import ConfigError
from heist_encoders.rllib.options import PPOOptions

app = typer.Typer(
    help="Train a policy with PPO on an encoder, and measure it on levels that no training ever sees.",
    no_args_is_help=False,
    add_completion=False,
)

TRAIN_EPILOG = examples(
    "heist-encoders ppo train --encoder my-vae --mode easy --steps 2000000 --out runs/ppo",
    "heist-encoders ppo train --encoder vae_alex --placement preprocessor --out runs/ppo-connector",
    "heist-encoders ppo train --config ppo.yaml --num-envs 128 --out runs/ppo-128",
    "heist-encoders ppo train --encoder vae_alex --show-config > ppo.yaml",
    "heist-encoders ppo evaluate runs/ppo --levels 256",
)
EVALUATE_EPILOG = examples(
    "heist-encoders ppo evaluate runs/ppo",
    "heist-encoders ppo evaluate runs/ppo --levels 512 --greedy --json",
    "heist-encoders ppo evaluate random --mode easy",
    "heist-encoders ppo evaluate oracle --mode memory",
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("train", epilog=TRAIN_EPILOG)
@flags_of(PPOOptions, names={"distribution_mode": "--mode"})
def train(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where learning curve and checkpoints go. Needed for training."),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Environment steps in all.")] = 1_000_000,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="YAML file with options; flags on the command line win."),
    ] = None,
    given: Any = None,
    via: Annotated[str | None, typer.Option("--via", hidden=True)] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print all options as YAML, as --config takes them, and stop.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Train PPO on an encoded environment. The same command goes on at the last checkpoint, also with more --steps.

    The options are those of 'ppo_config' in Python, and of the file that --config names.
    """
    if via is not None:
        output.note("--via is now called --placement; the old name goes with the next version")
        given = {"placement": via, **given}
    options = PPOOptions.resolve(config_file, **given)
    if show_config:
        print(options.to_yaml(), end="")
        return
    if out is None:
        raise ConfigError("missing option '--out'; expected a folder for learning curve and checkpoints")
    check_folder(out)
    output.set_resume_hint("run the same command again to go on at the last checkpoint")

    from heist_encoders.cli.progress import Reporter
    from heist_encoders.ray_session import quiet_ray
    from heist_encoders.rllib import ppo_config, train_ppo

    config = ppo_config(options=options)
    with quiet_ray(), Reporter([f"PPO on {options.encoder}, {steps:,} steps"]) as progress:
        progress.start(0)

        def listen(line: dict[str, Any]) -> None:
            shown = "" if line["return_mean"] is None else f", return {line['return_mean']:.2f}"
            detail = f"{line['env_steps']:,} steps, {line['steps_per_second']:,.0f} steps/s{shown}"
            progress.count(line["env_steps"], steps, detail)

        result = train_ppo(config, steps=steps, out=out, callback=listen)
    if json:
        output.print_json(
            {
                "out": result.out,
                "checkpoint": result.checkpoint,
                "env_steps": result.env_steps,
                "seconds": result.seconds,
                "last": result.history[-1] if result.history else None,
            }
        )
    else:
        print(f"{result.env_steps:,} steps in {result.seconds:.0f} s, checkpoint {result.checkpoint}")
        output.note(f"Next: heist-encoders ppo evaluate {out}")


@app.command("evaluate", epilog=EVALUATE_EPILOG)
def evaluate(
    policy: Annotated[
        str, typer.Argument(metavar="POLICY", help="The folder of a PPO training, or 'random', or 'oracle'.")
    ],
    levels: Annotated[int, typer.Option("--levels", min=1, max=100_000, help="How many evaluation levels.")] = 256,
    mode: Annotated[
        str | None,
        typer.Option("--mode", metavar="MODE", help="'memory', 'easy' or 'hard'. Default: that of the training."),
    ] = None,
    greedy: Greedy = False,
    sample: Sample = False,
    seed: Seed = 0,
    json: JsonFlag = False,
) -> None:
    """Play each of a fixed list of levels once to its end: success rate and return, also by number of keys.

    The levels lie in a range that no training sees. RLlib's own evaluation favours short episodes; this one does not.
    """
    note_sample(sample)
    from heist_encoders.cli.options import check_mode
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.rllib import evaluate_policy

    options = {} if mode is None else {"distribution_mode": check_mode(mode)}
    with Reporter([f"play {levels} levels"]) as progress:
        progress.start(0)
        found = evaluate_policy(
            policy,
            levels=levels,
            env_config=options,
            greedy=greedy,
            seed=seed,
            progress=lambda done, total: progress.count(done, total, f"{done} of {total} levels"),
        )
    figures = found.to_dict()
    if json:
        output.print_json(figures)
        return
    rows = [("all", figures)] + [(f"{keys} keys", part) for keys, part in figures["by_num_keys"].items()]
    output.print_table(
        ("levels", "number", "success", "return", "steps"),
        [
            (
                name,
                part["num_levels"],
                f"{part['success_rate']:.1%}",
                f"{part['mean_return']:.2f}",
                f"{part['mean_length']:.0f}",
            )
            for name, part in rows
        ],
        title=f"{figures['player']}, {figures['distribution_mode']} mode",
    )
