"""The parts of ppo_curves.py: which runs, their state on disk, how they learn, the figure and the table."""
