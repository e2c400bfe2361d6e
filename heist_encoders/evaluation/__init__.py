"""What did an autoencoder throw away? Probes, reconstruction metrics, speed, pictures and the report.

The names below are imported from their modules on first use, so that importing this package stays light. The function
``evaluate.evaluate`` shares its module's name and is imported from there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
