"""heist-encoders."""
