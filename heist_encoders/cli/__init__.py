"""The command line: one file a command, presentation only. ``heist-encoders --help`` imports neither torch nor ray."""
