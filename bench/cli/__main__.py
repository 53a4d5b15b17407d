"""`python -m bench.cli` is `jsma-bench`."""

from bench.cli import main

if __name__ == "__main__":  # processes that it spawns import this file under another name
    main()
