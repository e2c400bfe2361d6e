"""Hyperparameter search with Ray Tune.

``tune.run(trainable, config={**search_space("vae_paper"), "dataset": path})`` for Tune users, ``sweep`` for all of it
in one call, ``promote_winner`` to put the best encoder into the zoo. Ray is imported when one of these runs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
