"""``heist-encoders clone``: a policy that learns the oracle's moves on a frozen encoder, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, Mode, Seed, check_new_policy, examples, given_path
from heist_encoders.cli.ppo import level_seeds, print_evaluation
from heist_encoders.errors import ConfigError

EPILOG = examples(
    "heist-encoders clone --encoder grid --mode easy --frames 200000 --out runs/clone",
    "heist-encoders clone --encoder my-vae --mode easy --frames 50000 --samples 200000 --out runs/four-passes",
    "heist-encoders clone --encoder grid --mode memory --dagger-steps 200000 --lstm 128 --out runs/memory",
    "heist-encoders play --policy runs/clone --out clone.gif",
)


def clone(
    encoder: Annotated[str, typer.Option("--encoder", metavar="NAME", help="Name, folder or URI of an encoder.")],
    out: Annotated[
        Path, typer.Option("--out", parser=given_path, metavar="DIR", help="Where the policy goes: a new folder.")
    ],
    mode: Mode = "easy",
    frames: Annotated[int, typer.Option("--frames", min=1, help="Labelled frames to learn from.")] = 200_000,
    samples: Annotated[
        int | None,
        typer.Option("--samples", min=1, help="Frames shown in all, each again if need be. Default: each once."),
    ] = None,
    dagger_steps: Annotated[
        int,
        typer.Option("--dagger-steps", min=0, help="Then so many steps of its own play, each labelled by the oracle."),
    ] = 0,
    lstm: Annotated[
        int, typer.Option("--lstm", min=0, max=4096, help="Units of an LSTM, which needs --dagger-steps. 0: none.")
    ] = 0,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The policy's name. Default: the folder's.")] = None,
    levels: Annotated[
        str, typer.Option("--levels", metavar="N|A:B", help="Evaluation levels, as in 'ppo evaluate'.")
    ] = "256",
    threads: Annotated[
        int, typer.Option("--threads", min=1, max=64, help="Processes that draw frames, threads that learn together.")
    ] = 2,
    device: Annotated[str, typer.Option("--device", help="Of behaviour cloning: auto, cpu or cuda.")] = "cpu",
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Frames a step: few learn more from as many; on a GPU 256.")
    ] = 32,
    seed: Seed = 0,
    json: JsonFlag = False,
) -> None:
    """Teach a policy the oracle's moves on a frozen encoder, and evaluate it on unseen levels.

    Behaviour cloning on frames of all situations; with --dagger-steps, DAgger after it: the policy plays, and learns
    what the oracle would have done in the situations that it gets into.

    Class D: it learns from a shortest-path oracle, so its figures are no results of learning by reward.
    """
    check_new_policy(out)
    if lstm and not dagger_steps:
        raise ConfigError(
            f"--lstm {lstm} without --dagger-steps: single frames teach no memory; add --dagger-steps 200000, say"
        )
    seeds = level_seeds(levels)
    output.set_resume_hint("nothing was written")
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.policies.artifact import save_policy
    from heist_encoders.policies.card import class_sentence
    from heist_encoders.policies.clone import clone as clone_policy
    from heist_encoders.policies.dagger import dagger, with_memory
    from heist_encoders.policies.evaluate import play_levels
    from heist_encoders.training.hardware import torch_threads

    stages = {"encode": 0, "learn": 1}
    titles = [f"draw and encode {frames:,} frames", "learn the oracle's moves"]
    titles += [f"play {dagger_steps:,} steps and learn the oracle's"] * bool(dagger_steps) + [
        f"play {len(seeds)} levels"
    ]
    with Reporter(titles) as progress, torch_threads(1):
        running = -1

        def listen(part: str, done: int, total: int) -> None:
            nonlocal running
            if stages[part] != running:
                running = stages[part]
                progress.start(running)
            progress.count(done, total, f"{done:,} of {total:,} frames")

        policy = clone_policy(
            encoder, mode=mode, frames=frames, samples=samples, seed=seed, name=name or out.resolve().name,
            workers=threads, device=device, batch_size=batch_size, progress=listen,
        )  # fmt: skip
        if dagger_steps:
            progress.start(2)
            policy = dagger(
                with_memory(policy, lstm, seed=seed) if lstm else policy,
                steps=dagger_steps, seed=seed, workers=threads, oracle_share=0.5 if lstm else 0.0,
                progress=lambda done, total, *_: progress.count(done, total, f"{done:,} of {total:,} steps"),
            )  # fmt: skip
        progress.start(len(titles) - 1)
        found = play_levels(
            policy, mode, seeds, seed=seed,
            progress=lambda done, total: progress.count(done, total, f"{done} of {total} levels"),
        )  # fmt: skip
        figures = found.to_dict()
        policy.metrics = {"evaluation": figures}
        save_policy(policy, out)
    if json:
        training = policy.training
        output.print_json(
            {"path": out, "name": policy.name, "class": class_sentence(training), "training": training, **figures}
        )
        return
    print_evaluation(figures)
    print(class_sentence(policy.training))
    print(f"{out}: loss {policy.training['loss']:.3f} at the end, {policy.training['seconds']}")
    output.note(f"Next: heist-encoders play --policy {out} --out clone.gif")
