"""``heist-encoders ppo train`` and ``ppo evaluate``: policies on encoded Heist."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, Mode, Seed, check_folder, examples

app = typer.Typer(
    help="Train a policy with PPO on an encoder, and measure it on levels that no training ever sees.",
    no_args_is_help=False,
    add_completion=False,
)

TRAIN_EPILOG = examples(
    "heist-encoders ppo train --encoder my-vae --mode easy --steps 2000000 --out runs/ppo",
    "heist-encoders ppo train --encoder vae_alex --via preprocessor --out runs/ppo-connector",
    "heist-encoders ppo evaluate runs/ppo --levels 256",
)
EVALUATE_EPILOG = examples(
    "heist-encoders ppo evaluate runs/ppo",
    "heist-encoders ppo evaluate runs/ppo --levels 512 --sample --json",
    "heist-encoders ppo evaluate random --mode easy",
    "heist-encoders ppo evaluate oracle --mode memory",
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("train", epilog=TRAIN_EPILOG)
def train(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where learning curve and checkpoints go.")],
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="A name ('heist-encoders list') or an artifact's folder.")
    ] = "vae_paper",
    mode: Mode = "memory",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Environment steps in all.")] = 1_000_000,
    via: Annotated[
        str,
        typer.Option(
            "--via",
            metavar="WAY",
            help="Where frames become encodings: 'env' (fastest), 'preprocessor' (connector) or 'module' (policy).",
        ),
    ] = "env",
    fine_tune: Annotated[
        float | None,
        typer.Option("--fine-tune", min=0, help="Train the encoder too, at this multiple of the learning rate."),
    ] = None,
    lstm: Annotated[bool, typer.Option("--lstm", help="A policy with memory, for memory mode.")] = False,
    num_envs: Annotated[int, typer.Option("--num-envs", min=1, help="Games played at once, in all.")] = 64,
    num_env_runners: Annotated[
        int, typer.Option("--num-env-runners", min=0, help="Processes that play; 0: the learner's own.")
    ] = 0,
    num_levels: Annotated[
        int, typer.Option("--num-levels", help="Size of the set of levels; 0: all but evaluation.")
    ] = 0,
    start_level: Annotated[int, typer.Option("--start-level", help="First level of the set.")] = 0,
    seed: Seed = 0,
    json: JsonFlag = False,
) -> None:
    """Train PPO on an encoded environment. The same command goes on at the last checkpoint, also with more --steps."""
    check_folder(out)
    output.set_resume_hint("run the same command again to go on at the last checkpoint")

    from heist_encoders.cli.progress import Reporter
    from heist_encoders.ray_session import quiet_ray
    from heist_encoders.rllib import ppo_config, train_ppo

    options: dict[str, Any] = {"mode": via, "fine_tune": fine_tune, "lstm": lstm}
    config = ppo_config(
        encoder, distribution_mode=mode, num_envs=num_envs, num_env_runners=num_env_runners,
        num_levels=num_levels, start_level=start_level, seed=seed, **options,
    )  # fmt: skip
    with quiet_ray(), Reporter([f"PPO on {encoder}, {steps:,} steps"]) as progress:
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
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw actions by the policy's probabilities instead of the likeliest.")
    ] = False,
    seed: Seed = 0,
    json: JsonFlag = False,
) -> None:
    """Play each of a fixed list of levels once to its end: success rate and return, also by number of keys.

    The levels lie in a range that no training sees. RLlib's own evaluation favours short episodes; this one does not.
    """
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
            greedy=not sample,
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
