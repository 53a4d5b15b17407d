"""`jsma-bench list`: what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.commands.compare import told
from bench.options import AsJson


def list_(
    what: Annotated[str, typer.Argument(help="strategies, datasets, readers or runs")],
    out: Annotated[Path, typer.Option(help="Folder of run directories, for `list runs`.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """What there is."""
    from bench.runs.listing import list_rows

    rows, damaged = list_rows(what, out)
    if as_json:
        print(json.dumps(rows, indent=1))
    for row in () if as_json else rows:
        print("  ".join(str(value) for value in row.values()))
    told(damaged)
