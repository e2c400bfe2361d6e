"""The game: engine, states, projection to pixels, levels, poses and a solver. Needs procgen; neither torch nor Ray."""
