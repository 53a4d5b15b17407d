"""`python -m bench.cli` is `jsma-bench`."""

from bench.cli import main

main()
