"""Run directories: written and read back, named by what decides the run."""
