"""The command line: it parses and prints, nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import click
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from baselines import STRATEGIES
from bench.errors import INTERRUPTED, PARTIAL, USAGE, UsageError
from bench.settings import PRESETS

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which pixels of a slide are worth reading? Strategies side by side, costs metered.",
)
data_app = typer.Typer(no_args_is_help=True, help="Prepare and look at data.")
app.add_typer(data_app, name="data")
stderr = Console(stderr=True)


class Bars:
    """Progress on stderr with time left; silent when stderr is not a terminal."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), console=stderr, disable=not stderr.is_terminal)  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self.progress.add_task(what, total=total)
        self.progress.update(self._tasks[what], completed=done, total=total)

    def named(self, what: str) -> Callable[[int, int], None]:
        """A reporter for one bar."""
        return lambda done, total: self(what, done, total)


@app.command()
def run(
    dataset: Annotated[str, typer.Option(help="A dataset by name; see `list datasets`.")] = "demo",
    slides: Annotated[Path | None, typer.Option(help="Your own: CSV with path,label[,patient,split,fold,mpp].")] = None,
    strategies: Annotated[str, typer.Option(help="Comma-separated; see `list strategies`.")] = ",".join(STRATEGIES),
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "demo",
    seeds: Annotated[int | None, typer.Option(min=1, help="Training seeds 0..n-1; default from the preset.")] = None,
    folds: Annotated[int, typer.Option(min=1, help="How many of 5 folds to run, where the data have no split.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Folder of the run directories.")] = Path("runs"),
    data: Annotated[Path, typer.Option(help="Folder of generated and prepared data.")] = Path("data"),
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many slides (to try things out).")] = None,
    config: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, e.g. n_patches=8; repeatable.")] = None,
) -> None:
    """Train and evaluate strategies, then print the table."""
    from bench.session import Request, execute

    names = tuple(name.strip() for name in strategies.split(",") if name.strip())
    request = Request(dataset, slides, names, preset, seeds, folds, device, out, data, limit, tuple(config or ()))
    bars = Bars()
    with bars.progress:
        session = execute(request, bars)
    from bench.compare import compare as rows_of
    from bench.compare import load_runs
    from bench.tables import terminal

    wanted = {path.name for path in session.runs}
    rows = rows_of([r for r in load_runs(out) if r.path.name in wanted])
    _print(terminal(rows))
    print("bottleneck at inference: " + "; ".join(f"{r['strategy']} {r['bottleneck']}" for r in rows))
    print(f"results: {out} ({len(session.runs)} runs)")
    for slide, reason in session.failed.items():
        print(f"failed: {slide}: {reason}", file=sys.stderr)
    if session.failed:
        raise typer.Exit(PARTIAL)


def _print(table: Table) -> None:
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def compare(
    out: Annotated[Path, typer.Argument(help="Folder of run directories.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json")] = False,
    csv: Annotated[bool, typer.Option("--csv")] = False,
    md: Annotated[bool, typer.Option("--md")] = False,
) -> None:
    """One table over finished runs."""
    from bench import compare as comparing
    from bench import tables

    rows = comparing.compare(comparing.load_runs(out))
    if as_json:
        print(tables.as_json(rows))
    elif csv:
        print(tables.as_csv(rows), end="")
    elif md:
        print(tables.markdown(rows))
    else:
        _print(tables.terminal(rows))


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="strategies, datasets, readers or runs")],
    out: Annotated[Path, typer.Option(help="Folder of run directories, for `list runs`.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """What there is."""
    from bench.session import listing

    rows = listing(what, out)
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print("  ".join(str(value) for value in row.values()))


@data_app.command("show")
def data_show(
    dataset: Annotated[str, typer.Argument()] = "demo",
    preset: Annotated[str, typer.Option()] = "demo",
    data: Annotated[Path, typer.Option()] = Path("data"),
    png: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("demo.png"),
) -> None:
    """Contact sheet of a dataset."""
    from bench.session import show

    bars = Bars()
    with bars.progress:
        show(dataset, preset, data, png, bars.named("generating"))
    print(png)


@data_app.command("prepare")
def data_prepare(
    csv: Annotated[Path, typer.Argument(help="CSV with path,label of photos.")],
    to: Annotated[Path, typer.Argument(help="New folder for tiled pyramids and labels.csv.")],
    mpp: Annotated[float, typer.Option(help="Micrometres per pixel of the photos.")],
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality.")] = 90,
) -> None:
    """Convert photos once into tiled pyramidal TIFF; writes a labels.csv for `run --slides`."""
    from bench.prepare import prepare

    bars = Bars()
    with bars.progress:
        print(prepare(csv, to, mpp, quality, bars.named("preparing")))


def main() -> None:
    """Entry point: one line and an exit code for every mistake of the user."""
    from jsma.encoder import EncoderError
    from jsma.slides import SlideError

    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(USAGE) from None
    except (KeyboardInterrupt, click.Abort):
        print("interrupted; what is complete is kept: run the same command again to go on", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except (UsageError, SlideError, EncoderError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(USAGE) from None
    raise SystemExit(code or 0)


if __name__ == "__main__":
    main()
