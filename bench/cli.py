"""The command line: it parses and prints, nothing else."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from baselines import DEFAULT
from bench.bars import Bars
from bench.baseline_cli import baseline_app
from bench.check_cli import check
from bench.compare_cli import compare, print_table, told
from bench.data_cli import data_app
from bench.disk import writing
from bench.entry import ended
from bench.errors import PARTIAL, USAGE
from bench.options import names, source
from bench.presets import PRESETS
from bench.report_cli import report
from bench.sweep_cli import sweep

ORDER = ("data", "run", "compare", "report", "sweep", "check", "list", "baseline")


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
app.command()(sweep)
app.command()(compare)
app.command()(check)
app.command()(report)
app.add_typer(baseline_app, name="baseline")


def _version(asked: bool) -> None:
    if asked:
        print(f"jsma-bench {version('jsma-bench')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Which pixels of a slide are worth reading? Strategies side by side, costs metered."""


@app.command()
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
    config: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, e.g. n_patches=8; repeatable.")] = None,
    accept_findings: Annotated[
        bool, typer.Option("--accept-findings", help="Train although the data have findings; they are recorded.")
    ] = False,
    wide: Annotated[bool, typer.Option("--wide", help="Every column of the table.")] = False,
) -> None:
    """Train and evaluate strategies, then print the table."""
    asked, assignments = names("--strategies", strategies), tuple(config or ())
    name, bars = source(dataset, slides), Bars()
    bars.starting()
    from bench.session import Request, execute

    request = Request(name, slides, asked, preset, seeds, folds, device, out, data, limit, assignments, regime,
                      accept_findings, None if wait is None else 60 * wait)  # fmt: skip
    with bars.progress, writing({"--out": out, "--data": data}):
        session = execute(request, bars)
    from bench.code import of_other_code
    from bench.compare import compare as rows_of
    from bench.finished import load_all
    from bench.tables import terminal

    if session.runs:
        rows = rows_of(load_all(session.runs).runs)
        print_table(terminal(rows, wide))
        print("bottleneck at inference: " + "; ".join(f"{r['strategy']} {r['bottleneck']}" for r in rows))
        print(f"results: {out} ({len(session.runs)} runs)")
    if older := of_other_code(session.runs):
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


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="strategies, datasets, readers or runs")],
    out: Annotated[Path, typer.Option(help="Folder of run directories, for `list runs`.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """What there is."""
    from bench.listing import listing

    rows, damaged = listing(what, out)
    if as_json:
        print(json.dumps(rows, indent=1))
    for row in () if as_json else rows:
        print("  ".join(str(value) for value in row.values()))
    told(damaged)


def main() -> None:
    """Entry point: one line and an exit code for every mistake of the user."""
    raise SystemExit(ended(app))


if __name__ == "__main__":
    main()
