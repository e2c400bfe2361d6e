"""The games: a folder holds all that the package knows of one. Needs procgen; neither torch nor Ray."""
