"""Datasets: their spec and sampling strategies, generation, shards, reading, streams, verify and repair."""
