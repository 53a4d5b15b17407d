"""The throughput gate: exact counters, ratios within one run, and absolute times on one machine."""
