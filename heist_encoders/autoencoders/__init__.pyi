from .base import BaseAutoencoder as BaseAutoencoder
from .base import Output as Output
from .frames import to_input as to_input
from .registry import autoencoder_class as autoencoder_class
from .registry import autoencoder_names as autoencoder_names
from .registry import create_autoencoder as create_autoencoder
from .registry import register_autoencoder as register_autoencoder
