"""The list of runs, the most important first."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from heist_encoders.policies.policy import Policy
from heist_encoders.training.config import LossConfig
from heist_encoders.zoo.artifact import Artifact

STATE, PIXELS = "true state", "raw pixels"
"""Sources of observations that are no encoder's."""
CURRICULUM = {"start_share": 1.0, "start_distribution": "curriculum", "curriculum_bound": 3, "time_limit": 40}
SMALL = {"channels": 16, "iterations": 12}
"""The planning head of PPO: playing and learning take two thirds of what the default sizes take."""
TRAINING = {
    "gamma": 0.95, "lambda_": 0.9, "vf_loss_coeff": 0.02, "minibatch_size": 128, "lr": 1e-3, "grad_clip": 1.0,
    "entropy_coeff": 0.003, "use_kl_loss": False, "clip_param": 0.2,
}  # fmt: skip
"""PPO's settings. With those of ``ppo_config`` (minibatches of 2,048, discount .999, value loss .5, KL penalty) the
curriculum stood at its first bound of 4 steps after 164,000 steps, and 47% of the last 100 episodes arrived (time limit
60). With these it began at 3 steps and stood at 5, with 54%, after 148,000 (time limit 40). One run each."""
SHAPED = {"start_share": 1.0, "start_distribution": "uniform", "time_limit": 40, "shaping": 10.0}
SHAPED_TRAINING = {
    **TRAINING, "gamma": 0.3, "lambda_": 0.95, "num_epochs": 2, "vf_loss_coeff": 0.002,
    "lr": [[0, 1e-3], [2_000_000, 2e-4]],
}  # fmt: skip
"""With shaping a move is paid at once, so that little of the future has to be looked at; a cell is worth as much as the
exit, or else the exit's 10 would be most of the advantages' variance."""
SHAPED_STEPS = 400_000
"""Steps after which PPO with shaping is compared over encoders."""

OWN = {"rounds": 3, "action_repeat": 4}
"""Of self-imitation: each round plays twice as many frames as the one before, but for the first two."""
OWN_FRAMES, OWN_COMPARED = 2_500_000, 625_000
"""Frames that it plays, and in the runs that compare encoders."""

MEMORY_TEMPERATURE = 8.0
"""Of the policy without memory in memory mode. After 338,000 steps it solved of 100 training levels 18%, 20% and 25%
at 2, 4 and 8, and of 100 evaluation levels 5% at 1: sure of itself, it runs up and down in one corridor."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One curve.

    Attributes:
        name: shown in the figure and the table.
        grade: class of the policy, A to D; a dash for what learns nothing.
        method: ``clone``, ``own`` (self-imitation), ``ppo``, ``policy`` (a packaged one, figures of its card) or
            ``random``.
        source: what is observed: the name of an encoder, ``true state`` or ``raw pixels``.
        amount: labelled frames (``clone``), frames played (``own``) or environment steps (``ppo``) at which it ends.
        minutes: of learning in processor time that it has at ``--scale 1``; 0: until ``amount``.
        settings: of ``ppo_config``, with ``training`` for RLlib's; of ``clone``: ``levels``, how many it learns from;
            of ``own``: ``rounds``, and options of ``SelfImitation``; of ``random``: ``action_repeat``.
        seed: of all that is drawn.
        encoder: the artifact of ``source``; None for sources that are no encoder.
        headline: whether its success by number of keys has its own curves.
        mode: distribution mode of its levels.
        temperature: at which its policy plays, see ``policies.sharpen``.
        compared: whether its result says how good its encoder is: the table over encoders and the rank correlations.
    """

    name: str
    grade: str
    method: str
    source: str
    amount: int = 0
    minutes: float = 0.0
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    seed: int = 0
    encoder: Artifact | None = None
    headline: bool = False
    compared: bool = False
    mode: str = "easy"
    temperature: float = 1.0

    @property
    def folder(self) -> str:
        """Name of its folder: of what is learned from what, not of how long, so that a run can be given more time."""
        about = [self.method, self.source, self.encoder and self.encoder.sha256, self.settings, self.seed]
        if self.method in ("clone", "own"):  # its learning rate falls to 0 at the amount; its rounds are shares of it
            about.append(self.amount)
        if self.mode != "easy":
            about.append(self.mode)
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]
        plain = "".join(letter if letter.isalnum() else "-" for letter in self.name.lower())
        return f"{plain}-{digest}"

    @property
    def encoder_frames(self) -> int:
        """Frames that its encoder was trained on."""
        return int(self.encoder.training.get("samples") or 0) if self.encoder else 0

    @property
    def encoder_labels(self) -> bool:
        """Whether labels had a part in that."""
        return uses_labels(self.encoder) if self.encoder else False


def uses_labels(encoder: Artifact) -> bool:
    """Whether an encoder's loss looked at labels; what its record does not say counts as yes."""
    config = encoder.training.get("config")
    if not isinstance(config, dict):
        return bool(encoder.training.get("samples", 1))  # of none without samples
    return LossConfig.from_dict(dict(config.get("loss", {}))).needs_maps


def all_runs(
    encoders: dict[str, Artifact], untrained: Artifact, best: Policy | None, frames: int, memory: Artifact
) -> list[Run]:
    """The runs, the most important first; those of memory mode have it in their names.

    Args:
        encoders: the packaged encoders of easy mode by name; ``grid`` is the headline's.
        untrained: ``grid`` with random weights.
        best: the packaged policy; None if it can't be loaded.
        frames: labelled frames of behaviour cloning.
        memory: the packaged ``grid`` of memory mode.
    """
    grid = encoders["grid"]
    by_labels = "B" if uses_labels(grid) else "A"
    head: dict[str, Any] = {"head": "planner", "planner": SMALL}
    ppo = {**head, "training": TRAINING}
    shaped = {**head, "training": SHAPED_TRAINING, **SHAPED}
    cloned = {"method": "clone", "amount": frames}
    others = [(name, encoder) for name, encoder in sorted(encoders.items()) if name != "grid"]
    return [
        Run("random moves", "–", "random", "nothing"),
        Run("random moves, each held for 4 steps", "–", "random", "nothing", settings={"action_repeat": 4}),
        *(
            Run(
                f"self-imitation, grid{f', seed {seed}' * bool(seed)}", by_labels, "own", "grid", OWN_FRAMES, 0, OWN,
                seed, grid, headline=True,
            )
            for seed in range(2)
        ),
        Run(
            "self-imitation, grid, 200 training levels", by_labels, "own", "grid", OWN_FRAMES, 0,
            {**OWN, "levels": 200}, 0, grid,
        ),
        Run("BC, grid", "D", source="grid", encoder=grid, headline=True, compared=True, **cloned),
        Run("BC, grid, seed 1", "D", source="grid", encoder=grid, seed=1, headline=True, **cloned),
        Run("BC, grid, 200 training levels", "D", source="grid", encoder=grid, settings={"levels": 200}, **cloned),
        Run("BC, true state (ceiling)", "D", source=STATE, headline=True, **cloned),
        Run(
            "BC, untrained grid (floor)", "D", source="grid, untrained", encoder=untrained, compared=True, **cloned,
        ),
        *(packaged_policy(best) if best else []),
        Run("PPO with shaping, grid", "C", "ppo", "grid", 5_000_000, 40, shaped, 0, grid, headline=True),
        Run("PPO with shaping, grid, seed 1", "C", "ppo", "grid", 5_000_000, 40, shaped, 1, grid, headline=True),
        *(
            Run(f"BC, {name}", "D", source=name, encoder=encoder, compared=True, **cloned)
            for name, encoder in others
        ),
        *(
            Run(
                f"PPO with shaping, {SHAPED_STEPS:,} steps, {name}", "C", "ppo", name, SHAPED_STEPS, 60, shaped, 2,
                encoder, compared=True,
            )
            for name, encoder in [("grid", grid), ("grid, untrained", untrained), *others]
        ),
        *(
            Run(
                f"self-imitation, {OWN_COMPARED:,} frames, {name}", "B" if uses_labels(encoder) else "A", "own", name,
                OWN_COMPARED, 0, {**OWN, "rounds": 1}, 0, encoder, compared=True,
            )
            for name, encoder in [("grid", grid), ("grid, untrained", untrained), *others]
        ),
        Run(
            f"self-imitation, {OWN_COMPARED:,} frames, grid, memory mode", "B" if uses_labels(memory) else "A", "own",
            "grid", OWN_COMPARED, 0, {**OWN, "rounds": 1}, 0, memory, mode="memory",
        ),
        Run(
            "random moves, memory mode, each held for 4 steps", "–", "random", "nothing", mode="memory",
            settings={"action_repeat": 4},
        ),
        Run("random moves, memory mode", "–", "random", "nothing", mode="memory"),
        Run(
            "PPO with shaping, grid, memory mode", "C", "ppo", "grid", 5_000_000, 9, shaped, 0, memory, mode="memory",
            temperature=MEMORY_TEMPERATURE,
        ),
        Run(
            "PPO with a curriculum, grid", "C", "ppo", "grid", 5_000_000, 20, {**ppo, **CURRICULUM}, 0, grid,
            headline=True,
        ),
        Run("PPO, grid", by_labels, "ppo", "grid", 25_000_000, 7, ppo, 0, grid),
        Run("BC, raw pixels (IMPALA)", "D", source=PIXELS, **cloned),
        Run("PPO, raw pixels (RLlib's network)", "A", "ppo", PIXELS, 25_000_000, 7, {}, 0, None, headline=True),
    ]  # fmt: skip


def packaged_policy(best: Policy) -> list[Run]:
    """The steps of the packaged policy's training: behaviour cloning, and DAgger where it had that."""
    training, about = best.training, {"grade": "D", "method": "policy", "source": "grid", "encoder": best.artifact}
    alone = "behaviour_cloning_alone" if "dagger" in training else "evaluation"
    cloned = int(training["samples"])
    runs = [Run(f"BC, grid, {cloned:,} frames (packaged)", amount=cloned, settings={"figures": alone}, **about)]
    if "dagger" in training:
        amount, settings = int(training["demonstration_frames"]), {"figures": "evaluation"}
        runs.append(Run("BC + DAgger, grid (packaged)", amount=amount, settings=settings, **about))
    return runs


def packaged_encoders(zoo: Path, mode: str) -> dict[str, Artifact]:
    """The packaged encoders of a mode, by name."""
    from heist_encoders.zoo import load_artifact

    return {path.parents[1].name: load_artifact(path.parent) for path in sorted(zoo.glob(f"*/{mode}/config.json"))}
