"""`jsma-bench compare`: parses and prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.errors import PARTIAL
from bench.files import writing
from bench.options import AsJson, Group, Latest, Margin, Reference, Wide, at_most_one, in_range


def print_table(table: Table) -> None:
    """As wide as what it holds, so that no name or number is cut; headings are folded."""
    Console(width=100_000, highlight=False).print(table)


def compare(
    out: Annotated[list[Path] | None, typer.Argument(help="Folders of runs, or single runs; default runs.")] = None,
    reference: Reference = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Each with each, in place of --reference.")] = False,
    margin: Margin = 0.02,
    budget_seconds: Annotated[float | None, typer.Option(help="Best within so many seconds a slide.")] = None,
    budget_patches: Annotated[float | None, typer.Option(help="Best within so many patches a slide.")] = None,
    to_accuracy: Annotated[float | None, typer.Option(help="Training time to this validation accuracy.")] = None,
    latest: Latest = False,
    group: Group = None,
    wide: Wide = False,
    as_json: AsJson = False,
    csv: Annotated[bool, typer.Option("--csv")] = False,
    md: Annotated[bool, typer.Option("--md")] = False,
    tex: Annotated[bool, typer.Option("--tex")] = False,
    save: Annotated[Path | None, typer.Option(help="Also write SAVE.md, .csv, .json (provenance) and .png.")] = None,
    produced_by: Annotated[str, typer.Option(help="With --save: the command that made the runs.")] = "jsma-bench run",
) -> None:
    """One table over finished runs, and each strategy against a reference."""
    at_most_one({"--json": as_json, "--csv": csv, "--md": md, "--tex": tex})
    in_range("--margin", margin, 0, 1, "a difference in accuracy")
    in_range("--budget-seconds", budget_seconds, 0, 1e6, "seconds a slide")
    in_range("--budget-patches", budget_patches, 0, 1e6, "patches a slide")
    in_range("--to-accuracy", to_accuracy, 0, 1, "an accuracy")
    from bench.analysis.columns.pairs import PAIRS
    from bench.analysis.comparison import compare_folders
    from bench.report.tables import tables
    from bench.runs.kept.choice import Choice

    found = compare_folders(out or [Path("runs")], reference, margin, all_pairs, Choice(latest, group))
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    if save is not None:
        from bench.report.comparison import publish

        with writing({"--save": save}):
            files = publish(found, save, produced_by)
        for path in files:
            print(f"wrote {path}", file=sys.stderr)
    if as_json:
        print(tables.as_json(found.rows, found.against))
    elif csv:
        print(tables.as_csv(found.rows), end="")
    elif tex:
        print(tables.latex(found.rows))
    elif md:
        print(tables.markdown(found.rows))
        if found.against:
            print("\n" + tables.markdown(found.against, PAIRS))
        if looked := tables.markdown_where(found.rows):
            print("\n" + looked)
        if found.notes:
            print("\n" + tables.markdown_notes(found.notes))
    else:
        print_table(tables.terminal(found.rows, wide))
        if found.against:
            print_table(tables.terminal(found.against, wide, PAIRS, "accuracy minus that of the reference"))
    _answers(found, budget_seconds, budget_patches, to_accuracy)
    told(found.damaged)


def told(damaged: list[str]) -> None:
    """Name the damaged runs, and end with code 3 where there are any: the rest is complete."""
    for line in damaged:
        print(line, file=sys.stderr)
    if damaged:
        raise typer.Exit(PARTIAL)


def _answers(found: Any, seconds: float | None, patches: float | None, accuracy: float | None) -> None:
    """Lines on standard error, so that --json and --csv stay clean."""
    from bench.report.sentences import best_lines, front_lines, time_to_lines
    from bench.report.tables.tables import REFERENCE_POINT

    lines = [*found.said, *front_lines(found.rows), REFERENCE_POINT]
    lines += best_lines(found.rows, "inference_s_per_slide", seconds, "s a slide") if seconds is not None else []
    if patches is not None:
        lines += best_lines(found.rows, "patches_per_slide", patches, "patches a slide")
    if accuracy is not None:
        lines += time_to_lines(found.runs, accuracy)
    for line in lines:
        print(line, file=sys.stderr)
