"""Search spaces: one YAML an architecture, and presets that say how much a sweep may spend.

An architecture's file says *what* is searched::

    autoencoder: vae_paper
    space:
      learning_rate: {loguniform: [3.0e-4, 3.0e-3]}     # as tune.loguniform
      params: {latent_size: {choice: [32, 64]}}
      loss:
        weighting: {choice: [rarity, classes]}
        class_share: {choice: [.5, .7], when: {loss.weighting: classes}, otherwise: .5}
      weight_decay: 0.0                                  # a constant

    start:                                               # tried first, as they are; what is left out is sampled
      - {learning_rate: 1.0e-3, loss.weighting: rarity}

A preset's (smoke, quick, full) says *how much* is spent, and fits every architecture: ``train`` (epochs, samples an
epoch), ``objective`` and ``sweep`` options. An architecture's file may have these three sections too; they win over the
preset's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from heist_encoders.config import Config, read_yaml
from heist_encoders.errors import ConfigError, DatasetError, nearest, unknown_name
from heist_encoders.json_text import JsonObject
from heist_encoders.paths import user_path
from heist_encoders.tasks.registry import task_of
from heist_encoders.training.config import TrainConfig
from heist_encoders.tuning import sampling
from heist_encoders.tuning.options import Objective, SweepOptions
from heist_encoders.tuning.sampling import Sampled, readable

if TYPE_CHECKING:
    from heist_encoders.data.manifest import DatasetSpec

PRESETS = ("smoke", "quick", "full")
SECTIONS = ("train", "objective", "sweep")


@dataclass(frozen=True)
class SearchSpace:
    """A validated search space.

    Attributes:
        name: Name of the file it came from, without extension.
        autoencoder: The architecture.
        parameters: Dotted TrainConfig key -> a constant or Sampled.
        objective: What a trial is evaluated by.
        sweep: How to search and how much to spend.
        start: Values (dotted key -> scalar) of the first trials; what one leaves out is sampled.
    """

    name: str
    autoencoder: str
    parameters: JsonObject
    objective: Objective = field(default_factory=Objective)
    sweep: SweepOptions = field(default_factory=SweepOptions)
    start: tuple[JsonObject, ...] = ()

    def to_yaml(self) -> str:
        """The space with all that its preset fills in, as a YAML file that ``load_space`` reads."""
        values = {
            key: value.to_dict() if isinstance(value, Sampled) else value for key, value in self.parameters.items()
        }
        data = {
            "autoencoder": self.autoencoder,
            "space": sampling.nested(values),
            "start": [dict(point) for point in self.start],
            "objective": self.objective.to_dict(),
            "sweep": self.sweep.to_dict(),
        }
        return yaml.safe_dump(data, sort_keys=False)

    def param_space(self) -> JsonObject:
        """The space for ``tune.run(config=...)`` or ``tune.Tuner(param_space=...)``; add ``dataset`` (a path)."""
        return {
            "autoencoder": self.autoencoder,
            **sampling.to_tune(self.parameters),
            "objective": self.objective.to_dict(),
        }

    def constants(self) -> JsonObject:
        """The part of ``param_space`` that is not sampled."""
        fixed = {key: value for key, value in self.parameters.items() if not isinstance(value, Sampled)}
        return {
            "autoencoder": self.autoencoder,
            **sampling.nested(fixed),
            "objective": self.objective.to_dict(),
        }

    @property
    def searched(self) -> tuple[str, ...]:
        """The dotted names of the parameters that are sampled."""
        return tuple(key for key, value in self.parameters.items() if isinstance(value, Sampled))

    @property
    def max_epochs(self) -> int:
        """The most epochs that a trial may take."""
        value = self.parameters.get("max_epochs", TrainConfig.model_fields["max_epochs"].default)
        if isinstance(value, Sampled):
            return int(max(value.extremes(), default=TrainConfig.model_fields["max_epochs"].default))
        return int(value)

    @property
    def num_trials(self) -> int:
        """Configurations that a sweep will try: samples times points of the grid."""
        count = self.sweep.num_samples
        for value in self.parameters.values():
            if isinstance(value, Sampled) and value.kind == "grid":
                count *= len(value.args)
        return count

    def check_dataset(self, spec: DatasetSpec) -> None:
        """Raise a HeistEncodersError if some trial could not use a dataset with this spec."""
        self.objective.check_game(spec.game)
        for split in ("train", "test"):
            if spec.rows(split) == 0:
                raise DatasetError(
                    f"the dataset's {split} split is empty; generate one with more frames or another test_fraction"
                )
        if task_of(spec.game).classes:
            return
        loss = TrainConfig.from_dict({"autoencoder": self.autoencoder}).loss
        for name, without in (("weighting", ("rarity", "none")), ("semantic_map", (0,))):
            value = self.parameters.get(f"loss.{name}", getattr(loss, name))
            values = [*value.extremes(), value.otherwise] if isinstance(value, Sampled) else [value]
            if any(one not in (*without, None) for one in values):
                raise ConfigError(
                    f"search space {self.name}: loss.{name} = {readable(value)!r} needs semantic maps, which "
                    f"{spec.game} does not have; use a space with loss.weighting: rarity and loss.semantic_map: 0"
                )

    def with_options(
        self,
        *,
        train: Mapping[str, object] | None = None,
        objective: Mapping[str, object] | None = None,
        **sweep: object,
    ) -> SearchSpace:
        """A copy with some options replaced: ``train`` (constants), ``objective``, and sweep options by keyword.

        Raises:
            ConfigError: for an unknown key or a value out of range.
        """
        fixed = sampling.flattened(dict(train or {}))
        changed = replace(
            self,
            parameters={**self.parameters, **fixed},
            start=tuple({key: v for key, v in point.items() if key not in fixed} for point in self.start),
            objective=Objective.from_dict({**self.objective.to_dict(), **(objective or {})}, where="objective"),
            sweep=SweepOptions.from_dict({**self.sweep.to_dict(), **sweep}, where="sweep"),
        )
        _check(changed, "train")
        return changed


def search_space(name_or_yaml: str | Path, preset: str | None = None) -> JsonObject:
    """The search space of an architecture, ready for Ray Tune.

    ``tune.run(trainable, config={**search_space("vae_paper"), "dataset": path})``

    Args:
        name_or_yaml: An architecture (``vae_paper``) or a YAML file.
        preset: How much a trial may spend: ``smoke``, ``quick`` (default) or ``full``.

    Raises:
        ConfigError, UnknownNameError: in one line, naming file and key.

    Examples:
        >>> from heist_encoders.tuning import search_space
        >>> space = search_space("vae_paper", preset="smoke")
        >>> space["autoencoder"], type(space["learning_rate"]).__name__
        ('vae_paper', 'Float')
    """
    return load_space(name_or_yaml, preset).param_space()


def load_space(name_or_yaml: str | Path, preset: str | None = None) -> SearchSpace:
    """Read and validate a search space, with the sweep options that ``search_space`` leaves out.

    Args:
        name_or_yaml: An architecture (``vae_paper``) or a YAML file.
        preset: ``smoke``, ``quick`` or ``full``; by default the one that the file names, else ``quick``.

    Raises:
        ConfigError, UnknownNameError: in one line, naming file and key.
    """
    path = _find(name_or_yaml)
    data = read_yaml(path)
    if path.stem in PRESETS and "autoencoder" not in data:
        raise ConfigError(f"{path.name} is a preset: give an architecture too, as in: vae_paper --preset {path.stem}")
    known = ("autoencoder", "preset", "space", "start", *SECTIONS)
    _check_keys(data, known, str(path))
    if "autoencoder" not in data:
        raise ConfigError(f"{path}: missing key 'autoencoder'")
    base = load_preset(preset or data.get("preset", "quick"))
    sections = {name: {**base[name], **_section(data, name, path)} for name in SECTIONS}
    space = SearchSpace(
        name=path.stem,
        autoencoder=data["autoencoder"],
        parameters=_parameters({**sections["train"], **_section(data, "space", path)}, path),
        objective=Objective.from_dict(sections["objective"], where=f"{path}: objective"),
        sweep=SweepOptions.from_dict(sections["sweep"], where=f"{path}: sweep"),
        start=_start(data.get("start", []), path),
    )
    _check(space, str(path))
    filled = {
        key: replace(value, otherwise=default_of(space, key))
        if isinstance(value, Sampled) and value.when and value.otherwise is None
        else value
        for key, value in space.parameters.items()
    }
    return replace(space, parameters=filled)


def space_of(param_space: JsonObject, preset: str | None = None) -> SearchSpace:
    """A SearchSpace around a ``param_space`` of Ray Tune; what it leaves out comes from the preset (``quick``).

    Raises:
        ConfigError: if it has no ``autoencoder``, or a key or constant that TrainConfig does not accept.
    """
    rest = {key: value for key, value in param_space.items() if key not in ("autoencoder", "objective", "dataset")}
    if not isinstance(param_space.get("autoencoder"), str):
        raise ConfigError("space: missing key 'autoencoder'; a sweep searches one architecture")
    sections = load_preset(preset or "quick")
    space = SearchSpace(
        name=param_space["autoencoder"],
        autoencoder=param_space["autoencoder"],
        parameters=sampling.from_tune({**sections["train"], **rest}),
        objective=Objective.from_dict({**sections["objective"], **param_space.get("objective", {})}, where="objective"),
        sweep=SweepOptions.from_dict(sections["sweep"], where="sweep"),
    )
    _check(space, "space")
    return space


def load_preset(name: str) -> dict[str, JsonObject]:
    """The sections ``train``, ``objective`` and ``sweep`` of a preset."""
    if name not in PRESETS:
        raise unknown_name("preset", str(name), PRESETS)
    path = configs_folder() / f"{name}.yaml"
    data = read_yaml(path)
    _check_keys(data, SECTIONS, str(path))
    return {section: _section(data, section, path) for section in SECTIONS}


def configs_folder() -> Path:
    """Where the shipped YAML files lie: inside the installed package, or ``tune_configs/`` of a source checkout."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "tune_configs"


def space_names() -> list[str]:
    """The names of the search spaces: the shipped ones and those of other packages' autoencoders."""
    return sorted(_space_files())


def _space_files() -> dict[str, Path]:
    from heist_encoders.autoencoders.registry import autoencoder_class, autoencoder_names

    # Of the class itself: a file names its architecture, so a subclass cannot inherit it.
    others = {name: vars(autoencoder_class(name)).get("search_space") for name in autoencoder_names()}
    shipped = {path.stem: path for path in configs_folder().glob("*.yaml") if path.stem not in PRESETS}
    return {**{name: Path(path) for name, path in others.items() if path is not None}, **shipped}


def _find(name_or_yaml: str | Path) -> Path:
    text = str(name_or_yaml)
    if text.endswith((".yaml", ".yml")) or "/" in text:
        path = user_path(text)
        # tune_configs/NAME.yaml means the shipped file wherever the package was installed.
        shipped = configs_folder() / path.name
        return shipped if not path.exists() and path.parent.name == "tune_configs" and shipped.exists() else path
    name = text.replace("-", "_")
    if name in PRESETS:
        return configs_folder() / f"{name}.yaml"
    files = _space_files()
    if name not in files:
        raise unknown_name("search space", text, files)
    return files[name]


def _section(data: JsonObject, name: str, path: Path) -> JsonObject:
    section = data.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: {name} = {section!r}: expected a mapping of option: value")
    return section


def _check_keys(data: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in data:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}; {nearest(str(key), known)}")


def _parameters(tree: JsonObject, path: Path) -> JsonObject:
    parameters: JsonObject = {}
    for key, value in sampling.flattened(tree).items():
        is_sampled = sampling.is_sampled(value) or (isinstance(value, dict) and "when" in value)
        parameters[key] = sampling.parse_sampled(value, f"{path}: {key}") if is_sampled else value
    return parameters


def _start(points: object, path: Path) -> tuple[JsonObject, ...]:
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise ConfigError(f"{path}: start = {points!r}: expected a list of mappings of parameter: value")
    return tuple(sampling.flattened(point) for point in points)


def _check_start(space: SearchSpace, where: str) -> None:
    for key, value in ((key, value) for point in space.start for key, value in point.items()):
        spec = space.parameters.get(key)
        if not isinstance(spec, Sampled):
            raise ConfigError(f"{where}: start names {key!r}, which is not searched; {nearest(key, space.searched)}")
        if spec.kind == "grid" or spec.when:
            raise ConfigError(f"{where}: start names {key!r}, which is a grid or conditional and can't be given here")
        if isinstance(value, (list, dict)):
            raise ConfigError(f"{where}: start: {key} = {value!r}: only plain values can be given here")
        if spec.kind == "choice" and value not in spec.args:
            raise ConfigError(f"{where}: start: {key} = {value!r}: expected one of {list(spec.args)}")
        if spec.kind != "choice" and not spec.args[0] <= value <= spec.args[1]:
            raise ConfigError(f"{where}: start: {key} = {value!r}: expected a value in {list(spec.args[:2])}")


def _check(space: SearchSpace, where: str) -> None:
    """TrainConfig and the architecture must accept every constant, every choice and both ends of every range."""
    from heist_encoders.autoencoders.registry import autoencoder_class, autoencoder_names

    if space.autoencoder not in autoencoder_names():
        raise ConfigError(
            f"{where}: unknown autoencoder {space.autoencoder!r}; "
            f"{nearest(str(space.autoencoder), autoencoder_names())}"
        )
    _check_start(space, where)
    params_class = autoencoder_class(space.autoencoder).Params
    for key, value in space.parameters.items():
        if key == "autoencoder":
            raise ConfigError(f"{where}: unknown key 'autoencoder' in space; it stands at the top of the file")
        if isinstance(value, Sampled):
            _check_conditions(space, key, value, where)
        for candidate in value.extremes() if isinstance(value, Sampled) else (value,):
            _check_value(space.autoencoder, params_class, key, candidate, where)
        if isinstance(value, Sampled) and value.otherwise is not None:
            _check_value(space.autoencoder, params_class, key, value.otherwise, where)


def _check_value(architecture: str, params_class: type[Config], key: str, value: object, where: str) -> None:
    if key.startswith("params."):
        params_class.from_dict(sampling.nested({key.removeprefix("params."): value}), where=f"{where}: {architecture}")
    else:
        TrainConfig.from_dict({"autoencoder": architecture, **sampling.nested({key: value})}, where=where)


def _check_conditions(space: SearchSpace, key: str, value: Sampled, where: str) -> None:
    for other, wanted in value.when.items():
        if other not in space.parameters or other == key:
            known = [name for name in space.parameters if name != key]
            raise ConfigError(f"{where}: {key}.when names {other!r}, not a parameter here; {nearest(other, known)}")
        target = space.parameters[other]
        if isinstance(target, Sampled) and target.when:
            raise ConfigError(f"{where}: {key}.when names {other!r}, which is conditional itself")
        if isinstance(target, Sampled) and target.kind not in ("choice", "grid"):
            raise ConfigError(f"{where}: {key}.when names {other!r}, which is no choice but {target.kind}")
        possible = target.args if isinstance(target, Sampled) else (target,)
        for item in wanted:
            if item not in possible:
                raise ConfigError(f"{where}: {key}.when wants {other} = {item!r}, which never occurs: {list(possible)}")


def default_of(space: SearchSpace, key: str) -> object:
    """The value of a dotted TrainConfig key when a configuration of the space's architecture leaves it out."""
    node = TrainConfig.from_dict({"autoencoder": space.autoencoder}).to_dict()
    for part in key.split("."):
        node = node[part]
    return node
