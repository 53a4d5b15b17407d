"""`jsma-bench sweep`: it parses and prints."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from baselines import STRATEGIES
from bench.errors import PARTIAL, UsageError
from bench.files import writing
from bench.options import AsJson, named_folder, names
from bench.progress import Bars
from bench.runs.settings.request import ALL, Request


def sweep(
    request: Request,
    budgets: Annotated[str, typer.Option(help="N, patches a slide, comma-separated.")] = "2,4,8,16,32",
    draws: Annotated[int, typer.Option(min=1, help="Sampling seeds.")] = 10,
    top: Annotated[str, typer.Option(help="Of these strategies also deterministic top-N; empty for none.")] = "",
    confidences: Annotated[
        str, typer.Option(help="Thresholds for strategies that stop when certain, at the largest N; empty: all N.")
    ] = "",
    save: Annotated[Path | None, typer.Option(help="Also write SAVE.md, .csv, .json and .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train once, evaluate at every budget N with many sampling seeds: accuracy, spread, flips, cost."""
    tops = names("--top", top) if top.strip() else ()
    if unknown := set(tops) - set(request.strategies) - (set(STRATEGIES) if ALL in request.strategies else set()):
        asked = ",".join(request.strategies)
        raise UsageError(f"--top {','.join(sorted(unknown))}: not among --strategies {asked}; name it there too")
    numbers, thresholds = _budgets(budgets), _confidences(confidences)
    bars = Bars()
    bars.starting()
    from bench.analysis.sweep_rows import compute_sweep_rows
    from bench.report.sweep import publish
    from bench.report.tables.sweep_tables import EQUAL, equal_markdown, markdown
    from bench.runs.layout import Provenance
    from bench.runs.plan import planned
    from bench.runs.sweep import Sweep, SweepSettings

    settings = SweepSettings(numbers, draws, tops, thresholds)
    with (
        bars.progress,
        writing({"--out": request.out, "--data": request.data, "--features": named_folder(request.features)}),
    ):
        runner, plan = planned(request, bars)
        job = Sweep(runner, plan, settings)
        table = compute_sweep_rows(job.rows())
    print(json.dumps(table, indent=1, allow_nan=False) if as_json else markdown(table))
    if not as_json and (equal := equal_markdown(table)):
        print(f"\n{EQUAL}\n\n{equal}")
    if save is not None:
        record = Provenance(
            kind="sweep",
            command=shlex.join(["jsma-bench", *sys.argv[1:]]),
            data_hashes=[runner.context.dataset.fingerprint],
            settings=[asdict(runner.context.settings)],
            details={"sweep": asdict(settings)},
        )
        with writing({"--save": save}):
            files = publish(table, record, save)
        for path in files:
            print(f"wrote {path}", file=sys.stderr)
    for finding in job.findings:
        print(f"found: {finding}", file=sys.stderr)
    for slide, reason in job.failed.items():
        print(f"failed: {slide}: {reason}", file=sys.stderr)
    if job.failed:
        raise typer.Exit(PARTIAL)


def _budgets(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise UsageError(f"--budgets {text}: {error}; give whole numbers, such as 2,4,8,16") from error
    if found[0] < 1:
        raise UsageError(f"--budgets {text}: got {found[0]}; allowed: 1 or more patches")
    return found


def _confidences(text: str) -> tuple[float, ...]:
    try:
        found = tuple(sorted({float(part) for part in text.split(",") if part.strip()}))
    except ValueError as error:
        raise UsageError(f"--confidences {text}: {error}; give numbers in 0..1, such as 0.6,0.8,0.95") from error
    if found and not 0 <= found[0] <= found[-1] <= 1:
        raise UsageError(f"--confidences {text}: got {found[0]:g}..{found[-1]:g}; allowed: 0 to 1")
    return found
