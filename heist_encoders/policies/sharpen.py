"""Policies whose actions are drawn from a sharper distribution."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from heist_encoders.errors import ConfigError
from heist_encoders.policies.evaluate import play_levels
from heist_encoders.policies.policy import Policy


def sharpened(policy: Policy, temperature: float) -> Policy:
    """The same policy, with actions drawn from softmax(logits / temperature).

    The weights of the last layer are divided, so that RLlib, a warm start and an export see the same distribution.

    Args:
        policy: stays as it is.
        temperature: above 0; below 1 probable actions become more probable.

    Raises:
        ConfigError: for another temperature.
    """
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"temperature = {temperature!r}: expected a number above 0")
    before = float(policy.training.get("temperature", 1.0))
    sharp = copy.copy(policy)
    sharp.head = copy.deepcopy(policy.head)
    with torch.no_grad():
        for weights in sharp.head.logits.parameters():
            weights.div_(temperature)
    sharp.training, sharp.metrics = {**policy.training, "temperature": before * temperature}, {}
    return sharp


def best_temperature(
    policy: Policy, mode: str, levels: Sequence[int], temperatures: Sequence[float] = (1.0, 0.75, 0.6, 0.35, 0.2)
) -> tuple[float, dict[float, float]]:
    """The temperature at which a policy solves most levels, and the success rate at each.

    Args:
        policy: to sharpen.
        mode: distribution mode of the levels.
        levels: seeds, of the training range: who chooses on evaluation levels can't evaluate on them.
        temperatures: to try.
    """
    rates = {t: play_levels(sharpened(policy, t), mode, levels).success_rate for t in temperatures}
    return max(rates, key=lambda t: rates[t]), rates
