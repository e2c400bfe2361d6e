"""Encoded Heist for Ray RLlib: registered environments, a preprocessor, a module, PPO and an unbiased evaluation.

Three placements of the encoder, which give the policy the same encodings for the same frames:

* ``placement="env"``: the environment returns encodings. The fastest; frames never leave the env runner.
* ``placement="preprocessor"``: the environment returns frames, ``EncodeObservations`` (an env-to-module connector)
  encodes the whole batch of them in one call. Use it with an environment of your own, or among other connectors.
* ``placement="module"``: frames travel to the learner and the encoder is part of the RLModule. Use it to fine-tune the
  encoder together with the policy; it costs an encoding of every frame in every epoch.
"""

import lazy_loader

from heist_encoders.deprecation import old_names

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = old_names(__name__, {"RLlibPlayer": "RLlibPolicy"}, _attribute)
