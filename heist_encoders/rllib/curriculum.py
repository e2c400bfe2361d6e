"""The curriculum of start states in RLlib: in the metrics, in checkpoints, and the same for all env runners."""

from __future__ import annotations

from typing import Any

from ray.rllib.connectors.connector_v2 import ConnectorV2

_KEY = "curriculum"


class KeepCurriculum(ConnectorV2):
    """An env-to-module connector that passes everything through; its state is that of the environment's curriculum.

    RLlib stores the states of connectors in checkpoints and gives them to env runners that it starts again. Those of
    several env runners it merges after each iteration: all go on with the curriculum that came farthest.
    """

    _env: Any = None
    _known: dict[str, Any] | None = None

    def watch(self, env: Any) -> None:
        """Take the curriculum of this environment; None: keep the state alone, where nothing is played."""
        self._env = None if env is None else env.unwrapped
        if self._known is not None:
            self._apply(self._known)

    def __call__(self, *, batch: Any, **kwargs: Any) -> Any:
        """Nothing changes."""
        return batch

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """``{"curriculum": state}``, see ``HeistEnv.curriculum``; empty if there is none."""
        known = curriculum_of(self._env) or self._known
        return {} if known is None else {_KEY: known}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        if _KEY in state:
            self._known = state[_KEY]
            self._apply(state[_KEY])

    def merge_states(self, states: list[dict[str, Any]]) -> dict[str, Any]:
        """The state whose bound is the farthest."""
        found = [state for state in (self.get_state(), *states) if _KEY in state]
        return max(found, key=lambda state: (state[_KEY]["bound"], len(state[_KEY]["results"])), default={})

    def _apply(self, known: dict[str, Any]) -> None:
        now = curriculum_of(self._env)
        if now is None:
            return
        same_bound = all(now[key] == known[key] for key in ("bound", "previous_bound"))
        # Setting it forgets the episodes that are being played: where only results differ, its own are as good.
        if not same_bound or (known["results"] and not now["results"]):
            self._env.curriculum = known

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_env": None}


def curriculum_of(env: Any) -> dict[str, Any] | None:
    """The state of an environment's curriculum, None without one."""
    state: dict[str, Any] | None = None if env is None else getattr(env.unwrapped, "curriculum", None)
    return state


def log_curriculum(*, env_runner: Any, metrics_logger: Any, **_: Any) -> None:
    """RLlib's ``on_sample_end``: the curriculum's bound as ``env_runners/curriculum_bound``."""
    curriculum = curriculum_of(env_runner.env)
    if curriculum is not None:
        metrics_logger.log_value("curriculum_bound", curriculum["bound"], window=1)
