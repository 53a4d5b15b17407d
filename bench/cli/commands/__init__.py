"""One file a command. Each parses and prints, nothing else."""
