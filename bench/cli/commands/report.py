"""`jsma-bench report`: parses and prints."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.files import writing
from bench.options import in_range


def report(
    out: Annotated[list[Path] | None, typer.Argument(help="Folders of runs, or single runs; default runs.")] = None,
    to: Annotated[Path, typer.Option(help="Folder to write the page, tables and figures to.")] = Path("report"),
    reference: Annotated[
        str | None, typer.Option(help="Strategy that others are set against; default: what reads everything.")
    ] = None,
    margin: Annotated[float, typer.Option(help="Of non-inferiority, in accuracy.")] = 0.02,
    latest: Annotated[bool, typer.Option("--latest", help="Of each dataset only the newest data and split.")] = False,
    group: Annotated[str | None, typer.Option(help="Only runs on this data or split: how its hash begins.")] = None,
    produced_by: Annotated[str, typer.Option(help="The command that made the runs, for the foot.")] = "jsma-bench run",
) -> None:
    """A page, tables and figures over finished runs, in one folder."""
    from bench.cli.commands.compare import told
    from bench.runs.kept.choice import Choice

    in_range("--margin", margin, 0, 1, "a difference in accuracy")
    from bench.report.material import gather
    from bench.report.page.build import build
    from bench.report.page.page import Commands
    from bench.report.page.verdict import verdicts

    material = gather(out or [Path("runs")], reference, margin, Choice(latest, group))
    with writing({"--to": to}):
        files = build(material, to, Commands(shlex.join(["jsma-bench", *sys.argv[1:]]), produced_by))
    for line in verdicts(material):
        print(line)
    for line in [*material.notes, *(line for line in material.left_out if line not in material.damaged)]:
        print(f"note: {line}", file=sys.stderr)
    size_mb = files[0].stat().st_size / 1e6
    print(f"wrote {files[0]} ({size_mb:.1f} MB, {len(material.runs)} runs) and {len(files) - 1} files beside it")
    told(material.damaged)
