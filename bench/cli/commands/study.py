"""`jsma-bench study NAME`: one research question."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.errors import UsageError
from bench.studies import STUDIES, commands

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
HELP = ("--help", "-h")


def study(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One of the studies; --help after it lists its options.")] = None,
) -> None:
    """One research question, answered by many runs or simulations."""
    if name is None or name in HELP:
        print("usage: jsma-bench study NAME [OPTIONS]; NAME --help lists the options of one\n")
        for known, question in STUDIES.items():
            print(f"{known:18} {question}")
        return
    if name not in STUDIES:
        raise UsageError(f"unknown study {name!r}; there are: {', '.join(STUDIES)}")
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    one.command()(getattr(commands, name.replace("-", "_")))
    code = one(args=context.args, prog_name=f"jsma-bench study {name}", standalone_mode=False)
    if code:
        raise typer.Exit(code)
