"""``heist-encoders ppo train``, ``ppo evaluate`` and ``ppo export``: policies on encoded Heist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import (
    Address,
    Greedy,
    JsonFlag,
    Sample,
    Seed,
    ShowConfig,
    check_folder,
    check_mode,
    check_new_policy,
    examples,
    given_path,
    needed,
    note_sample,
)
from heist_encoders.cli.schema import flags_of
from heist_encoders.constants import EVALUATION_LEVELS, MAX_ACTION_REPEAT
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject
from heist_encoders.rllib.run_options import BC, PPORunOptions

if TYPE_CHECKING:
    from heist_encoders.policies.evaluate import Evaluation, EvaluationFigures, Figures

MOST_LEVELS = 100_000

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
    "heist-encoders ppo train --config ppo.yaml --seeds 0,1,2 --evaluate-every 20 --log tensorboard --out runs/three",
    "heist-encoders ppo train --encoder grid --mode easy --warm-start best --out runs/on",
    "heist-encoders ppo train --encoder grid --mode easy --warm-start bc --out runs/bc-ppo",
    "heist-encoders ppo evaluate runs/ppo --levels 256",
)
EVALUATE_EPILOG = examples(
    "heist-encoders ppo evaluate runs/ppo",
    "heist-encoders ppo evaluate --policy best --mode easy --levels 1000:2000 --json",
    "heist-encoders ppo evaluate runs/ppo --levels 512 --greedy --json",
    "heist-encoders ppo evaluate random --mode easy",
    "heist-encoders ppo evaluate oracle --mode memory",
)
EXPORT_EPILOG = examples(
    "heist-encoders ppo export runs/ppo --out runs/policy",
    "heist-encoders ppo export runs/ppo/checkpoints/000010 --encoder my-vae --out runs/policy --name mine",
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("train", epilog=TRAIN_EPILOG)
@flags_of(
    PPORunOptions,
    names={
        "distribution_mode": "--mode",
        "evaluation_interval": "--evaluate-every --evaluation-interval",
        "lambda_": "--lambda",
    },
)
def train(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=given_path,
            metavar="DIR",
            help="Where learning curve and checkpoints go. Needed, but for --show-config.",
            show_default=False,
        ),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="YAML file with options; flags on the command line win. Default: none."
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="A,B,...",
            help="One run for each of these seeds, in OUT/seed-A, ..., and a table with their interquartile mean. "
            "Default: one run, with --seed.",
        ),
    ] = None,
    given: JsonObject | None = None,
    via: Annotated[str | None, typer.Option("--via", hidden=True)] = None,
    address: Address = None,
    show_config: ShowConfig = False,
    json: JsonFlag = False,
) -> None:
    """Train PPO on an encoded environment. The same command goes on at the last checkpoint, also with more --steps.

    All options are printed at the start and kept as OUT/ppo.yaml, which --config reads; 'ppo_config' in Python has the
    same. What is shown of the policy is measured on whole episodes in levels that no training sees.
    """
    given = dict(given or {})
    if via is not None:
        output.note("--via is now called --placement; the old name goes with the next version")
        given = {"placement": via, **given}
    if seeds is not None:
        given = {**given, "seeds": list_of_seeds(seeds)}
    options = PPORunOptions.resolve(config_file, **given)
    if show_config:
        print(options.to_yaml(), end="")
        return
    out = check_folder(needed(out, "--out"))
    output.set_resume_hint("run the same command again to go on at the last checkpoint")

    from heist_encoders.rllib import ppo_config
    from heist_encoders.rllib.run_logs import check_loggers

    check_loggers(options.log)
    ppo_config(options=options.ppo)  # what is wrong with the options shows before Ray starts
    if options.seeds:
        _train_seeds(options, out, address, json)
    else:
        _train_one(options, out, address, json)


def _train_one(options: PPORunOptions, out: Path, address: str | None, json: bool) -> None:
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.ray_session import quiet_ray
    from heist_encoders.rllib.runs import interval_text, train_run

    titles = [f"PPO on {options.encoder}, {options.steps:,} steps"]
    if options.warm_start == BC:
        titles.insert(0, f"learn the oracle's moves from {options.warm_start_frames:,} frames")
    with quiet_ray(address=address), Reporter(titles) as progress:
        progress.start(0)

        def cloning(part: str, done: int, total: int) -> None:
            progress.count(done, total, f"{part}: {done:,} of {total:,} frames")

        def begun(state: JsonObject) -> None:
            if len(titles) > 1:
                progress.start(1)
            progress.say(options.to_yaml().rstrip())
            where = _where(state, options.steps)
            if where:
                progress.say(where)

        def listen(line: JsonObject) -> None:
            # RLlib's mean return is left out: of the first episodes only the short ones, the successes, have ended.
            detail = f"{line['env_steps']:,} steps, {line['steps_per_second']:,.0f} steps/s"
            progress.count(line["env_steps"], options.steps, detail)
            if "evaluation" in line:
                progress.say(
                    f"iteration {line['iteration']}, {line['env_steps']:,} steps: {unbiased(line['evaluation'])}"
                )
            if options.final_levels and line["env_steps"] >= options.steps:
                progress.say(f"final return: playing {options.final_levels} evaluation levels to their end")

        result = train_run(options, out, listen, begun, cloning)
    if json:
        output.print_json(result)
        return
    print(f"{result['env_steps']:,} steps in {result['seconds']:.0f} s, checkpoint {result['checkpoint']}")
    if result["evaluation"]:
        figures = result["evaluation"]
        print(
            f"final return {figures['return_mean']:.2f}, 95% interval {interval_text(figures)}, success "
            f"{figures['success_rate']:.1%}, on {figures['num_levels']} evaluation levels"
        )
    if result["class"]:
        print(result["class"])
    output.note(f"Next: heist-encoders ppo evaluate {out}")


def _train_seeds(options: PPORunOptions, out: Path, address: str | None, json: bool) -> None:
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.ray_session import quiet_ray
    from heist_encoders.rllib.runs import rows, seed_folders, state_of, train_seeds

    folders = seed_folders(options, out)
    count = len(options.seeds)
    title = f"PPO on {options.encoder}, {count} seeds, {options.steps:,} steps each"
    with quiet_ray(address=address), Reporter([title]) as progress:
        progress.start(0)
        progress.say(options.to_yaml().rstrip())
        for seed, folder in folders.items():
            where = _where(state_of(folder), options.steps)
            if where:
                progress.say(f"seed {seed}: {where}")
        result = train_seeds(
            options, out, lambda done, total: progress.count(done, total, f"{done:,} of {total:,} steps")
        )
    if json:
        output.print_json(result)
        return
    summary = result["summary"]
    if summary is None:
        print(f"{count} runs in {out}")
        return
    output.print_table(
        ("seed", "steps", "success", "return", "95% interval"),
        rows(result["runs"]),
        title=f"{out}: final return by seed",
    )
    text = f"interquartile mean of {count} seeds: {summary['return_iqm']:.2f}"
    if summary["return_interval"]:
        low, high = summary["return_interval"]
        text += f", 95% bootstrap interval {low:.2f} to {high:.2f}"
    print(text)
    for taught in sorted({run["class"] for run in result["runs"].values()} - {""}):
        print(taught)


def _where(state: JsonObject, steps: int) -> str:
    """Where a run goes on, in words; empty if it begins."""
    if not state or not state["env_steps"]:
        return ""
    if state["env_steps"] >= steps:
        return f"{state['env_steps']:,} steps are trained already; nothing is left to train"
    return f"going on at iteration {state['iteration'] + 1}, after {state['env_steps']:,} steps"


def unbiased(figures: JsonObject) -> str:
    """An evaluation between iterations in words: return with its 95% interval, and success."""
    text = f"return {figures['mean_return']:.2f}"
    if "return_stderr" in figures:
        half = 1.96 * figures["return_stderr"]
        text += f" (95% interval {figures['mean_return'] - half:.2f} to {figures['mean_return'] + half:.2f})"
    return f"{text}, success {figures['success_rate']:.1%} on evaluation levels"


def list_of_seeds(text: str) -> list[int]:
    """``0,1,2`` as numbers.

    Raises:
        ConfigError: if it is something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--seeds {text!r}: expected whole numbers with commas between them, as in 0,1,2")
    return [int(part) for part in parts]


@app.command("evaluate", epilog=EVALUATE_EPILOG)
def evaluate(
    policy: Annotated[
        str | None,
        typer.Argument(
            metavar="POLICY",
            help="A policy's name, folder or URI, the folder of a PPO training, or 'random', or 'oracle'.",
            show_default=False,
        ),
    ] = None,
    policy_option: Annotated[
        str | None,
        typer.Option(
            "--policy", metavar="POLICY", help="The same; 'best' is the packaged policy of the mode. Default: POLICY."
        ),
    ] = None,
    levels: Annotated[
        str,
        typer.Option(
            "--levels",
            metavar="N|A:B",
            help="How many evaluation levels, or which: number A to B - 1 of them, or those with the seeds A to B - 1.",
        ),
    ] = "256",
    mode: Annotated[
        str | None,
        typer.Option("--mode", metavar="MODE", help="'memory', 'easy' or 'hard'. Default: that of the training."),
    ] = None,
    action_repeat: Annotated[
        int | None,
        typer.Option(
            "--action-repeat",
            min=1,
            max=MAX_ACTION_REPEAT,
            help="Of 'random': steps for which an action is held. Default: 1.",
        ),
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
    if (policy is None) == (policy_option is None):
        raise ConfigError("give one policy: a name, a folder, 'random' or 'oracle'")
    chosen = policy or policy_option or ""
    if mode is not None:
        check_mode(mode)
    if action_repeat is not None and chosen != "random":
        raise ConfigError(f"--action-repeat {action_repeat} with policy {chosen!r}, which has its own; leave it out")
    seeds = level_seeds(levels)
    from heist_encoders.cli.progress import Reporter

    with Reporter([f"play {len(seeds)} levels"]) as progress:
        progress.start(0)
        found, taught = _play(
            chosen,
            seeds,
            mode,
            action_repeat,
            greedy,
            seed,
            lambda done, total: progress.count(done, total, f"{done} of {total} levels"),
        )
    figures = found.to_dict()
    if json:
        output.print_json({**_old_names(dict(figures)), "class": taught, "levels": [seeds[0], seeds[-1] + 1]})
        return
    print_evaluation(figures)
    if taught:
        print(taught)


def level_seeds(text: str) -> range:
    """The levels that ``N`` or ``A:B`` means.

    Raises:
        ConfigError: if it is neither, or goes beyond the evaluation levels.
    """
    first, colon, last = text.partition(":")
    total = len(EVALUATION_LEVELS)
    if not (first.isdecimal() and (last.isdecimal() if colon else not last)):
        raise ConfigError(f"--levels {text!r}: expected a number, or A:B as in 1000:2000")
    start, stop = (int(first), int(last)) if colon else (0, int(first))
    if start >= EVALUATION_LEVELS.start:
        start, stop = start - EVALUATION_LEVELS.start, stop - EVALUATION_LEVELS.start
    if not 0 <= start < stop <= total or stop - start > MOST_LEVELS:
        raise ConfigError(
            f"--levels {text!r}: expected 1 to {MOST_LEVELS:,} evaluation levels, by number (0:{total}) or by seed "
            f"({EVALUATION_LEVELS.start}:{EVALUATION_LEVELS.stop})"
        )
    return EVALUATION_LEVELS[start:stop]


def _play(
    policy: str,
    seeds: range,
    mode: str | None,
    action_repeat: int | None,
    greedy: bool,
    seed: int,
    progress: Callable[[int, int], None],
) -> tuple[Evaluation, str]:
    """The evaluation, and what the policy was taught with, as far as that is known."""
    from heist_encoders.errors import unknown_name
    from heist_encoders.policies.artifact import is_policy, load_policy, policy_names
    from heist_encoders.policies.card import class_sentence
    from heist_encoders.policies.evaluate import play_levels

    fixed = policy in ("random", "oracle")
    if not fixed and is_policy(policy):
        loaded = load_policy(policy, distribution_mode=mode)
        played = play_levels(loaded, loaded.distribution_mode, seeds, greedy=greedy, seed=seed, progress=progress)
        return played, class_sentence(loaded.training)
    if not fixed and "/" not in policy and not Path(policy).exists():
        raise unknown_name(
            "policy", policy, ["random", "oracle", *policy_names(), "<folder of a policy or checkpoint>"]
        )
    from heist_encoders.rllib import evaluate_policy

    given = {"distribution_mode": mode, "action_repeat": action_repeat}
    options = {name: value for name, value in given.items() if value is not None}
    found = evaluate_policy(policy, levels=seeds, env_config=options, greedy=greedy, seed=seed, progress=progress)
    if fixed:
        return found, ""
    from heist_encoders.rllib.training import checkpoint_of, environment_of

    return found, class_sentence(environment_of(checkpoint_of(Path(policy))).get("training", {}))


def _old_names(figures: JsonObject) -> JsonObject:
    """Figures, also under the names that version 0.1 gave two of them."""
    parts = {keys: _old_names(part) for keys, part in figures.get("by_num_keys", {}).items()}
    added = {"mean_return": figures["return_mean"], "mean_length": figures["length_mean"]}
    return {**figures, **added, **({"by_num_keys": parts} if parts else {})}


def print_evaluation(figures: EvaluationFigures) -> None:
    """A table of what ``Evaluation.to_dict`` gave."""
    rows: list[tuple[str, Figures]] = [("all", figures)]
    rows += [(f"{keys} keys", part) for keys, part in figures["by_num_keys"].items()]
    output.print_table(
        ("levels", "number", "success", "return", "95% interval", "steps"),
        [
            (
                name,
                part["num_levels"],
                f"{part['success_rate']:.1%}",
                f"{part['return_mean']:.2f}",
                "{:.2f} to {:.2f}".format(*part["return_interval"]) if part["num_levels"] > 1 else "-",
                f"{part['length_mean']:.0f}",
            )
            for name, part in rows
        ],
        title=f"{figures['player']}, {figures['distribution_mode']} mode",
    )


@app.command("export", epilog=EXPORT_EPILOG)
def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="The folder of a PPO training, or of one of its checkpoints.")
    ],
    out: Annotated[
        Path, typer.Option("--out", parser=given_path, metavar="DIR", help="Where the policy goes: a new folder.")
    ],
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", metavar="NAME", help="The encoder. Default: the one that the checkpoint names."),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="Its mode, where there are several of the name. Default: that of the training.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The policy's name. Default: the folder's.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make a policy artifact of what RLlib trained: safetensors and JSON, played without Ray.

    Ray's checkpoints contain pickles: open only those that you trust.
    """
    check_new_policy(out)
    if mode is not None:
        check_mode(mode)
    from heist_encoders.rllib.export import export_policy

    policy = export_policy(checkpoint, out, encoder=encoder, distribution_mode=mode, name=name)
    if json:
        output.print_json(
            {
                "name": policy.name,
                "path": out,
                "encoder": policy.artifact.name,
                "mode": policy.distribution_mode,
                "head": policy.head.config.to_dict(),
            }
        )
        return
    print(f"{out}: policy {policy.name} on {policy.artifact.name}, {policy.distribution_mode} mode")
    output.note(f"Next: heist-encoders ppo evaluate {out}")
