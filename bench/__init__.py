"""The harness: datasets, runs, metrics, comparisons and the command line."""
