"""What a training is: which autoencoder, which loss, how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from heist_encoders.config import Config
from heist_encoders.errors import ConfigError


class LossConfig(Config):
    """What a reconstruction is judged by."""

    pixel: Literal["mse", "power4"] = "mse"
    """``mse``: mean squared error of pixels in [0, 1]; ``power4``: 4th instead of 2nd power, as the original had it."""
    element_weight: Annotated[float, Field(ge=0, le=1)] | None = 0.9
    """Share (alpha) of the pixel loss that goes to keys, doors and exit; 0 or None: the plain pixel loss."""
    perceptual: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the perceptual loss (AlexNet's first two convolutions); 0 leaves it out."""
    element_map: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the element map loss: one linear layer must tell from the encoding in which of 8x8 cells each element
    lies. 0 leaves it out, and then nothing but pixels teaches the encoder."""
    beta: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL divergence, summed over dimensions. Only a VAE has one."""
    beta_warmup: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Fraction of the planned training over which beta rises from 0."""
    free_bits: Annotated[float, Field(ge=0)] = 0.0
    """KL in nats a dimension that costs nothing."""

    @property
    def needs_boxes(self) -> bool:
        """Whether the loss looks at where the elements are."""
        return bool(self.element_weight) or self.element_map > 0


class TrainConfig(Config):
    """One training. What is left out comes from the family's ``default_training``, then from here."""

    autoencoder: str
    params: dict[str, Any] = Field(default_factory=dict)
    """Sizes of the autoencoder; the family's defaults are filled in."""
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
    """Test frames an epoch is judged by, evenly spread; None: a fifth of an epoch, at least 2,048."""
    patience: Annotated[int, Field(ge=1)] = 10
    """Epochs without a better test loss after which training ends."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """``auto``: bfloat16 autocast where the hardware has instructions for it."""
    device: str = "auto"
    """``auto``: the GPU when there is one; or ``cpu``, ``cuda``, ``cuda:1``."""
    compile: bool = False
    """Train through ``torch.compile``. Off: on a CPU it costs half a minute and was measured to give between 0.79 and
    1.08 times the speed, depending on the family. On a CPU it needs a C++ compiler."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Of torch on the CPU during training; None leaves them as they are."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """Merge the family's defaults under what is given, and the defaults of its sizes into ``params``."""
        if not isinstance(data, dict) or not isinstance(data.get("autoencoder"), str):
            return data
        from heist_encoders.autoencoders.registry import autoencoder_class

        family = autoencoder_class(data["autoencoder"])
        merged = {**family.default_training, **data, "autoencoder": family.name}
        params = merged.get("params") or {}
        if isinstance(params, dict):
            defaults = family.default_training.get("params", {})
            merged["params"] = family.Params.from_dict({**defaults, **params}, where="params").to_dict()
        loss = data.get("loss", {})
        if isinstance(loss, dict):
            merged["loss"] = {**family.default_training.get("loss", {}), **loss}
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

            family = autoencoder_class(name)
            if isinstance(params, dict):
                family.Params.from_dict(
                    {**family.default_training.get("params", {}), **params}, where=f"{prefix}params of {family.name}"
                )
        return super().from_dict(data, where=where)

    def planned_samples(self, epoch_samples: int) -> int:
        """Samples this training takes if nothing ends it early, given the samples of an epoch."""
        return min(self.max_epochs * epoch_samples, self.max_samples or self.max_epochs * epoch_samples)


def default_config(autoencoder: str, **settings: Any) -> TrainConfig:
    """The configuration that suits a family, with some settings changed.

    Raises:
        UnknownNameError: if there is no such autoencoder.
        ConfigError: if a setting is unknown, of the wrong type or out of range.
    """
    return TrainConfig.from_dict({"autoencoder": autoencoder, **settings})


def as_config(config: TrainConfig | dict[str, Any]) -> TrainConfig:
    """A configuration from itself or from a dictionary. Raises as ``TrainConfig.from_dict`` does."""
    if isinstance(config, TrainConfig):
        return config
    if isinstance(config, dict):
        return TrainConfig.from_dict(config)
    raise ConfigError(f"config is {type(config).__name__}, expected a TrainConfig or a dictionary of its keys")
