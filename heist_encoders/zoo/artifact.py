"""Artifacts: folders that hold one trained autoencoder, without pickle.

An artifact has four files: ``config.json`` (what it is, and the SHA-256 of the other three), ``model.safetensors``
(the weights, with mean and standard deviation of the encodings), ``metrics.json`` (figures) and ``README.md`` (card).
"""

from __future__ import annotations

import copy
import functools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol, TypeVar

import numpy as np
import pydantic
from numpy.typing import NDArray

from heist_encoders.config import Config
from heist_encoders.deprecation import warn_of_old_name
from heist_encoders.errors import ArtifactError, HeistEncodersError, one_line
from heist_encoders.files import sha256_of
from heist_encoders.json_text import JsonObject, plain, read_json, to_json
from heist_encoders.paths import user_path
from heist_encoders.zoo.card import LICENSE, make_card
from heist_encoders.zoo.files import whole_folder
from heist_encoders.zoo.names import check_label
from heist_encoders.zoo.remote import CONFIG as CONFIG
from heist_encoders.zoo.remote import keep, local_folder

if TYPE_CHECKING:
    import torch

    from heist_encoders.autoencoders.base import BaseAutoencoder
    from heist_encoders.data.source import FrameSource

FORMAT_VERSION: Final = 1
WEIGHTS, METRICS, CARD = "model.safetensors", "metrics.json", "README.md"
MEAN_KEY, STD_KEY = "encoding.mean", "encoding.std"
STATISTICS_FRAMES = 20_000
_STATISTICS_BATCH = 64
Sha256 = Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]
PICKLES: Final = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")


class ArtifactConfig(Config):
    """The content of ``config.json``."""

    format_version: int
    name: Annotated[str, pydantic.AfterValidator(check_label)]
    family: str
    params: JsonObject
    encoding_shape: list[pydantic.PositiveInt]
    game: str
    distribution_mode: str
    use_backgrounds: bool
    dataset_hash: str | None
    training: JsonObject
    provenance: JsonObject
    files: dict[str, Sha256]

    def content(self) -> JsonObject:
        """It without ``files``."""
        content = self.to_dict()
        del content["files"]
        return content


class Trained(Protocol):
    """What ``train`` returns."""

    @property
    def model(self) -> BaseAutoencoder: ...


@dataclass(frozen=True)
class Artifact:
    """One trained autoencoder on disk.

    Attributes:
        path: its folder.
        name: its name in the zoo.
        architecture: the registered name of its autoencoder, ``vae_alex`` for example.
        params: the parameters that the autoencoder is built with.
        encoding_shape: shape of one encoding.
        distribution_mode: mode of the game that it was trained on.
        game: the Procgen game that it was trained on.
        use_backgrounds: whether the frames had textured backgrounds.
        sha256: hexadecimal SHA-256 of ``model.safetensors``.
        dataset_hash: hash of the dataset that it was trained on, if known.
        training: how it was trained.
        metrics: content of ``metrics.json``.
        provenance: where it comes from, a sweep and trial for example.
    """

    path: Path
    name: str
    architecture: str
    params: JsonObject
    encoding_shape: tuple[int, ...]
    distribution_mode: str
    game: str
    use_backgrounds: bool
    sha256: str
    dataset_hash: str | None
    training: JsonObject
    metrics: JsonObject
    provenance: JsonObject = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The old name of ``architecture``."""
        warn_of_old_name("Artifact.family", "Artifact.architecture")
        return self.architecture

    @property
    def card(self) -> str:
        """The text of the card (``README.md``)."""
        return (self.path / CARD).read_text(encoding="utf-8")

    @property
    def mean(self) -> NDArray[np.float32]:
        """float32 of ``encoding_shape``: mean encoding of the train split."""
        return _statistics(self.path, self.sha256, self.encoding_shape)[0]

    @property
    def std(self) -> NDArray[np.float32]:
        """float32 of ``encoding_shape``: standard deviation of the encodings, 1 where they do not vary."""
        return _statistics(self.path, self.sha256, self.encoding_shape)[1]

    @property
    def reference(self) -> dict[str, str]:
        """What another process needs to find this artifact again: name, uri (its folder) and sha256 of its weights."""
        return {"name": self.name, "uri": str(self.path), "sha256": self.sha256}

    def load_model(self, device: str = "cpu") -> BaseAutoencoder:
        """The autoencoder with its weights, in eval mode, on ``device``.

        Raises:
            ArtifactError: if the weights do not fit the autoencoder.
            UnknownNameError: if its architecture is not registered in this process.
        """
        from safetensors import SafetensorError

        from heist_encoders.autoencoders.registry import create_autoencoder
        from heist_encoders.autoencoders.threads import one_thread
        from heist_encoders.zoo.weights import load_weights

        try:
            model = load_weights(
                lambda: create_autoencoder(self.architecture, self.params), self.path / WEIGHTS, (MEAN_KEY, STD_KEY)
            )
        except (OSError, RuntimeError, SafetensorError) as error:
            raise ArtifactError(
                f"the weights in {self.path} are not those of a {self.architecture}: {one_line(error)}"
            ) from None
        with one_thread():
            if tuple(model.encoding_shape) != self.encoding_shape:
                raise ArtifactError(
                    f"{self.path}: {self.architecture} gives encodings of shape {tuple(model.encoding_shape)}, but "
                    f"{CONFIG} says {self.encoding_shape}; save it again with save_artifact"
                )
        return model.eval().to(device)


@functools.lru_cache(maxsize=64)
def _statistics(path: Path, sha256: str, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path / WEIGHTS, framework="np") as file:
            mean, std = file.get_tensor(MEAN_KEY), file.get_tensor(STD_KEY)
    except (OSError, SafetensorError, TypeError) as error:
        raise ArtifactError(
            f"{path / WEIGHTS} holds no mean and standard deviation of the encodings ({one_line(error)}); "
            "save it again with save_artifact"
        ) from None
    if mean.shape != shape or std.shape != shape or not np.isfinite([mean, std]).all() or not (std > 0).all():
        raise ArtifactError(
            f"{path / WEIGHTS}: mean {mean.shape} and standard deviation {std.shape} of the encodings, expected finite "
            f"numbers of shape {shape}, the deviations above 0; save it again with save_artifact"
        )
    mean.flags.writeable = std.flags.writeable = False
    return mean, std


def encoding_statistics(
    model: BaseAutoencoder, frames: NDArray[np.uint8], limit: int = STATISTICS_FRAMES
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of the encodings of evenly spaced ``frames``, at most ``limit``.

    Args:
        model: an autoencoder; used in eval mode, on the device where it is.
        frames: uint8 (N, 64, 64, 3), N >= 1.

    Returns:
        Two float32 arrays of the encoding's shape, over frames, and for encodings (C, H, W) over places as well, so
        that they are the same throughout a channel. The standard deviation is 1 where an encoding does not vary, so
        that dividing by it is always safe.
    """
    import torch

    from heist_encoders.autoencoders.frames import to_input

    device = next(model.parameters()).device
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), limit)).astype(np.int64))
    was_training = model.training
    model.eval()
    total = squares = np.zeros(model.encoding_shape)
    with torch.inference_mode():
        for start in range(0, len(chosen), _STATISTICS_BATCH):
            batch = np.ascontiguousarray(frames[chosen[start : start + _STATISTICS_BATCH]])
            encodings = model.encode(to_input(batch, device)).double().cpu().numpy()
            total = total + encodings.sum(0)
            squares = squares + np.square(encodings).sum(0)
    model.train(was_training)
    mean, square = total / len(chosen), squares / len(chosen)
    if mean.ndim == 3:  # the same for all places of a channel, so that a convolution finds a thing alike wherever it is
        mean, square = (np.broadcast_to(part.mean((1, 2), keepdims=True), part.shape) for part in (mean, square))
    std = np.sqrt(np.maximum(square - mean**2, 0.0))
    std[std < 1e-6 * np.maximum(np.abs(mean), 1.0)] = 1.0
    return mean.astype(np.float32), std.astype(np.float32)


def save_artifact(
    folder: str | Path,
    result: BaseAutoencoder | Trained,
    *,
    name: str,
    dataset: FrameSource,
    training: Mapping[str, object],
    metrics: Mapping[str, object] | None = None,
    provenance: Mapping[str, object] | None = None,
    half: bool = False,
    statistics_frames: int = STATISTICS_FRAMES,
) -> Artifact:
    """Write an artifact: whole or not at all. An artifact that lies at ``folder`` is replaced.

    Args:
        folder: where to write; its parents are made.
        result: a trained autoencoder, or what ``train`` returned.
        name: the artifact's name.
        dataset: the dataset that it was trained on: its train split gives mean and standard deviation of the encodings.
        training: how it was trained (configuration, samples, seconds, ...), kept as it is.
        metrics: figures of an evaluation.
        provenance: where it comes from.
        half: store matrices and kernels as float16, rounded to 11 significant bits, which halves the file. They are
            float32 again when loaded. The encodings' mean and standard deviation are those of the rounded weights.
        statistics_frames: evenly spaced frames of the train split that these two are taken from, at most.

    Raises:
        ConfigError: for a name that can't be printed on one line.
        ArtifactError: if ``folder`` holds something else or cannot be written.
    """
    import torch
    from safetensors.torch import save_file
    from torch import nn

    check_label(name)
    folder = user_path(folder)
    model = result if isinstance(result, nn.Module) else result.model
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG).is_file():
        raise ArtifactError(f"{folder} holds other files and no artifact; choose a new or empty folder")
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    if half:
        state = {key: value.to(torch.float16) if value.ndim > 1 else value for key, value in state.items()}
        model = copy.deepcopy(model)
        model.load_state_dict(state)
    mean, std = encoding_statistics(model, dataset.frames("train"), statistics_frames)
    state |= {MEAN_KEY: _tensor(mean), STD_KEY: _tensor(std)}
    config: JsonObject = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "family": model.name,
        "params": model.params.to_dict(),
        "encoding_shape": list(model.encoding_shape),
        "game": dataset.spec.game,
        "distribution_mode": dataset.spec.distribution_mode,
        "use_backgrounds": dataset.spec.use_backgrounds,
        "dataset_hash": dataset.hash,
        "training": plain(training),
        "provenance": plain(provenance or {}),
    }
    with whole_folder(folder, replace=True) as temporary:
        save_file(state, temporary / WEIGHTS, metadata={"format": "pt"})
        _finish(temporary, config, metrics or {})
    return load_artifact(folder)


def _tensor(array: NDArray[np.float32]) -> torch.Tensor:
    import torch

    return torch.from_numpy(array.copy())


def _finish(
    folder: Path, config: JsonObject, metrics: Mapping[str, object], *, uri: str | None = None, license: str = LICENSE
) -> None:
    """Write everything but the weights, which lie there already."""
    figures = plain(metrics)
    (folder / METRICS).write_text(to_json(figures), encoding="utf-8")
    weights = sha256_of(folder / WEIGHTS)
    (folder / CARD).write_text(make_card(config, figures, weights, uri=uri, license=license), encoding="utf-8")
    files = {name: sha256_of(folder / name) for name in (CARD, METRICS)} | {WEIGHTS: weights}
    (folder / CONFIG).write_text(to_json({**config, "files": dict(sorted(files.items()))}), encoding="utf-8")


def copy_artifact(
    artifact: Artifact,
    folder: Path,
    *,
    name: str | None = None,
    metrics: Mapping[str, object] | None = None,
    provenance: Mapping[str, object] | None = None,
    replace: bool = False,
    uri: str | None = None,
    license: str = LICENSE,
) -> Artifact:
    """Write a copy of ``artifact`` with another name, metrics or provenance; what is None stays as it was.

    Args:
        uri, license: of the card, see ``make_card``.

    Raises:
        ArtifactError: if ``folder`` exists and ``replace`` is False, or cannot be written.
    """
    config = _read_config(artifact.path).content()
    config["name"] = check_label(name or artifact.name)
    config["provenance"] = plain({**artifact.provenance, **(provenance or {})})
    with whole_folder(folder, replace=replace) as temporary:
        if folder.resolve() == artifact.path.resolve():  # what lies beside other weights of that name is not of these
            _copy_extras(folder, temporary)
        shutil.copyfile(artifact.path / WEIGHTS, temporary / WEIGHTS)
        _finish(temporary, config, artifact.metrics if metrics is None else metrics, uri=uri, license=license)
    return load_artifact(folder)


def _copy_extras(source: Path, target: Path) -> None:
    """Keep pictures and the like that lie beside the four files; links, which may lead anywhere, are left out."""

    def links(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if (Path(folder) / name).is_symlink()]

    for path in source.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name, ignore=links)
        elif path.name not in (CONFIG, WEIGHTS, METRICS, CARD):
            shutil.copyfile(path, target / path.name)


def update_metrics(artifact: Artifact, metrics: Mapping[str, object]) -> Artifact:
    """Replace an artifact's ``metrics.json``, and its card and hashes with it. Other files in the folder stay."""
    return copy_artifact(artifact, artifact.path, metrics=metrics, replace=True)


def load_artifact(path: str | Path) -> Artifact:
    """Open and verify an artifact.

    Args:
        path: its folder, or a URI (``hf://user/name``, ``file://``, ``s3://``, ``gs://``, whatever pyarrow opens),
            which is copied into the cache.

    Raises:
        ArtifactError: if it is missing, a pickle, or a file of it is missing, truncated or altered.
    """
    return _open(local_folder(path, _listing), check=True)


def _listing(folder: Path) -> Mapping[str, str]:
    return _read_config(folder).files


def keep_artifact(config: bytes, read: Callable[[str], bytes], where: str) -> Path:
    """Copy an artifact into the cache: ``remote.keep`` for encoders."""
    return keep(config, read, where, _listing)


def read_artifact(path: str | Path) -> Artifact:
    """Open an artifact without comparing hashes, to list it quickly. Raises ArtifactError if it is no artifact."""
    return _open(user_path(path), check=False)


def verify(path: str | Path) -> None:
    """Raise ArtifactError unless every file of the artifact is there and has the listed SHA-256."""
    path = user_path(path)
    check_files(path, _read_config(path).files)


def check_files(path: Path, files: Mapping[str, str]) -> None:
    """Raise ArtifactError unless every file (name -> hexadecimal SHA-256) is in the folder, as it was written."""
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            raise ArtifactError(f"{path} is incomplete: {name} is missing; copy or save the artifact again")
        found = sha256_of(file)
        if found != expected:
            raise ArtifactError(
                f"{file} is truncated or altered: sha256 {found[:12]}..., {CONFIG} says {expected[:12]}...; "
                "copy or save the artifact again"
            )


def _open(path: Path, *, check: bool) -> Artifact:
    config = _read_config(path)
    if check:
        verify(path)
    try:
        metrics = read_json(path / METRICS)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {path / METRICS}: {error}; save the artifact again") from None
    return Artifact(
        path=path.resolve(),
        name=config.name,
        architecture=config.family,
        params=config.params,
        encoding_shape=tuple(config.encoding_shape),
        distribution_mode=config.distribution_mode,
        game=config.game,
        use_backgrounds=config.use_backgrounds,
        sha256=config.files[WEIGHTS],
        dataset_hash=config.dataset_hash,
        training=config.training,
        metrics=metrics,
        provenance=config.provenance,
    )


def _read_config(path: Path) -> ArtifactConfig:
    return read_config(path, ArtifactConfig, {WEIGHTS, METRICS, CARD}, FORMAT_VERSION, "artifact", "save_artifact")


ConfigOfFiles = TypeVar("ConfigOfFiles", bound=Config)


def read_config(
    path: Path, schema: type[ConfigOfFiles], files: set[str], version: int, kind: str, writer: str
) -> ConfigOfFiles:
    """The validated ``config.json`` of a folder.

    Args:
        path: the folder.
        schema: of the content, with ``format_version`` and ``files``.
        files: names of the files that ``files`` must list.
        version: the format version that is understood.
        kind: what the folder is, for errors.
        writer: the function that writes such folders, for errors.

    Raises:
        ArtifactError: if it is missing, a pickle, damaged, of another version, or does not fit the schema.
    """
    _refuse_pickle(path)
    if not path.exists():
        raise ArtifactError(f"no such {kind}: {path}; expected a folder that {writer} wrote")
    if not path.is_dir():
        raise ArtifactError(f"{path} is a file; {_a(kind)} is the folder with {CONFIG} and the weights")
    file = path / CONFIG
    if not file.is_file():
        for other in sorted(path.iterdir()):
            _refuse_pickle(other)
        raise ArtifactError(f"{path} is no {kind}: {CONFIG} is missing; expected a folder that {writer} wrote")
    try:
        data = read_json(file)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{file} is truncated or altered: {error}; copy or save the {kind} again") from None
    found = data.get("format_version") if isinstance(data, dict) else None
    if found != version:
        raise ArtifactError(f"{file} has format_version {found!r:.40}, expected {version}")
    listed = data.get("files")
    if not isinstance(listed, dict) or set(listed) != files:
        given = sorted(listed)[:5] if isinstance(listed, dict) else type(listed).__name__
        raise ArtifactError(f"{file} lists the files {given!s:.200}, those of {_a(kind)} are {sorted(files)}")
    try:
        return schema.from_dict(data, where=str(file))
    except HeistEncodersError as error:
        raise ArtifactError(f"{error!s:.600}; copy or save the {kind} again") from None


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _refuse_pickle(path: Path) -> None:
    if path.suffix.lower() in PICKLES and not path.is_dir():
        raise ArtifactError(
            f"{path} is a pickle, which can run code when opened, so it is never loaded; to convert it, load your "
            "state dict yourself into create_autoencoder(...) and call heist_encoders.zoo.save_artifact"
        )
