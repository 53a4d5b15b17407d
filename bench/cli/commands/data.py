"""`jsma-bench data ...`: it parses and prints, nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.cli.commands.mosaic import find_shortcuts, mosaic
from bench.errors import PARTIAL, UsageError
from bench.files import writing
from bench.options import AsJson, Workers, at_most_one, in_range, numbers
from bench.progress import Bars

if TYPE_CHECKING:
    from bench.datasets import Dataset

data_app = typer.Typer(no_args_is_help=True, help="Datasets: what there is, get, prepare, verify and look at them.")
What = Annotated[
    str, typer.Argument(help="A dataset by name (see `data list`), file.py:Class, or your own labels.csv.")
]
Data = Annotated[Path, typer.Option(help="Folder of the datasets; one is looked for in <data>/<name>, then in <data>.")]


def print_rows(rows: list[dict[str, Any]], title: str | None = None) -> None:
    """Print rows of the same keys as a table."""
    table = Table(title=title, title_justify="left")
    for column in rows[0] if rows else ():
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _dataset(what: str, data: Path, preset: str, bars: Bars) -> Dataset:
    """A dataset ready to read: by name, or a CSV."""
    from bench.datasets.labelled import is_table, load

    if is_table(what):
        return load(Path(what))
    from bench.datasets import load_dataset
    from bench.runs.settings.request import preset_named

    return load_dataset(what, preset_named(preset), data, bars.named("preparing slides"))


@data_app.command("list")
def list_(
    as_json: AsJson = False,
    md: Annotated[bool, typer.Option("--md", help="As docs/datasets.md has it.")] = False,
) -> None:
    """The datasets and their cards."""
    at_most_one({"--json": as_json, "--md": md})
    from bench.datasets.inspect.cards import card_markdown, card_rows

    if as_json:
        print(json.dumps(card_rows(), indent=1))
    elif md:
        print(card_markdown())
    else:
        print_rows([{k: r[k] for k in ("name", "title", "size", "licence", "metric")} for r in card_rows()])


@data_app.command("info")
def info(what: What, data: Data = Path("data"), as_json: AsJson = False) -> None:
    """Card of a dataset, and what is here of it: slides per class and part, what was left out and why."""
    from dataclasses import asdict

    from bench.datasets import source_named
    from bench.datasets.inspect.cards import describe, find_here
    from bench.datasets.labelled import is_table, load

    own = is_table(what)
    card = None if own else source_named(what)[0].card
    found = load(Path(what)) if own else find_here(what, data)
    about = None if isinstance(found, str) else describe(found)
    if as_json:
        print(json.dumps({"card": asdict(card) if card else None, "here": about}, indent=1))
        return
    for key, value in asdict(card).items() if card else ():
        print(f"{key}: {value}")
    for task, text in source_named(what)[0].tasks.items() if card else ():
        print(f"task {card.name if card else ''}{':' if task else ''}{task}: {text}")
    if about is None:
        print(f"here: {found}")
        return
    print(f"here: {about['slides']} slides, {about['patients']} patients known, parts: {about['parts']}")
    order = ("train", "val", "test", "all")
    print_rows([{"class": c, **{p: n.get(p, 0) for p in order}} for c, n in about["counts"].items()])
    for key in ("sites", "left_out", "problems"):
        for name, value in about[key].items():
            print(f"{key.replace('_', ' ')}: {name}: {value}")


@data_app.command("fetch")
def fetch(
    dataset: Annotated[str, typer.Argument(help="A dataset by name.")],
    data: Data = Path("data"),
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the licence without asking.")
    ] = False,
    endpoint: Annotated[str | None, typer.Option("--from", help="Another server with the same paths.")] = None,
    only: Annotated[str, typer.Option(help="Only files with this in their name.")] = "",
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep archives after unpacking.")] = False,
    attempts: Annotated[int, typer.Option(min=1, help="In a row without a new byte.")] = 5,
    wait_s: Annotated[float, typer.Option(min=0, help="Before the second attempt, doubled each time.")] = 1.0,
) -> None:
    """Download from the official source; what is there is kept, a broken download is gone on with."""
    from bench.datasets import source_named
    from bench.datasets.fetch.download import Patience
    from bench.datasets.fetch.whole_dataset import FetchSettings
    from bench.datasets.fetch.whole_dataset import fetch as fetch_all

    def ask(question: str) -> bool:
        if accept_licence:
            return True
        if not sys.stdin.isatty():
            raise UsageError(f"{question} Run it again with --accept-licence")
        return typer.confirm(question)

    source, _ = source_named(dataset)
    settings = FetchSettings(endpoint, keep_archives, only, Patience(attempts, wait_s))
    bars = Bars(sizes=True)
    with bars.progress, writing({"--data": data}):
        done = fetch_all(source, data, settings, ask, bars)
    received = sum(d.received_bytes for d in done.downloads.values())
    resumed = sum(d.resumed for d in done.downloads.values())
    print(f"{done.folder}: {len(done.downloads)} files, {received} bytes received, {resumed} resumed requests")
    for name, reason in done.failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    if done.failed:
        raise typer.Exit(PARTIAL)


@data_app.command("prepare")
def prepare(
    what: What,
    data: Data = Path("data"),
    to: Annotated[Path | None, typer.Option(help="Folder of the pyramids; default <data>/<name>-prepared.")] = None,
    mpp: Annotated[float | None, typer.Option(help="Micrometres per pixel, where the data do not say.")] = None,
    quality: Annotated[int | None, typer.Option(min=1, max=100, help="JPEG quality; 90 unless they exist.")] = None,
    workers: Workers = 0,
) -> None:
    """Convert photos once into tiled pyramidal TIFF; may be interrupted and run again."""
    from bench.datasets import source_named
    from bench.datasets.labelled import is_table, load
    from bench.datasets.labels import LABELS, check_labels, write_labels
    from bench.datasets.photos.prepare import PrepareSettings
    from bench.datasets.photos.prepare import prepare_photos as convert

    in_range("--mpp", mpp, 0.01, 1000, "micrometres per pixel")
    if is_table(what):
        dataset, folder = load(Path(what)), to or Path(what).resolve().parent / "prepared"
    else:
        source, task = source_named(what)
        if not source.photos:
            raise UsageError(f"{what} needs no preparing: its slides are tiled pyramids already")
        dataset, folder = source.read(source.find(data), task), to or source.prepared_folder(data)
    option = "--data" if to is None and not is_table(what) else "--to"
    check_labels(folder, option)
    bars = Bars()
    with bars.progress, writing({option: folder}):
        done = convert(dataset, folder, PrepareSettings(mpp, quality, workers, option), bars.named("preparing"))
    kept = write_labels(done.rows, folder)
    rate = f", {done.pixels / 1e6 / done.seconds:.1f} Mpx/s" if done.converted else ""
    left = f", {done.left} left where they are (pyramids already)" if done.left else ""
    print(f"{folder / LABELS}: {done.converted} converted, {done.kept} kept{left}{rate}")
    for line in [*done.notes, *([kept] if kept else [])]:
        print(f"note: {line}", file=sys.stderr)
    for name, reason in done.failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    if done.failed:
        raise typer.Exit(PARTIAL)


data_app.command("mosaic")(mosaic)


@data_app.command("verify")
def verify(
    what: What,
    data: Data = Path("data"),
    preset: Annotated[str, typer.Option(help="For the demo.")] = "demo",
    deep: Annotated[bool, typer.Option("--deep", help="Look at every tile, not at 256 a level.")] = False,
    mpps: Annotated[
        str | None, typer.Option(help="Magnifications that a run will ask for, um/px; as `run --set mpps=`.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, help="As `run --folds`.")] = 1,
    as_json: AsJson = False,
    most: Annotated[int, typer.Option(min=0, help="Findings printed per check.")] = 10,
) -> None:
    """Look at every slide and compare them; exit code 3 where something was found."""
    from bench.datasets.inspect.verify import VerifySettings
    from bench.datasets.inspect.verify import verify as look_at

    bars = Bars()
    with bars.progress:
        dataset = _dataset(what, data, preset, bars)
        asked = {} if mpps is None else {"mpps": numbers("--mpps", mpps)}
        try:
            settings = VerifySettings(tiles_per_level=None if deep else 256, folds=folds, **asked)
        except ValueError as error:
            raise UsageError(f"--mpps {mpps}: {error}") from error
        verdict = look_at(dataset, settings, bars.named("verifying"))
        shortcuts, findings = find_shortcuts(dataset, bars.named("looking for shortcuts"))
        verdict.add(findings)
    if as_json:
        found = {"found": verdict.found, "levels": verdict.levels, "left_out": verdict.left_out}
        print(json.dumps({**found, "shortcuts": shortcuts}, indent=1))
    else:
        for reason, number in verdict.left_out.items():
            print(f"left out by design: {number} x {reason}")
        for check, found in verdict.found.items():
            for slide, text in found[:most]:
                print(f"{check}: {slide}: {text}")
            if len(found) > most:
                print(f"{check}: {len(found) - most} more")
        print_rows(verdict.levels, "levels that will be read")
        print_rows(verdict.rows(), f"{dataset.name}: {verdict.slides} slides, {verdict.tiles} tiles looked at")
        if shortcuts:
            print_rows(shortcuts, "shortcuts: classes told without tissue, each part of the set from the other two")
    if not verdict.clean:
        raise typer.Exit(PARTIAL)


@data_app.command("show")
def show(
    what: What = "demo",
    data: Data = Path("data"),
    preset: Annotated[str, typer.Option(help="For the demo.")] = "demo",
    png: Annotated[Path | None, typer.Option(help="Where the picture goes; default <name>.png.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Slides on it.")] = 16,
) -> None:
    """Contact sheet with the evidence outlined."""
    from bench.datasets.inspect.contact_sheet import draw_contact_sheet
    from bench.datasets.inspect.picture import check_picture

    if png is not None:  # before slides are made
        check_picture(png)
    bars = Bars()
    with bars.progress:
        dataset = _dataset(what, data, preset, bars)
    target = png or Path(f"{dataset.name}.png")
    check_picture(target)
    if dataset.name == "demo":  # its sheet shows a site at every magnification, too
        from bench.datasets.generated.demo import draw_contact_sheet as draw_demo_sheet

        draw_demo_sheet(Path(dataset.records[0].path).parent, target, count)
    else:
        draw_contact_sheet(dataset, target, count)
    print(target)
