"""Policy artifacts: folders that hold one policy, without pickle.

A policy artifact has four files: ``config.json`` (what it is, which encoder it needs, and the SHA-256 of the other
three), ``policy.safetensors`` (the head's weights), ``metrics.json`` (figures) and ``README.md`` (the card).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import pydantic

from heist_encoders.config import Config
from heist_encoders.constants import DISTRIBUTION_MODES, MAX_ACTION_REPEAT
from heist_encoders.errors import ArtifactError, HeistEncodersError, one_line, unknown_name
from heist_encoders.files import sha256_of
from heist_encoders.json_text import JsonObject, plain, read_json, to_json
from heist_encoders.paths import home, is_uri, user_path
from heist_encoders.policies.card import make_card
from heist_encoders.policies.heads import HeadConfig, HeadPolicy
from heist_encoders.policies.policy import ACTIONS, Policy
from heist_encoders.zoo.artifact import CARD, CONFIG, METRICS, Artifact, Sha256, check_files, read_config
from heist_encoders.zoo.card import LICENSE
from heist_encoders.zoo.files import whole_folder
from heist_encoders.zoo.lookup import find_artifact
from heist_encoders.zoo.names import check_label
from heist_encoders.zoo.remote import local_folder

FORMAT_VERSION: Final = 1
WEIGHTS: Final = "policy.safetensors"
ENCODER: Final = "encoder"
"""Sub-folder of a policy's folder in which its encoder may lie, for machines whose zoo has none such."""
PACKAGED: Final = Path(__file__).parent / "packaged"
_DEFAULT_MODE = "memory"


class EncoderReference(Config):
    """Which encoder a policy needs: its name in the zoo and the SHA-256 of its weights."""

    name: Annotated[str, pydantic.AfterValidator(check_label)]
    sha256: Sha256


class PolicyConfig(Config):
    """The content of ``config.json``."""

    format_version: int
    name: Annotated[str, pydantic.AfterValidator(check_label)]
    head: HeadConfig
    encoding_shape: list[pydantic.PositiveInt]
    actions: Literal["moves", "all"]
    encoder: EncoderReference
    game: str
    distribution_mode: Literal["easy", "hard", "memory"]
    use_backgrounds: bool
    normalize: bool
    action_repeat: Annotated[int, pydantic.Field(ge=1, le=MAX_ACTION_REPEAT)] = 1
    training: JsonObject
    files: dict[str, Sha256]


def save_policy(
    policy: Policy,
    folder: str | Path,
    *,
    name: str | None = None,
    replace: bool = False,
    uri: str | None = None,
    license: str = LICENSE,
) -> Path:
    """Write a policy: whole or not at all.

    Args:
        policy: what to write.
        folder: where; its parents are made.
        name: the policy's name; None: as it is.
        replace: whether a policy that lies there may be replaced.
        uri, license: of the card, see ``make_card``.

    Returns:
        The folder.

    Raises:
        ConfigError: for a name that can't be printed on one line.
        ArtifactError: if the folder is taken, holds something else or cannot be written.
    """
    from safetensors.torch import save_file

    folder = user_path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / WEIGHTS).is_file():
        raise ArtifactError(f"{folder} holds other files and no policy; choose a new or empty folder")
    actions = next(key for key, number in ACTIONS.items() if number == policy.head.num_actions)
    artifact = policy.artifact
    config: JsonObject = {
        "format_version": FORMAT_VERSION,
        "name": check_label(name or policy.name),
        "head": policy.head.config.to_dict(),
        "encoding_shape": list(policy.head.shape),
        "actions": actions,
        "encoder": {"name": artifact.name, "sha256": artifact.sha256},
        "game": artifact.game,
        "distribution_mode": artifact.distribution_mode,
        "use_backgrounds": artifact.use_backgrounds,
        "normalize": policy.normalize,
        **({"action_repeat": policy.action_repeat} if policy.action_repeat > 1 else {}),
        "training": plain(policy.training),
    }
    state = {key: value.detach().cpu().contiguous().clone() for key, value in policy.head.state_dict().items()}
    with whole_folder(folder, replace=replace) as temporary:
        save_file(state, temporary / WEIGHTS, metadata={"format": "pt"})
        (temporary / METRICS).write_text(to_json(policy.metrics), encoding="utf-8")
        card = make_card(config, plain(policy.metrics), uri=uri, license=license)
        (temporary / CARD).write_text(card, encoding="utf-8")
        files = {file: sha256_of(temporary / file) for file in sorted((CARD, METRICS, WEIGHTS))}
        (temporary / CONFIG).write_text(to_json({**config, "files": files}), encoding="utf-8")
    return folder


def find_policy(name_or_path: str | Path, distribution_mode: str | None = None) -> Path:
    """The folder of a policy: a packaged one's, the user's of that name, that of a path, or a URI's copy.

    Args:
        name_or_path: a name, a folder, or a URI as in ``zoo.load_artifact``.
        distribution_mode: which packaged policy of the name; None: the one of memory mode, or the only one.

    Raises:
        UnknownNameError: if nothing answers to the name or mode.
        ArtifactError: if the URI can't be opened or holds no policy.
    """
    if distribution_mode is not None and distribution_mode not in DISTRIBUTION_MODES:
        raise unknown_name("distribution_mode", distribution_mode, DISTRIBUTION_MODES)
    given = str(name_or_path)
    if isinstance(name_or_path, str) and given in policy_names():
        modes = [mode for mode in DISTRIBUTION_MODES if (PACKAGED / given / mode / CONFIG).is_file()]
        if not modes:
            return _users() / given
        mode = distribution_mode or (modes[0] if len(modes) == 1 else _DEFAULT_MODE)
        if mode not in modes:
            raise ArtifactError(f"no packaged policy {given!r} of distribution_mode {mode!r}; packaged: {modes}")
        return PACKAGED / given / mode
    path = local_folder(name_or_path, lambda folder: _read(folder).files)
    if isinstance(name_or_path, str) and "/" not in given and not path.exists():
        raise unknown_name("policy", given, [*policy_names(), "<folder of a policy>"])
    return path


def policy_names() -> list[str]:
    """Names of the packaged policies and of those in the user's zoo (``HEIST_ENCODERS_HOME/policies``)."""
    packaged = [path.parent.parent.name for path in PACKAGED.glob(f"*/*/{CONFIG}")]
    return sorted({*packaged, *(path.parent.name for path in _users().glob(f"*/{CONFIG}"))})


def is_policy(name_or_path: str | Path) -> bool:
    """Whether this is the name of a policy, or a folder that holds one. A URI, which isn't opened, counts as one."""
    if isinstance(name_or_path, str) and (is_uri(name_or_path) or name_or_path in policy_names()):
        return True
    return (Path(name_or_path).expanduser() / WEIGHTS).is_file()


def _users() -> Path:
    return home() / "policies"


def load_policy(
    name_or_path: str | Path,
    *,
    distribution_mode: str | None = None,
    encoder: str | Path | Artifact | None = None,
    backend: str = "auto",
    device: str = "cpu",
) -> Policy:
    """Open and verify a policy, and find its encoder.

    Args:
        name_or_path: a policy's name, folder or URI.
        distribution_mode: the mode that it must be of; None takes it as it is.
        encoder: where its encoder lies, if it is neither in the zoo nor in the sub-folder ``encoder`` of the folder or
            URI. Its weights must be those that the policy needs.
        backend: of the encoder, see ``Policy``.
        device: of the encoder and the head.

    Raises:
        UnknownNameError: for a name that does not exist.
        ArtifactError: if a file is missing, truncated or altered, the configuration or weights are not those of a
            policy, it is of another mode, or its encoder is not found.

    Examples:
        >>> policy = heist_encoders.load_policy("best", distribution_mode="easy")
        >>> policy.act(np.zeros((2, 64, 64, 3), np.uint8)).shape  # an action for each frame
        (2,)
    """
    from safetensors import SafetensorError

    from heist_encoders.zoo.weights import load_weights

    path = find_policy(name_or_path, distribution_mode)
    config = _read(path)
    check_files(path, config.files)
    if distribution_mode not in (None, config.distribution_mode):
        raise ArtifactError(
            f"policy {config.name!r} plays {config.distribution_mode} mode, asked for {distribution_mode}; use "
            f"distribution_mode={config.distribution_mode!r} or another policy"
        )
    try:
        metrics = read_json(path / METRICS)
        head = load_weights(
            lambda: HeadPolicy(config.encoding_shape, config.head, num_actions=ACTIONS[config.actions]), path / WEIGHTS
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"{path} does not hold the policy that {CONFIG} describes: {one_line(error)}") from None
    if not isinstance(metrics, Mapping):
        raise ArtifactError(f"{path / METRICS} holds {type(metrics).__name__}, expected figures by name")
    return Policy(
        head,
        _encoder(config, f"{name_or_path}/{ENCODER}" if is_uri(name_or_path) else str(path / ENCODER), encoder),
        normalize=config.normalize,
        action_repeat=config.action_repeat,
        name=config.name,
        training=config.training,
        metrics=metrics,
        backend=backend,
        device=device,
    )


def _read(folder: Path) -> PolicyConfig:
    return read_config(folder, PolicyConfig, {WEIGHTS, METRICS, CARD}, FORMAT_VERSION, "policy", "save_policy")


def _encoder(config: PolicyConfig, place: str, given: str | Path | Artifact | None) -> Artifact:
    """The encoder with the weights that a policy needs: the one given, one of the zoo, or that at ``place``."""
    wanted = config.encoder
    try:
        if given is None:
            artifact = find_artifact({"name": wanted.name, "uri": place, "sha256": wanted.sha256})
        else:
            artifact = find_artifact(given, config.distribution_mode)
    except HeistEncodersError as error:
        if given is not None:
            raise
        there = f" nor at {place} ({error})" if is_uri(place) else ""
        raise ArtifactError(
            f"policy {config.name!r} needs encoder {wanted.name!r} with weights {wanted.sha256[:12]}..., which is not "
            f"in the zoo of this machine{there}; give its folder (encoder=...)"
        ) from error
    if artifact.sha256 != wanted.sha256:
        raise ArtifactError(
            f"encoder {artifact.name!r} has weights {artifact.sha256[:12]}..., policy {config.name!r} was trained on "
            f"{wanted.sha256[:12]}... of {wanted.name!r}; give that one"
        )
    if tuple(config.encoding_shape) != tuple(artifact.encoding_shape):
        raise ArtifactError(
            f"{config.name}: the policy takes encodings {tuple(config.encoding_shape)}, its encoder gives "
            f"{tuple(artifact.encoding_shape)}; save it again"
        )
    return artifact
