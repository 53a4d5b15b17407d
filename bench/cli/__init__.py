"""The command line: commands parse and print, nothing else."""


def main() -> None:
    """Run the command line. It ends in an exit code, with one line on stderr for every mistake of the user."""
    from bench.cli.app import app
    from bench.cli.exits import ended

    raise SystemExit(ended(app))
