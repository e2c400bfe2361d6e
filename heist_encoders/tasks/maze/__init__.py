"""Maze: a perfect maze with one cheese in it. State, labels and oracle."""
