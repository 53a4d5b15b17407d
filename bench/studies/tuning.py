"""Settings of every strategy, chosen on validation slides that no published table uses: `python -m
bench.studies.tuning`.

Every strategy is given the same slides and training seeds, and a grid of as many points.
No test slide is looked at. `search` trains `fixed` at every magnification, and takes what is chosen for `fixed`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bench.errors import UsageError
from bench.files import named
from bench.markup import write_markdown
from bench.progress import Quiet
from bench.runs.kept.environment import environment
from bench.runs.plan import Request, planned, preset_named
from bench.runs.runner import Runner
from bench.runs.settings.overrides import assign
from bench.runs.settings.presets import Preset
from bench.runs.settings.settings import RunSettings
from jsma.encoders.encoder import build_encoder

RATES = "learning_rate=0.001,0.003,0.01"
SAMPLER = ("estimator=des-raj,murthy", "weight_decay=0.0001,0.001,0.01")
GRID: dict[str, tuple[str, ...]] = {
    "jsma": SAMPLER,
    "fixed": SAMPLER,
    "exhaustive": (RATES, "mpp=0.5,2"),
}
OTHERS = (RATES, "weight_decay=0.0001,0.01")
"""Strategy -> its axes, OTHERS for one that is not in GRID: as many points for each."""


def points(grid: Sequence[str]) -> list[dict[str, str]]:
    """Every combination of the values of KEY=V1,V2,... items, as text: `tuned` reads and checks it."""
    axes = []
    for text in grid:
        key, equals, values = text.partition("=")
        if not equals or not all(value.strip() for value in values.split(",")):
            raise UsageError(f"--grid {text}: write KEY=VALUE,VALUE,...")
        axes.append([(key.strip(), value.strip()) for value in values.split(",")])
    return [dict(point) for point in itertools.product(*axes)]


def tuned(settings: RunSettings, preset: Preset, name: str, point: dict[str, str]) -> RunSettings:
    """`settings` with the point as what is tuned for the strategy `name`, and nothing else; UsageError as --set."""
    bare = replace(settings, tuned={})
    return assign(preset, bare, tuple(f"{name}:{key}={value}" for key, value in point.items()))[1]


def best_epoch(curve: list[dict[str, Any]]) -> dict[str, Any]:
    """The row with the lowest validation loss, of all candidates: the weights that training keeps."""
    return min(curve, key=lambda row: row["val_loss"])


def tried(runner: Runner, name: str, settings: RunSettings, seeds: int) -> dict[str, Any]:
    """Validation accuracy and loss of one strategy at what `settings` has tuned for it, mean over training seeds."""
    base, runner.settings = runner.settings, settings
    rows, mpps = [], []
    try:
        for seed in range(seeds):
            parts = runner.dataset.split(0, 5)
            trained = runner.train(name, build_encoder(base.encoder, seed), parts, seed)[0]
            rows.append(best_epoch(trained.curve))
            mpps.append(trained.settings.mpp)
    finally:
        runner.settings = base
    mean = {key: float(np.mean([row[key] for row in rows])) for key in ("val_accuracy", "val_loss", "epoch")}
    return {"strategy": name, "point": settings.tuned[name], **mean, "mpps": mpps}


def chosen(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Strategy -> the point of highest mean validation accuracy, of equals the one of lowest loss."""
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (-row["val_accuracy"], row["val_loss"])):
        best.setdefault(row["strategy"], row["point"])
    return best


def plain(value: Any) -> str:
    """A value as --set takes it: a number without trailing zeros, text as it is, null for None."""
    return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)


def write(rows: list[dict[str, Any]], stem: Path, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """stem.md (every point tried, the chosen in bold) and stem.json (with what was asked, and the machine)."""
    best = chosen(rows)
    headings, lines = ["strategy", "point", "um/px", "validation accuracy", "validation loss", "best epoch"], []
    for row in rows:
        bold = "**" if row["point"] == best[row["strategy"]] else ""
        point = ", ".join(f"{key} {plain(value)}" for key, value in row["point"].items())
        mpps = ", ".join(f"{mpp:g}" for mpp in row["mpps"])
        values = [f"{row['val_accuracy']:.3f}", f"{row['val_loss']:.3f}", f"{row['epoch']:.0f}"]
        lines.append([f"{bold}{row['strategy']}{bold}", point, mpps, *values])
    named(stem, ".md").write_text(write_markdown(headings, lines, (3, 4, 5)) + "\n")
    record = {"asked": asked, "chosen": best, "tried": rows, **environment()}
    named(stem, ".json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return best


def main(
    strategies: Annotated[str, typer.Option(help="Comma-separated.")] = "jsma,exhaustive-all,random,exhaustive,fixed",
    grid: Annotated[list[str] | None, typer.Option(help="KEY=V1,V2,... in place of GRID; repeatable.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds a point.")] = 2,
    preset: Annotated[str, typer.Option()] = "full",
    data_seed: Annotated[int, typer.Option(help="Seed of the slides; not that of a published table.")] = 101,
    config: Annotated[list[str] | None, typer.Option("--set", help="As in `jsma-bench run`.")] = None,
    data: Annotated[Path, typer.Option()] = Path("data"),
    save: Annotated[Path, typer.Option(help="Stem of the table and the record.")] = Path("tuning"),
) -> None:
    """Try every strategy on its grid, on training and validation slides of another seed; written after each point."""
    names = tuple(name.strip() for name in strategies.split(","))
    assignments = (f"seed={data_seed}", *(config or ()))
    request = Request(strategies=names, preset=preset, seeds=seeds, out=save.parent, data=data, assignments=assignments)
    runner = planned(request, Quiet())[0]
    asked = {
        "strategies": names,
        "grid": grid,
        "seeds": seeds,
        "preset": preset,
        "data_seed": data_seed,
        "set": config or [],
        "data_hash": runner.dataset.fingerprint,
    }
    todo = [
        (name, tuned(runner.settings, preset_named(preset), name, point))
        for name in names
        for point in points(grid or GRID.get(name, OTHERS))
    ]  # all are checked before the first is trained
    rows: list[dict[str, Any]] = []
    best: dict[str, dict[str, Any]] = {}
    for name, settings in todo:
        rows.append(tried(runner, name, settings, seeds))
        typer.echo("  ".join(f"{key} {value}" for key, value in rows[-1].items()))
        best = write(rows, save, asked)
    for name, point in best.items():
        typer.echo(" ".join(f"--set {name}:{key}={plain(value)}" for key, value in point.items()))
