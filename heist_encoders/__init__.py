"""heist-encoders: what did my autoencoder throw away?

Balanced, exactly labelled frames of Procgen's Heist from Ray workers, hyperparameter sweeps of autoencoders on
Ray Tune, and the best encoders as gymnasium environments, RLlib environments and RLlib preprocessors.

Importing this package registers the gymnasium ids; torch, ray and procgen are imported where they are used.
"""

import lazy_loader

from heist_encoders.envs.registration import register_all

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *__all__]

register_all()
