"""The command line: it parses and prints, nothing else."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
import typer.core

from bench.cli.commands.check import check
from bench.cli.commands.compare import compare
from bench.cli.commands.config import config
from bench.cli.commands.data import data_app
from bench.cli.commands.docs import docs
from bench.cli.commands.features import features_app
from bench.cli.commands.lists import list_
from bench.cli.commands.options import with_request
from bench.cli.commands.report import report
from bench.cli.commands.run import run
from bench.cli.commands.speed import speed_app
from bench.cli.commands.study import SETTINGS, study
from bench.cli.commands.sweep import sweep

ORDER = ("data", "run", "config", "compare", "report", "sweep", "check", "list", "study", "features", "speed", "docs")


class InOrder(typer.core.TyperGroup):
    """The commands in the order in which they are used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """See click."""
        return [name for name in ORDER if name in self.commands]


app = typer.Typer(
    cls=InOrder,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.command()(with_request(run))
app.command()(with_request(config))
app.command()(with_request(sweep, "jsma,random"))
app.command("list")(list_)
app.command(context_settings=SETTINGS)(study)
app.command()(compare)
app.command()(check)
app.command()(report)
app.add_typer(features_app, name="features")
app.command()(docs)
app.add_typer(speed_app, name="speed")
app.add_typer(speed_app, name="baseline", hidden=True)  # its name until 0.1.0


def _version(asked: bool) -> None:
    if asked:
        print(f"jsma-bench {version('jsma-bench')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Which pixels of a slide are worth reading? Strategies side by side, costs metered."""
