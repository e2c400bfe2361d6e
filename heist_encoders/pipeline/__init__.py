"""The whole chain as one resumable job: data, six sweeps, winners, PPO, report. What ``heist-encoders run`` calls."""
