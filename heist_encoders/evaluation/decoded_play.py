"""What an autoencoder lost, told by play: a policy that can solve the game sees reconstructions instead of frames.

Nothing is trained, so it takes a minute: what the policy does worse than on the frames themselves is lost in encoding
or decoding. It asks for the whole scene at once, as a probe's mean over classes does not: of a key that is drawn where
there is none the mean hardly tells, but the policy may run after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import DEFAULT_GAME, EVALUATION_LEVELS, NOOP
from heist_encoders.errors import ConfigError, HeistEncodersError
from heist_encoders.evaluation.encoding import reconstruct_frames
from heist_encoders.json_text import JsonObject
from heist_encoders.policies.artifact import load_policy
from heist_encoders.policies.evaluate import Evaluation, play_levels
from heist_encoders.policies.play import BatchPolicy, StepInput
from heist_encoders.policies.policy import Policy, PolicyRunner

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder
    from heist_encoders.zoo.artifact import Artifact

POLICY = "best"
PATIENCE = 300
"""Steps after which an episode counts as not solved; the packaged policy of easy mode takes 50 on average."""


class ThroughReconstructions:
    """A policy that sees what an autoencoder makes of the frames.

    Args:
        policy: what plays.
        reconstruct: uint8 (N, 64, 64, 3) -> the same.
        patience: steps of an episode after which it stands still.
    """

    def __init__(
        self,
        policy: BatchPolicy,
        reconstruct: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        patience: int = PATIENCE,
    ) -> None:
        self.name = policy.name
        self._policy, self._reconstruct, self._patience = policy, reconstruct, patience
        self._steps: dict[int, int] = {}

    def start(self, games: Sequence[int]) -> None:
        """New episodes have begun in these games."""
        self._policy.start(games)
        self._steps.update({int(game): 0 for game in games})

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """int64 (n,): the policy's actions; no action where the patience is at its end."""
        games = seen.games.tolist()
        rows = np.array([row for row, game in enumerate(games) if self._steps[game] < self._patience], np.int64)
        actions = np.full(len(games), NOOP, np.int64)
        if len(rows):
            frames = self._reconstruct(np.ascontiguousarray(seen.frames[rows]))
            actions[rows] = self._policy.act(StepInput(seen.games[rows], frames, seen.rewards[rows], seen.engine))
        for game in games:
            self._steps[game] += 1
        return actions


def played(model: BaseAutoencoder, artifact: Artifact, levels: int, seed: int = 0) -> JsonObject | None:
    """How the packaged policy of an artifact's mode plays the first evaluation levels by its reconstructions.

    Returns:
        ``policy``, ``decoded_success`` (share of the levels that it solves), ``frames_success`` (when it sees the
        frames, without a limit of steps, on 1,000 levels), ``levels``, ``by_num_keys``; None where that says nothing:
        there is no such policy, or the decoder is given more than the encoding.
    """
    if model.decoder_sees_more or artifact.use_backgrounds or artifact.game != DEFAULT_GAME:
        return None
    try:
        policy = load_policy(POLICY, distribution_mode=artifact.distribution_mode)
    except HeistEncodersError:  # none for this mode, or its encoder was replaced
        return None
    found = play_reconstructions(model, policy, EVALUATION_LEVELS[:levels], seed=seed).to_dict()
    return {
        "policy": POLICY,
        "decoded_success": found["success_rate"],
        "frames_success": (policy.metrics.get("evaluation") or {}).get("success_rate"),
        "levels": levels,
        "by_num_keys": {keys: part["success_rate"] for keys, part in found["by_num_keys"].items()},
    }


def play_reconstructions(
    model: BaseAutoencoder, policy: Policy, levels: Sequence[int], *, seed: int = 0, patience: int = PATIENCE
) -> Evaluation:
    """Play levels, each once from its true start, seeing reconstructions only.

    Args:
        model: draws them, in eval mode; of frames such as the policy's encoder was trained on.
        policy: can solve the game when it sees the frames; its actions are drawn.
        levels: level seeds.
        seed: of the draws.
        patience: steps after which an episode counts as not solved.

    Raises:
        ConfigError: for an autoencoder whose decoder is given more of the frame than the encoding.
    """
    if model.decoder_sees_more:
        raise ConfigError(
            f"the decoder of {model.name} is given more than the encoding, so playing by its reconstructions says "
            "nothing about the encoding; use a probe"
        )
    runner = ThroughReconstructions(
        PolicyRunner(policy, seed=seed), lambda frames: reconstruct_frames(model, frames), patience
    )
    return play_levels(runner, policy.distribution_mode, levels, seed=seed)
