"""The whole chain as one resumable job: data, a sweep a family, winners, PPO, report. It is ``heist-encoders run``."""
