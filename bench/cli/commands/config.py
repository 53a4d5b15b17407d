"""`jsma-bench config`: parses and prints."""

from __future__ import annotations

from bench.runs.settings.config_file import write_yaml
from bench.runs.settings.request import Request


def config(request: Request) -> None:
    """Print what `run` with the same options would do, every setting included, as YAML for `run --config`."""
    from bench.runs.plan import settle
    from bench.runs.settings.effective import describe

    print(write_yaml(describe(request, *settle(request))), end="")
