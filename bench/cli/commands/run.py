"""`jsma-bench run`: trains and times strategies, then prints the table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from baselines import DEFAULT
from bench.cli.commands.compare import print_table
from bench.errors import PARTIAL, USAGE
from bench.files import writing
from bench.options import FEATURES, MEMORY, named_folder, names, source
from bench.progress import Bars
from bench.runs.settings.presets import PRESETS
from bench.runs.settings.request import Request


def run(
    dataset: Annotated[
        str | None, typer.Option(help="NAME[:TASK] of `data list`, or your own file.py:Class; default demo.")
    ] = None,
    slides: Annotated[
        Path | None, typer.Option(help="Your own: CSV with path,label[,patient,split,fold,mpp,annotation,site].")
    ] = None,
    strategies: Annotated[str, typer.Option(help="Comma-separated; see `list strategies`; all.")] = ",".join(DEFAULT),
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "demo",
    seeds: Annotated[int | None, typer.Option(min=1, help="Training seeds 0..n-1; default from the preset.")] = None,
    folds: Annotated[int, typer.Option(min=1, help="How many of 5 folds to run, where the data have no split.")] = 1,
    regime: Annotated[
        str | None, typer.Option(help="frozen (features kept, charged in full) or finetuned (encoder trained too).")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Folder of the run directories.")] = Path("runs"),
    data: Annotated[Path, typer.Option(help="Folder of the datasets.")] = Path("data"),
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many slides (to try things out).")] = None,
    wait: Annotated[
        float | None, typer.Option(min=0, help="Minutes to wait for runs that other processes make; default no limit.")
    ] = None,
    features: Annotated[str, typer.Option(help=FEATURES)] = MEMORY,
    config: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, e.g. n_patches=8; repeatable.")] = None,
    accept_findings: Annotated[
        bool, typer.Option("--accept-findings", help="Train although the data have findings; they are recorded.")
    ] = False,
    wide: Annotated[bool, typer.Option("--wide", help="Every column of the table.")] = False,
) -> None:
    """Train and evaluate strategies, then print the table."""
    asked, assignments = names("--strategies", strategies), tuple(config or ())
    name, bars = source(dataset, slides), Bars()
    request = Request(
        dataset=name,
        slides=slides,
        strategies=asked,
        preset=preset,
        seeds=seeds,
        folds=folds,
        device=device,
        out=out,
        data=data,
        limit=limit,
        assignments=assignments,
        regime=regime,
        accept_findings=accept_findings,
        wait_s=None if wait is None else 60 * wait,
        features=features,
    )
    request.check()
    bars.starting()
    from bench.runs.plan import execute

    with bars.progress, writing({"--out": out, "--data": data, "--features": named_folder(features)}):
        session = execute(request, bars)
    from bench.analysis.rows import compare as rows_of
    from bench.report.tables.tables import terminal
    from bench.runs.kept.code_digest import find_runs_of_other_code
    from bench.runs.kept.finished import load_all

    if session.runs:
        rows = rows_of(load_all(session.runs).runs)
        print_table(terminal(rows, wide))
        print("bottleneck at inference: " + "; ".join(f"{r['strategy']} {r['bottleneck']}" for r in rows))
        print(f"results: {out} ({len(session.runs)} runs)")
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
