"""Gymnasium environments: Procgen games seen as frames or through an encoder, one at a time or many in lockstep."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
