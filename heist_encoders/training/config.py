"""What a training is: which autoencoder, which loss, how long."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from heist_encoders.config import Config
from heist_encoders.errors import ConfigError


class LossConfig(Config):
    """The loss: how the pixel error is weighted, and the weights of the other terms; 0 leaves a term out."""

    pixel: Literal["mse", "power4"] = "mse"
    """``mse``: mean squared error of pixels in [0, 1]; ``power4``: 4th instead of 2nd power, as the original had it."""
    weighting: Literal["none", "classes", "rarity"] = "rarity"
    """Which pixels count more: ``rarity`` those of rare colours (needs no labels), ``classes`` those of the objects in
    the semantic map, ``none`` all alike."""
    class_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Under ``weighting: classes`` the share of the pixel loss that the objects have; floor and wall have the rest."""
    perceptual: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the perceptual loss (AlexNet's first two convolutions)."""
    semantic_map: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the semantic map loss: a small decoder must read the semantic map from the encoding. Needs labels."""
    beta: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL divergence, summed over dimensions. Only a VAE has one."""
    beta_warmup: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Fraction of the planned training over which beta rises from 0."""
    free_bits: Annotated[float, Field(ge=0)] = 0.0
    """KL in nats a dimension that costs nothing."""

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, data: Any) -> Any:
        """Version 0.1 weighed seven elements; its names go on working for one version."""
        if not isinstance(data, dict) or not {"element_weight", "element_map"} & data.keys():
            return data
        data = dict(data)
        warnings.warn(
            "loss.element_weight and loss.element_map are now loss.weighting: classes with loss.class_share, and "
            "loss.semantic_map; rename them",
            DeprecationWarning,
            stacklevel=2,
        )
        if "element_weight" in data:
            share = data.pop("element_weight")
            data.setdefault("weighting", "classes" if share else "none")
            if share:
                data.setdefault("class_share", share)
        if "element_map" in data:
            data.setdefault("semantic_map", data.pop("element_map"))
        return data

    @property
    def needs_maps(self) -> bool:
        """Whether the loss looks at the semantic maps."""
        return self.weighting == "classes" or self.semantic_map > 0

    @property
    def power(self) -> int:
        """Of the pixel error."""
        return 4 if self.pixel == "power4" else 2

    def weights(self, progress: float = 1.0) -> dict[str, float]:
        """Weight of each term when the fraction ``progress`` of the planned training is done."""
        warm = 1.0 if self.beta_warmup <= 0 else min(1.0, progress / self.beta_warmup)
        return {"pixel": 1.0, "kl": self.beta * warm, "perceptual": self.perceptual, "semantic_map": self.semantic_map}


class TrainConfig(Config):
    """One training. What is left out comes from the architecture's ``default_training``, then from here."""

    autoencoder: str
    params: dict[str, Any] = Field(default_factory=dict)
    """Sizes of the autoencoder; the architecture's defaults are filled in."""
    loss: LossConfig = LossConfig()
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 128
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Decoupled (Loshchilov and Hutter 2019): 0 is Adam."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rate: ``cosine`` falls to 1% over the planned training."""
    max_epochs: Annotated[int, Field(ge=1)] = 100
    max_samples: Annotated[int, Field(ge=1)] | None = None
    """Training ends after so many samples."""
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    """Training ends after so many seconds (then it is no longer a function of the seed alone)."""
    epoch_samples: Annotated[int, Field(ge=1)] | None = None
    """Samples between two tests and checkpoints; None: as many as the train split has."""
    test_samples: Annotated[int, Field(ge=1)] | None = None
    """Test frames of an epoch's test loss, evenly spread; None: a fifth of an epoch, at least 2,048."""
    patience: Annotated[int, Field(ge=1)] = 10
    """Epochs without a better test loss after which training ends."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """``auto``: bfloat16 autocast where the hardware has instructions for it."""
    device: str = "auto"
    """``auto``: the GPU when there is one; or ``cpu``, ``cuda``, ``cuda:1``."""
    compile: bool = False
    """Train through ``torch.compile``. Off: on a CPU it costs half a minute and was measured to give between 0.79 and
    1.08 times the speed, depending on the architecture. On a CPU it needs a C++ compiler."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Of torch on the CPU during training; None leaves them as they are."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """Merge the architecture's defaults under what is given, and the defaults of its sizes into ``params``."""
        if not isinstance(data, dict) or not isinstance(data.get("autoencoder"), str):
            return data
        from heist_encoders.autoencoders.registry import autoencoder_class

        architecture = autoencoder_class(data["autoencoder"])
        merged = {**architecture.default_training, **data, "autoencoder": architecture.name}
        params = merged.get("params") or {}
        if isinstance(params, dict):
            defaults = architecture.default_training.get("params", {})
            merged["params"] = architecture.Params.from_dict({**defaults, **params}, where="params").to_dict()
        loss = data.get("loss", {})
        if isinstance(loss, dict):
            merged["loss"] = {**architecture.default_training.get("loss", {}), **loss}
        return merged

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, where: str = "") -> Self:
        """Validate a plain dictionary, as ``Config.from_dict`` does.

        Raises:
            UnknownNameError: if there is no such autoencoder.
            ConfigError: naming the first offending key.
        """
        prefix = f"{where}: " if where else ""
        name, params = data.get("autoencoder"), data.get("params")
        if isinstance(name, str):
            from heist_encoders.autoencoders.registry import autoencoder_class

            architecture = autoencoder_class(name)
            if isinstance(params, dict):
                architecture.Params.from_dict(
                    {**architecture.default_training.get("params", {}), **params},
                    where=f"{prefix}params of {architecture.name}",
                )
        return super().from_dict(data, where=where)

    def with_params_of(self, dataset: Any) -> TrainConfig:
        """The configuration with the sizes that depend on what the dataset shows filled in (``params_for``)."""
        from heist_encoders.autoencoders.registry import autoencoder_class
        from heist_encoders.tasks import task_of

        spec = getattr(dataset, "spec", None)
        cells = None if spec is None else task_of(spec.game).cells_in_view(spec.distribution_mode)
        params = autoencoder_class(self.autoencoder).params_for(self.params, cells)
        return self if params == self.params else TrainConfig.from_dict({**self.to_dict(), "params": params})

    def planned_samples(self, epoch_samples: int) -> int:
        """Samples this training takes if nothing ends it early, given the samples of an epoch."""
        return min(self.max_epochs * epoch_samples, self.max_samples or self.max_epochs * epoch_samples)


def default_config(autoencoder: str, **settings: Any) -> TrainConfig:
    """The configuration that suits an architecture, with some settings changed.

    Raises:
        UnknownNameError: if there is no such autoencoder.
        ConfigError: if a setting is unknown, of the wrong type or out of range.

    Examples:
        >>> from heist_encoders.training import default_config
        >>> default_config("conv_maxpool", batch_size=64).batch_size
        64
    """
    return TrainConfig.from_dict({"autoencoder": autoencoder, **settings})


def as_config(config: TrainConfig | dict[str, Any]) -> TrainConfig:
    """A configuration from itself or from a dictionary. Raises as ``TrainConfig.from_dict`` does."""
    if isinstance(config, TrainConfig):
        return config
    if isinstance(config, dict):
        return TrainConfig.from_dict(config)
    raise ConfigError(f"config is {type(config).__name__}, expected a TrainConfig or a dictionary of its keys")
