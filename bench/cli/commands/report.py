"""`jsma-bench report`: parses and prints."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.files import writing
from bench.options import Group, Latest, Margin, Reference, in_range


def report(
    out: Annotated[list[Path] | None, typer.Argument(help="Folders of runs, or single runs; default runs.")] = None,
    to: Annotated[Path, typer.Option(help="Folder to write the page, tables and figures to.")] = Path("report"),
    reference: Reference = None,
    margin: Margin = 0.02,
    latest: Latest = False,
    group: Group = None,
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
