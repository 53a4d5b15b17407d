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
from bench.options import FEATURES, MEMORY, named_folder, names, source
from bench.progress import Bars
from bench.runs.settings.presets import PRESETS
from bench.runs.settings.request import Request


def sweep(
    strategies: Annotated[str, typer.Option(help="Comma-separated; see `list strategies`.")] = "jsma,random",
    budgets: Annotated[str, typer.Option(help="N, patches a slide, comma-separated.")] = "2,4,8,16,32",
    draws: Annotated[int, typer.Option(min=1, help="Sampling seeds.")] = 10,
    top: Annotated[str, typer.Option(help="Of these strategies also deterministic top-N; empty for none.")] = "",
    confidences: Annotated[
        str, typer.Option(help="Thresholds for strategies that stop when certain, at the largest N; empty: all N.")
    ] = "",
    dataset: Annotated[
        str | None, typer.Option(help="NAME[:TASK] of `data list`, or your own file.py:Class; default demo.")
    ] = None,
    slides: Annotated[Path | None, typer.Option(help="Your own: a CSV, as in `run`.")] = None,
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "demo",
    seeds: Annotated[int | None, typer.Option(min=1, help="Training seeds 0..n-1; default from the preset.")] = None,
    folds: Annotated[int, typer.Option(min=1, help="How many of 5 folds, where the data have no split.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Folder of the run directories; finished runs are used.")] = Path("runs"),
    data: Annotated[Path, typer.Option(help="Folder of the datasets.")] = Path("data"),
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many slides.")] = None,
    save: Annotated[Path | None, typer.Option(help="Also write SAVE.md, .csv, .json and .png.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    features: Annotated[str, typer.Option(help=FEATURES)] = MEMORY,
    config: Annotated[list[str] | None, typer.Option("--set", help="As in `run`.")] = None,
    accept_findings: Annotated[bool, typer.Option("--accept-findings", help="As in `run`.")] = False,
) -> None:
    """Train once, evaluate at every budget N with many sampling seeds: accuracy, spread, flips, cost."""
    asked, tops = names("--strategies", strategies), names("--top", top) if top.strip() else ()
    if unknown := set(tops) - set(asked) - (set(STRATEGIES) if "all" in asked else set()):
        raise UsageError(f"--top {','.join(sorted(unknown))}: not among --strategies {strategies}; name it there too")
    numbers, thresholds, name = _budgets(budgets), _confidences(confidences), source(dataset, slides)
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
        assignments=tuple(config or ()),
        accept_findings=accept_findings,
        features=features,
    )
    request.check()
    bars = Bars()
    bars.starting()
    from bench.analysis.sweep_rows import compute_sweep_rows
    from bench.report.sweep import publish
    from bench.report.tables.sweep_tables import EQUAL, equal_markdown, markdown
    from bench.runs.layout import Provenance
    from bench.runs.plan import planned
    from bench.runs.sweep import Sweep, SweepSettings

    settings = SweepSettings(numbers, draws, tops, thresholds)
    with bars.progress, writing({"--out": out, "--data": data, "--features": named_folder(features)}):
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
