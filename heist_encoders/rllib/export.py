"""From what RLlib trained to a policy artifact, which plays without Ray."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from heist_encoders.errors import ConfigError
from heist_encoders.paths import user_path
from heist_encoders.policies.artifact import load_policy, save_policy
from heist_encoders.policies.heads import HeadConfig, HeadPolicy
from heist_encoders.policies.planner import PlannerConfig
from heist_encoders.policies.policy import Policy
from heist_encoders.rllib.batch_policy import playing_module
from heist_encoders.rllib.heads import HEAD_KEY, HeadRLModule, PlannerEncoder
from heist_encoders.rllib.module import MODEL_CONFIG_KEY, PretrainedEncoder
from heist_encoders.rllib.registration import PIXELS, PREFIX
from heist_encoders.rllib.taught import record_in
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.lookup import find_artifact


def export_policy(
    source: Any,
    out: str | Path,
    *,
    encoder: str | Path | Artifact | Mapping[str, str] | None = None,
    distribution_mode: str | None = None,
    normalize: bool | None = None,
    name: str | None = None,
    training: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> Policy:
    """Write the policy of an algorithm, a checkpoint or a module as a policy artifact.

    Args:
        source: a built RLlib algorithm, the folder of a checkpoint of ``train_ppo``, or an RLModule that
            ``head_module_spec`` (and so ``ppo_config``) made. Ray's checkpoints contain pickles of Ray's own: open only
            those that you trust.
        out: the folder to write.
        encoder: None: the one that the source names; needed for a module, and for ``mode="preprocessor"``.
        distribution_mode: the encoder's mode, where ``encoder`` is the name of a packaged one.
        normalize: whether the head was given normalised encodings; None: as the source says, else True.
        name: of the policy; None: the folder's name.
        training: how it was trained, kept as it is; None: what ``ppo_config`` and ``offline_config`` know of it (its
            class, the frames that it was taught with), and the environment steps played.
        metrics: figures; ``evaluation`` as ``Evaluation.to_dict`` gives it is shown on the card.
        replace: whether a policy that lies at ``out`` may be replaced.

    Returns:
        The policy, loaded from ``out``.

    Raises:
        ConfigError: for a policy that an artifact cannot hold: with frame stacking or the previous action in its
            observations, a fine-tuned encoder, or a module of another kind.
        ArtifactError: if ``out`` is taken or cannot be written, or the checkpoint was cut or altered.
    """
    module, environment, options, known = _open(source)
    if options.get("frame_stack", 1) != 1 or options.get("previous_action_reward"):
        raise ConfigError(
            "the policy's observations hold earlier steps (frame_stack, previous_action_reward), which a policy "
            "artifact cannot; expected one encoding an observation, and lstm=True for a memory"
        )
    inside = (getattr(module, "model_config", None) or {}).get(MODEL_CONFIG_KEY)
    if encoder is None:
        encoder = options.get("encoder") or (inside or {}).get("reference")
    if encoder is None and environment.startswith(PREFIX) and environment != PIXELS:
        encoder = environment.removeprefix(PREFIX)
    if encoder is None:
        raise ConfigError("the source does not say which encoder the policy was trained on; give it (encoder=...)")
    if normalize is None:
        # An environment whose options do not say does not normalise; ppo_config always says.
        normalize = bool((inside or options).get("normalize", "encoder" not in options and inside is None))
    artifact = find_artifact(encoder, distribution_mode or options.get("distribution_mode"))
    policy = Policy(
        head_of(module, artifact.encoding_shape),
        artifact,
        normalize=normalize,
        action_repeat=int(options.get("action_repeat", 1)),
        name=name or user_path(out).name,
        training=known if training is None else training,
        metrics=metrics,
    )
    return load_policy(save_policy(policy, out, replace=replace), encoder=artifact)


def _open(source: Any) -> tuple[Any, str, dict[str, Any], dict[str, Any]]:
    """The module, the name and options of the environment, and the training record, as far as they are known."""
    if hasattr(source, "get_module") and hasattr(source, "config"):
        config, runner = source.config, source.env_runner
        played = {} if runner is None else {"env_steps": runner.num_env_steps_sampled_lifetime}
        return playing_module(source), str(config.env), dict(config.env_config), {**record_in(config), **played}
    if isinstance(source, str | Path):
        from ray.rllib.core.rl_module.rl_module import RLModule

        from heist_encoders.rllib.training import checkpoint_of, damage_told, environment_of

        path = checkpoint_of(user_path(source))
        known = environment_of(path)
        folder = path / "learner_group" / "learner" / "rl_module" / "default_policy"
        with damage_told(path):
            module = RLModule.from_checkpoint(folder.resolve())
        return (
            module,
            str(known.get("env") or ""),
            dict(known.get("env_config", {})),
            {**known.get("training", {}), **{key: known[key] for key in ("env_steps",) if key in known}},
        )
    return source, "", {}, {}


def head_of(module: Any, shape: tuple[int, ...]) -> HeadPolicy:
    """A copy of a module's head, in plain torch.

    Args:
        module: a ``HeadRLModule``.
        shape: of the encodings that it takes.

    Raises:
        ConfigError: if it is another module, or its encoder was trained with it.
    """
    module = module.unwrapped() if hasattr(module, "unwrapped") else module
    if not isinstance(module, HeadRLModule):
        raise ConfigError(
            f"a {type(module).__name__} cannot be exported; expected a HeadRLModule, which head_module_spec and "
            "ppo_config make"
        )
    made: Any = module
    options = made.model_config[HEAD_KEY]
    part, lstm = _parts(made)
    if isinstance(part, PlannerEncoder):
        config = HeadConfig(
            kind="planner",
            planner=PlannerConfig.from_dict(options["planner"]),
            lstm=lstm.hidden_size if lstm is not None else 0,
        )
        body = part.planner.state_dict()
    else:
        layers = [layer for layer in part.net.mlp if isinstance(layer, nn.Linear)]
        if any(not isinstance(layer, nn.Linear | nn.ReLU) for layer in part.net.mlp):
            raise ConfigError(f"an MLP of {part.net.mlp} cannot be exported; expected linear layers with ReLU")
        config = HeadConfig(
            kind="mlp",
            hiddens=[layer.out_features for layer in layers],
            lstm=lstm.hidden_size if lstm is not None else 0,
        )
        body = {
            f"{2 * index}.{key}": value
            for index, layer in enumerate(layers)
            for key, value in layer.state_dict().items()
        }
    head = HeadPolicy(shape, config, num_actions=int(made.action_space.n))
    head.body.load_state_dict(body)
    if lstm is not None and head.lstm is not None:
        head.lstm.load_state_dict(lstm.state_dict())
    _copy_linear(made.pi, head.logits)
    if getattr(made, "vf", None) is not None:  # modules that only play have none
        _copy_linear(made.vf, head.value)
    else:
        for parameter in head.value.parameters():
            nn.init.zeros_(parameter)
    return head.eval()


def load_head(module: Any, head: HeadPolicy) -> None:
    """Give a ``HeadRLModule`` the weights of a head of the same sizes: the way back of ``head_of``.

    Its critic keeps its own: that of a cloned head is untrained.

    Raises:
        ConfigError: if they do not fit.
    """
    part, lstm = _parts(module)
    body = part.planner if isinstance(part, PlannerEncoder) else nn.Sequential(*part.net.mlp)
    try:
        body.load_state_dict(head.body.state_dict())
        if (lstm is None) != (head.lstm is None):
            raise ValueError("one has an LSTM, the other has none")
        if lstm is not None and head.lstm is not None:
            lstm.load_state_dict(head.lstm.state_dict())
        (logits,) = module.pi.net.mlp
        logits.load_state_dict(head.logits.state_dict())
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the head of the policy does not fit the module: {' '.join(str(error).split())}; expected the same sizes"
        ) from None


def _parts(module: Any) -> tuple[Any, nn.LSTM | None]:
    """What comes before the LSTM, behind an encoder inside the module, and the LSTM.

    Raises:
        ConfigError: if the encoder was trained with it.
    """
    part: Any = module.encoder.encoder
    lstm: nn.LSTM | None = None
    if hasattr(part, "lstm"):
        lstm, part = part.lstm, part.tokenizer
    if isinstance(part, PretrainedEncoder):
        if part.fine_tune:
            raise ConfigError("the policy's encoder was fine-tuned with it, which a policy artifact cannot hold")
        part = part.then
    return part, lstm


@torch.no_grad()
def _copy_linear(source: Any, target: nn.Linear) -> None:
    """The one linear layer of RLlib's head."""
    layers = list(source.net.mlp)
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        raise ConfigError(f"a head of {layers} cannot be exported; expected one linear layer (head_fcnet_hiddens=[])")
    target.load_state_dict(layers[0].state_dict())
