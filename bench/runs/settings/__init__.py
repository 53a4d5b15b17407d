"""Settings of runs: presets, strategies, and what a user sets."""
