"""A Ray Tune search domain that is sampled only where other parameters have certain values."""

from __future__ import annotations

from collections.abc import Mapping

from ray.tune.search.sample import Domain, RandomState
from ray.tune.search.variant_generator import RecursiveDependencyError

from heist_encoders.json_text import JsonObject


class Conditional(Domain):
    """``domain`` where every parameter named in ``when`` has one of the listed values, else ``otherwise``.

    Unlike ``tune.sample_from`` it draws from the search's own random state, so that a seeded search repeats.

    Args:
        domain: The Ray Tune domain to sample.
        when: Dotted parameter name -> the values under which ``domain`` is sampled.
        otherwise: The value everywhere else.
    """

    def __init__(self, domain: Domain, when: Mapping[str, tuple[object, ...]], otherwise: object) -> None:
        self.domain = domain
        self.when = dict(when)
        self.otherwise = otherwise

    def sample(
        self, config: JsonObject | list[JsonObject] | None = None, size: int = 1, random_state: RandomState = None
    ) -> object:
        """One value. Raises RecursiveDependencyError (Tune tries again) while a condition is not yet sampled."""
        root = config["config"] if isinstance(config, dict) and "config" in config else config
        for key, values in self.when.items():
            node: object = root
            for part in key.split("."):
                assert isinstance(node, dict)
                node = dict.__getitem__(node, part)
                if isinstance(node, Domain):
                    raise RecursiveDependencyError(f"{key} is not sampled yet")
            if node not in values:
                return self.otherwise
        return self.domain.sample(config=config, size=size, random_state=random_state)

    def is_grid(self) -> bool:
        """Never a grid."""
        return False

    def is_valid(self, value: object) -> bool:
        """Whether ``value`` can come out."""
        return bool(value == self.otherwise or self.domain.is_valid(value))

    @property
    def domain_str(self) -> str:
        """Shown in Tune's messages."""
        return f"{self.domain.domain_str} when {self.when}"
