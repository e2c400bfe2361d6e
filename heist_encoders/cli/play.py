"""``heist-encoders play``: watch or record a game through an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import (
    Game,
    Greedy,
    JsonFlag,
    OwnMode,
    Sample,
    Seed,
    check_folder,
    examples,
    given_path,
    note_sample,
)
from heist_encoders.constants import DEFAULT_GAME, MAX_LEVEL_SEED
from heist_encoders.errors import ConfigError

EPILOG = examples(
    "heist-encoders play --encoder conv_unpool --policy oracle --out oracle.gif",
    "heist-encoders play --encoder vae_paper --mode memory --level-seed 7 --out level7.mp4",
    "heist-encoders play --encoder my-vae --policy runs/ppo --mode easy --episodes 3 --out policy.mp4",
    "heist-encoders play --policy best --mode easy --out best.gif",
    "heist-encoders play --encoder vae_alex --policy oracle        (a window, needs pygame)",
)


def play(
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="NAME",
            help="Name, folder or URI (hf://user/name) of an encoder, or 'pixels' for none. Default: the policy's own, "
            "else vae_paper.",
        ),
    ] = None,
    mode: OwnMode = None,
    policy: Annotated[
        str,
        typer.Option(
            metavar="POLICY",
            help="'random', 'oracle' (shortest path), a policy's name ('best': the packaged one), folder or URI, or "
            "the folder of a PPO training.",
        ),
    ] = "oracle",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=given_path, metavar="FILE", help="Record to .gif or .mp4. Default: show a window."
        ),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="How many episodes.")] = 1,
    max_steps: Annotated[int, typer.Option("--max-steps", min=1, max=1000, help="Cut each episode there.")] = 300,
    level_seed: Annotated[
        int | None,
        typer.Option("--level-seed", min=0, max=MAX_LEVEL_SEED, help="Level of the first episode. Default: by --seed."),
    ] = None,
    seed: Seed = 0,
    scale: Annotated[int, typer.Option(min=1, max=16, help="Screen pixels per pixel of the game.")] = 4,
    fps: Annotated[int, typer.Option(min=1, max=50, help="Frames a second.")] = 15,
    game: Game = DEFAULT_GAME,
    greedy: Greedy = False,
    sample: Sample = False,
    json: JsonFlag = False,
) -> None:
    """Play a game, with the original frame beside what the encoder's decoder makes of its encoding.

    Levels come from the evaluation range, which nothing is trained on, unless --level-seed says otherwise.
    """
    note_sample(sample)
    if out is not None:
        if out.suffix not in (".gif", ".mp4"):
            raise ConfigError(f"--out {out}: expected a name that ends in .gif or .mp4")
        check_folder(out.parent)
        if out.is_dir():
            raise ConfigError(f"--out {out} is a folder, expected a file; give a name in it")
    from heist_encoders.pipeline.playing import play_games
    from heist_encoders.tasks.registry import task_of

    output.set_resume_hint("nothing was written" if out else "bye")
    result = play_games(
        None if encoder == "pixels" else encoder,
        pixels=encoder == "pixels", policy=policy, mode=mode, game=game, episodes=episodes, max_steps=max_steps,
        level_seed=level_seed, seed=seed, out=out, scale=scale, fps=fps, greedy=greedy,
    )  # fmt: skip
    if json:
        output.print_json(result)
        return
    for episode in result["episodes"]:
        end = _end(task_of(game).goal, episode["success"])
        print(
            f"level {episode['level_seed']}: return {episode['return']:g} in {episode['length']} steps"
            + (f", {end}" if not episode["cut"] else ", cut")
        )
    if out is not None:
        print(f"{out}: {result['frames']} frames of {result['width']}x{result['height']}")


def _end(goal: str, success: bool) -> str:
    """How an episode ended, in words."""
    if not goal:
        return "completed the level" if success else "ended"
    return f"reached {goal}" if success else f"did not reach {goal}"
