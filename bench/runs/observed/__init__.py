"""What is observed while a run is made, beside its costs: energy, page cache, where it looked."""
