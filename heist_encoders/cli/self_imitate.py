"""``heist-encoders self-imitate``: a policy that learns by reward alone from its own successes, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, Mode, Seed, check_new_policy, examples, given_path
from heist_encoders.cli.ppo import level_seeds, print_evaluation
from heist_encoders.constants import MAX_ACTION_REPEAT

EPILOG = examples(
    "heist-encoders self-imitate --encoder grid --mode easy --out runs/own",
    "heist-encoders self-imitate --encoder my-vae --frames 1000000 --rounds 2 --out runs/short",
    "heist-encoders ppo train --encoder grid --mode easy --action-repeat 4 --warm-start runs/own --out runs/own-ppo",
)


def self_imitate(
    encoder: Annotated[str, typer.Option("--encoder", metavar="NAME", help="Name, folder or URI of an encoder.")],
    out: Annotated[
        Path, typer.Option("--out", parser=given_path, metavar="DIR", help="Where the policy goes: a new folder.")
    ],
    mode: Mode = "easy",
    frames: Annotated[int, typer.Option("--frames", min=1, help="Steps of the game to play in all.")] = 2_500_000,
    rounds: Annotated[
        int,
        typer.Option("--rounds", min=1, max=30, help="Of playing and learning, each twice as long as the one before."),
    ] = 3,
    action_repeat: Annotated[
        int,
        typer.Option("--action-repeat", min=1, max=MAX_ACTION_REPEAT, help="Steps for which an action is held."),
    ] = 4,
    passes: Annotated[
        float, typer.Option("--passes", min=0.01, help="Over the frames of all solved episodes, after each round.")
    ] = 2.0,
    num_levels: Annotated[
        int, typer.Option("--num-levels", min=0, help="Levels to play, from 0 on. 0: all that are for training.")
    ] = 0,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The policy's name. Default: the folder's.")] = None,
    levels: Annotated[
        str, typer.Option("--levels", metavar="N|A:B", help="Evaluation levels, as in 'ppo evaluate'.")
    ] = "256",
    threads: Annotated[int, typer.Option("--threads", min=1, max=64, help="Threads that learn together.")] = 2,
    seed: Seed = 0,
    json: JsonFlag = False,
) -> None:
    """Teach a policy to play by reward alone, from its own successes, and evaluate it on unseen levels.

    It plays, at random at first, learns what led to the exit in the levels that it solved, without the detours, and
    plays again. No oracle, no labels, no states of the engine: class A, or B if the encoder was trained with labels.
    """
    check_new_policy(out)
    seeds = level_seeds(levels)
    output.set_resume_hint("nothing was written")
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.policies.artifact import save_policy
    from heist_encoders.policies.card import class_sentence
    from heist_encoders.policies.evaluate import play_levels
    from heist_encoders.policies.self_imitation import round_shares
    from heist_encoders.policies.self_imitation import self_imitate as learn
    from heist_encoders.training.hardware import torch_threads

    shares = [round(frames * share) for share in round_shares(rounds)]
    titles = [
        title
        for number, share in enumerate(shares)
        for title in (f"play {share:,} frames{'' if number else ' at random'}", "learn what solved levels")
    ]
    with Reporter([*titles, f"play {len(seeds)} levels"]) as progress, torch_threads(1):
        running = -1

        def listen(number: int, part: str, done: int, total: int) -> None:
            nonlocal running
            stage = 2 * number + (part == "learn")
            if stage != running:
                running = stage
                progress.start(stage)
            progress.count(done, total, f"{done:,} of {total:,} {'steps' if part == 'play' else 'frames'}")

        policy = learn(
            encoder, mode=mode, frames=frames, rounds=rounds, action_repeat=action_repeat, passes=passes,
            levels=num_levels, seed=seed, name=name or out.resolve().name, workers=threads, progress=listen,
        )  # fmt: skip
        progress.start(len(titles))
        found = play_levels(
            policy, mode, seeds, seed=seed,
            progress=lambda done, total: progress.count(done, total, f"{done} of {total} levels"),
        )  # fmt: skip
        figures = found.to_dict()
        policy.metrics = {"evaluation": figures}
        save_policy(policy, out)
    training = policy.training
    if json:
        output.print_json(
            {"path": out, "name": policy.name, "class": class_sentence(training), "training": training, **figures}
        )
        return
    print_evaluation(figures)
    print(class_sentence(training))
    solved = f"{training['solved']:,} of {training['episodes']:,} episodes solved"
    print(f"{out}: {training['frames_played']:,} frames played, {solved}, {training['seconds']}")
    output.note(f"Next: heist-encoders play --policy {out} --out own.gif")
