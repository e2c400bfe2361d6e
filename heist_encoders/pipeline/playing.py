"""Play an encoded environment and show or record it: the original beside its reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import DEFAULT_GAME, EVALUATION_LEVELS
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject
from heist_encoders.rllib.options import GREEDY

if TYPE_CHECKING:
    from heist_encoders.envs.single import HeistEnv
    from heist_encoders.policies.play import BatchPolicy
    from heist_encoders.policies.policy import PolicyRunner


class Played(TypedDict):
    """What was played, and its film."""

    episodes: list[JsonObject]
    """Of each ``level_seed``, ``return``, ``length``, ``success``, and ``cut``: whether it was left before its end."""
    out: str | None
    frames: int
    width: int
    height: int


def play_games(
    encoder: str | None,
    *,
    pixels: bool = False,
    policy: str = "oracle",
    mode: str | None = None,
    game: str = DEFAULT_GAME,
    episodes: int = 1,
    max_steps: int = 300,
    level_seed: int | None = None,
    seed: int = 0,
    out: Path | None = None,
    scale: int = 4,
    fps: int = 15,
    greedy: bool = GREEDY,
) -> Played:
    """Play whole episodes, or their first ``max_steps`` steps. Each picture says step, return so far and action.

    Args:
        encoder: name, path or URI of an artifact; None: that of a policy artifact, else ``vae_paper``.
        pixels: show the frames alone.
        policy: ``random``, ``oracle`` (where the game has one), a policy's name, folder or URI, or the folder of a PPO
            training.
        mode: distribution mode, None: the encoder's.
        game: one of Procgen's games.
        episodes: how many, in consecutive levels.
        max_steps: of one episode.
        level_seed: of the first episode; None: an evaluation level chosen by ``seed``.
        seed: of the level, and of a policy that draws.
        out: a file that ends in .gif or .mp4; None opens a window.
        scale: screen pixels a pixel. fps: frames a second. greedy: the policy's likeliest actions, else drawn ones.

    Raises:
        ConfigError, UnknownNameError, ArtifactError: for an encoder or policy that can't be used.
        MissingDependencyError: for a window without pygame, an mp4 without ffmpeg.
    """
    from heist_encoders.envs import make_env
    from heist_encoders.envs.rendering import Window
    from heist_encoders.evaluation.captions import BAR, captioned
    from heist_encoders.evaluation.video import enlarge, write_video
    from heist_encoders.tasks.registry import task_of

    if policy == "oracle" and task_of(game).oracle() is None:
        raise ConfigError(f"{game} has no oracle; use --policy random")
    known = _policy(policy, mode, greedy, seed)
    if known is not None:
        mode = known.policy.distribution_mode
        encoder = encoder or str(known.policy.artifact.path)
    encoder = None if pixels else encoder or "vae_paper"
    env = make_env(encoder, game=game, actions="all", distribution_mode=mode)
    try:
        runner = known or _runner(policy, env.options.distribution_mode, greedy, seed)
        shown = "pixels" if env.encoder is None else env.encoder.name
        window = None if out is not None else Window(f"{game}: {shown}")
        level = EVALUATION_LEVELS[np.random.default_rng(seed).integers(1_000_000)] if level_seed is None else level_seed
        pictures: list[NDArray[np.uint8]] = []
        results = []

        def show(frame: NDArray[np.uint8], text: str) -> None:
            picture = frame
            if env.encoder is not None:
                picture = np.concatenate([frame, env.encoder.reconstruct(frame[None])[0]], axis=1)  # (64, 128, 3)
            picture = captioned(enlarge(picture, scale), text)
            if window is not None:
                window.show(picture)
            else:
                pictures.append(picture)

        for number in range(episodes):
            results.append(_episode(env, runner, int(level) + number, max_steps, show))
        width = 64 * scale * (1 if env.encoder is None else 2)
        if out is not None:
            write_video(out, np.stack(pictures), fps=fps)
        else:
            assert window is not None
            window.close()
    finally:
        env.close()
    return {
        "episodes": results,
        "out": None if out is None else str(out),
        "frames": len(pictures) or sum(episode["length"] + 1 for episode in results),
        "width": width,
        "height": 64 * scale + BAR,
    }


def _episode(
    env: HeistEnv, runner: BatchPolicy, level: int, max_steps: int, show: Callable[[NDArray[np.uint8], str], None]
) -> JsonObject:
    from heist_encoders.evaluation.captions import caption
    from heist_encoders.policies.play import StepInput

    _, info = env.reset(options={"level_seed": level})
    runner.start([0])
    total, reward, length, terminated, truncated = 0.0, 0.0, 0, False, False
    while length < max_steps and not (terminated or truncated):
        seen = StepInput(np.zeros(1, np.int64), info["frame"][None], np.array([reward], np.float32), env.engine)
        action = int(runner.act(seen)[0])
        show(info["frame"], caption(length, total, action))
        _, reward, terminated, truncated, info = env.step(action)
        total += reward
        length += 1
    show(info["frame"], caption(length, total, None))
    return {
        "level_seed": level,
        "return": total,
        "length": length,
        "success": bool(info["level_complete"]),
        "cut": not (terminated or truncated),
    }


def _policy(policy: str, mode: str | None, greedy: bool, seed: int) -> PolicyRunner | None:
    """The runner of a policy artifact; None if ``policy`` is something else."""
    from heist_encoders.policies.artifact import is_policy, load_policy
    from heist_encoders.policies.policy import PolicyRunner

    if policy in ("random", "oracle") or not is_policy(policy):
        return None
    return PolicyRunner(load_policy(policy, distribution_mode=mode), greedy=greedy, seed=seed)


def _runner(policy: str, mode: str, greedy: bool, seed: int) -> BatchPolicy:
    from heist_encoders.policies.play import ActionRepeat, OraclePolicy, RandomPolicy
    from heist_encoders.rllib.batch_policy import RLlibPolicy

    if policy == "random":
        return RandomPolicy("moves", seed)
    if policy == "oracle":
        return OraclePolicy()
    import torch

    from heist_encoders.errors import unknown_name
    from heist_encoders.policies.artifact import policy_names
    from heist_encoders.rllib.training import checkpoint_of, environment_of

    if "/" not in policy and not Path(policy).exists():
        raise unknown_name(
            "policy", policy, ["random", "oracle", *policy_names(), "<folder of a policy or of a PPO training>"]
        )
    torch.manual_seed(seed)
    path = checkpoint_of(Path(policy))
    known = environment_of(path)
    trained = known["env_config"].get("distribution_mode", mode)
    if trained != mode:
        raise ConfigError(f"{policy} was trained in {trained} mode, asked to play {mode}; add --mode {trained}")
    player = RLlibPolicy.from_checkpoint(path, env=known["env"], env_config=known["env_config"], greedy=greedy)
    return ActionRepeat(player, known["env_config"].get("action_repeat", 1))
