"""The autoencoders: one file an architecture, one decorator to make it known everywhere.

Everything here needs torch, which is imported when the first of these names is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
