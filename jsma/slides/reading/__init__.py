"""Reading regions: which stored tiles are needed, and each of them decoded once."""
