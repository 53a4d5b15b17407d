"""`jsma-bench data mosaic`: it parses and prints, nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.errors import PARTIAL, UsageError
from bench.files import writing
from bench.options import Workers, in_range
from bench.progress import Bars

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.datasets import Dataset
    from bench.datasets.generated.mosaic.make import Made
    from bench.datasets.inspect.verify.checks import Finding

GRID_SIDES, TILE_PX, TILE_STEP_PX = (2, 200), (64, 8192), 16


def mosaic(
    table: Annotated[Path, typer.Argument(help="CSV of labelled photos: path,label[,patient,split,mpp].")],
    positive: Annotated[str, typer.Option(help="Labels of needles, comma-separated; each is a class.")],
    negative: Annotated[str, typer.Option(help="Labels of all other tiles, comma-separated.")],
    to: Annotated[Path, typer.Option(help="Folder of the mosaics.")],
    grid: Annotated[str, typer.Option(help="Columns x rows of tiles.")] = "8x8",
    needles: Annotated[str, typer.Option(help="Fewest-most needles of a mosaic that has some.")] = "1-3",
    slides: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many; may grow later.")] = 100,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of parts, places and turns.")] = 0,
    tile: Annotated[int | None, typer.Option(help="Side in px; default: short side of the smallest photo.")] = None,
    mpp: Annotated[float | None, typer.Option(help="Micrometres per pixel of the photos.")] = None,
    background: Annotated[float, typer.Option(help="Share of the grid that is glass, 0 to 0.9.")] = 0.0,
    levels: Annotated[
        str | None, typer.Option(help="A negative label whose tiles crowd together or lie apart: evidence from afar.")
    ] = None,
    match_stain: Annotated[bool, typer.Option("--match-stain", help="Give all photos one stain.")] = False,
    test_stain: Annotated[float, typer.Option(help="Shift of the stain of the test part, -0.9 to 0.9.")] = 0.0,
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality.")] = 90,
    workers: Workers = 0,
) -> None:
    """Mix labelled photos into large slides whose evidence is known; may be interrupted and run again."""
    in_range("--mpp", mpp, 0.01, 1000, "micrometres per pixel")
    in_range("--background", background, 0, 0.9, "a share of the grid")
    in_range("--test-stain", test_stain, -0.9, 0.9, "a share by which stains change")
    if tile is not None and (not TILE_PX[0] <= tile <= TILE_PX[1] or tile % TILE_STEP_PX):
        raise UsageError(f"--tile {tile}; allowed: {TILE_PX[0]} to {TILE_PX[1]} px in steps of {TILE_STEP_PX}")
    columns, rows = _sides(grid)
    fewest, most = _two_numbers("--needles", needles, "1-3")
    wanted, unwanted = _labels("--positive", positive), _labels("--negative", negative)
    from bench.datasets.generated.mosaic import MosaicSettings, make_mosaics
    from bench.datasets.labelled import load

    try:
        settings = MosaicSettings(
            positive=wanted,
            negative=unwanted,
            columns=columns,
            rows=rows,
            fewest=fewest,
            most=most,
            slides=slides,
            seed=seed,
            tile_px=tile,
            mpp=mpp,
            background=background,
            crowd=levels,
            match_stain=match_stain,
            test_stain=test_stain,
            jpeg_quality=quality,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    bars = Bars()
    with bars.progress, writing({"--to": to}):
        done = make_mosaics(load(table), settings, to, workers, bars)
    _print_made(done)
    if done.failed:
        raise typer.Exit(PARTIAL)


def find_shortcuts(dataset: Dataset, report: Callable[[int, int], None]) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Probes of a set of mosaics as rows of a table, and a finding for each above chance; nothing for other slides."""
    from bench.datasets.generated.mosaic import grid_of

    if not dataset.records or (grid := grid_of(Path(dataset.records[0].path))) is None:
        return [], []
    from bench.analysis.shortcuts import rate_shortcuts
    from bench.datasets.generated.mosaic.shortcuts import probe_mosaics
    from bench.datasets.inspect.verify.checks import Finding

    rows, findings = [], []
    for found in rate_shortcuts(probe_mosaics(dataset, grid, report)):
        interval = "-" if found.low is None else f"{found.low:.3f}-{found.high:.3f}"
        if found.above_chance:
            text = f"tells the class of {found.accuracy:.3f} ({interval}) of the mosaics, chance is {found.chance:.3f}"
            findings.append(Finding("shortcuts", f"probe {found.probe}", text))
        rows.append(
            {
                "probe": found.probe,
                "mosaics": found.slides,
                "patients or photos": found.clusters,
                "accuracy": round(found.accuracy, 3),
                "95 % interval": interval,
                "chance": round(found.chance, 3),
                "above chance": "yes" if found.above_chance else "no",
            }
        )
    return rows, findings


def _print_made(done: Made) -> None:
    """The table of the mosaics, where photos went, and what the user should know."""
    megapixels = done.width0_px * done.height0_px / 1e6
    print(
        f"{done.labels}: {done.made} made, {done.kept} kept, {done.width0_px}x{done.height0_px} px "
        f"({megapixels:.3g} megapixels) each"
    )
    for label, parts in done.photos.items():
        counts = ", ".join(f"{number} of {groups} in {part}" for part, (number, groups) in parts.items())
        print(f"photos of {label}, and of how many patients (or photos): {counts}")
    for line in done.notes:
        print(f"note: {line}", file=sys.stderr)
    for name, reason in done.failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)


def _sides(text: str) -> tuple[int, int]:
    """(columns, rows) of `--grid`."""
    columns, rows = _two_numbers("--grid", text, "8x8")
    low, high = GRID_SIDES
    if not (low <= columns <= high and low <= rows <= high):
        raise UsageError(f"--grid {text}; allowed: {low}x{low} to {high}x{high}")
    return columns, rows


def _two_numbers(option: str, text: str, form: str) -> tuple[int, int]:
    """Two whole numbers from 1 as `form` shows them (8x8, 1-3), or one that stands for both."""
    found = re.fullmatch(r"([1-9]\d{0,5})(?:[x-]([1-9]\d{0,5}))?", text.strip().lower())
    if found is None:
        raise UsageError(f"{option} {text!r}; allowed: whole numbers from 1, such as {form}")
    return int(found[1]), int(found[2] or found[1])


def _labels(option: str, text: str) -> tuple[str, ...]:
    """Labels of a comma-separated list, at least one."""
    if not (found := tuple(label.strip() for label in text.split(",") if label.strip())):
        raise UsageError(f"{option} {text!r} names no label; give labels of the table, comma-separated")
    return found
