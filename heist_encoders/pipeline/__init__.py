"""The whole chain as one resumable job, ``heist-encoders run``: data, sweeps, a policy, a report."""
