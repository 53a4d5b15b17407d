"""`jsma-bench run`: trains and times strategies, then prints the table."""

from __future__ import annotations

import sys

import typer

from bench.cli.commands.compare import print_table
from bench.errors import PARTIAL, USAGE
from bench.files import writing
from bench.options import Wide, named_folder
from bench.progress import Bars
from bench.runs.settings.request import Request


def run(
    request: Request,
    wide: Wide = False,
) -> None:
    """Train and evaluate strategies, then print the table."""
    bars = Bars()
    bars.starting()
    from bench.runs.plan import execute

    with (
        bars.progress,
        writing({"--out": request.out, "--data": request.data, "--features": named_folder(request.features)}),
    ):
        session = execute(request, bars)
    from bench.analysis.rows import compare as rows_of
    from bench.report.tables.tables import terminal
    from bench.runs.kept.code_digest import find_runs_of_other_code
    from bench.runs.kept.finished import load_all

    if session.runs:
        rows = rows_of(load_all(session.runs).runs)
        print_table(terminal(rows, wide))
        print("bottleneck at inference: " + "; ".join(f"{r['strategy']} {r['bottleneck']}" for r in rows))
        print(f"results: {request.out} ({len(session.runs)} runs)")
    if older := find_runs_of_other_code(session.runs):
        print(
            f"taken over: {len(older)} of {len(session.runs)} runs were made by other code than this "
            f"(the first: {older[0].name}); delete their folders to run them again",
            file=sys.stderr,
        )
    for finding in session.findings:
        print(f"found: {finding}", file=sys.stderr)
    for reason, number in session.left_out.items():
        print(f"left out: {number} x {reason}", file=sys.stderr)
    for slide, reason in session.failed.items():
        print(f"failed: {slide}: {reason}", file=sys.stderr)
    for run_name, reason in session.empty.items():
        print(f"not kept: run {run_name}: {reason}", file=sys.stderr)
    if session.elsewhere:
        print(
            f"not waited for: {len(session.elsewhere)} runs that other processes are making (the first: "
            f"{session.elsewhere[0]}); run the same command again",
            file=sys.stderr,
        )
    for name, reason in session.ended.items():
        print(f"error: strategy {name} was given up, the others went on: {reason}", file=sys.stderr)
    if session.ended:
        raise typer.Exit(USAGE)
    if session.failed or not session.whole:
        raise typer.Exit(PARTIAL)
