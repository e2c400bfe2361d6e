"""Training of autoencoders: a plain function, no Ray. torch is imported when the first of these names is used."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
