"""Settings of every strategy, chosen on validation slides that no published table uses.

Every strategy is given the same slides and training seeds, and a grid of as many points. No test slide is looked at.
`search` trains `fixed` at every magnification, and takes what is chosen for `fixed`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UsageError
from bench.files import named
from bench.markup import write_markdown
from bench.progress import Report
from bench.runs.kept.environment import environment
from bench.runs.layout import Provenance
from bench.runs.plan import Request, planned, preset_named
from bench.runs.settings.overrides import assign
from bench.runs.settings.presets import Preset
from bench.runs.settings.settings import RunSettings
from bench.runs.trainer import Trainer
from jsma.encoders.encoder import build_encoder

COMMAND = "jsma-bench study tuning"
RATES = "learning_rate=0.001,0.003,0.01"
SAMPLER = ("estimator=des-raj,murthy", "weight_decay=0.0001,0.001,0.01")
GRID: dict[str, tuple[str, ...]] = {
    "jsma": SAMPLER,
    "fixed": SAMPLER,
    "exhaustive": (RATES, "mpp=0.5,2"),
}
OTHERS = (RATES, "weight_decay=0.0001,0.01")
"""Strategy -> its axes, OTHERS for one that is not in GRID: as many points for each."""


def list_points(grid: Sequence[str]) -> list[dict[str, str]]:
    """Every combination of the values of KEY=V1,V2,... items, as text: `set_point` reads and checks it."""
    axes = []
    for text in grid:
        key, equals, values = text.partition("=")
        if not equals or not all(value.strip() for value in values.split(",")):
            raise UsageError(f"--grid {text}: write KEY=VALUE,VALUE,...")
        axes.append([(key.strip(), value.strip()) for value in values.split(",")])
    return [dict(point) for point in itertools.product(*axes)]


def set_point(settings: RunSettings, preset: Preset, name: str, point: dict[str, str]) -> RunSettings:
    """`settings` with the point as what is tuned for the strategy `name`, and nothing else; UsageError as --set."""
    bare = replace(settings, tuned={})
    return assign(preset, bare, tuple(f"{name}:{key}={value}" for key, value in point.items()))[1]


def best_epoch(curve: list[dict[str, Any]]) -> dict[str, Any]:
    """The row with the lowest validation loss, of all candidates: the weights that training keeps."""
    return min(curve, key=lambda row: row["val_loss"])


def train_point(trainer: Trainer, name: str, settings: RunSettings, seeds: int) -> dict[str, Any]:
    """Validation accuracy and loss of one strategy at what `settings` has tuned for it, mean over training seeds."""
    rows, mpps = [], []
    for seed in range(seeds):
        parts, encoder = trainer.context.dataset.split(0, 5), build_encoder(settings.encoder, seed)
        trained = trainer.with_settings(settings).train(name, encoder, parts, seed).trained
        rows.append(best_epoch(trained.curve))
        mpps.append(trained.settings.mpp)
    mean = {key: float(np.mean([row[key] for row in rows])) for key in ("val_accuracy", "val_loss", "epoch")}
    return {"strategy": name, "point": settings.tuned[name], **mean, "mpps": mpps}


def choose_points(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Strategy -> the point of highest mean validation accuracy, of equals the one of lowest loss."""
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (-row["val_accuracy"], row["val_loss"])):
        best.setdefault(row["strategy"], row["point"])
    return best


def format_value(value: Any) -> str:
    """A value as --set takes it: a number without trailing zeros, text as it is, null for None."""
    return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)


def write(rows: list[dict[str, Any]], stem: Path, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """stem.md (every point tried, the chosen in bold) and stem.json (with what was asked, and the machine)."""
    best = choose_points(rows)
    headings, lines = ["strategy", "point", "um/px", "validation accuracy", "validation loss", "best epoch"], []
    for row in rows:
        bold = "**" if row["point"] == best[row["strategy"]] else ""
        point = ", ".join(f"{key} {format_value(value)}" for key, value in row["point"].items())
        mpps = ", ".join(f"{mpp:g}" for mpp in row["mpps"])
        values = [f"{row['val_accuracy']:.3f}", f"{row['val_loss']:.3f}", f"{row['epoch']:.0f}"]
        lines.append([f"{bold}{row['strategy']}{bold}", point, mpps, *values])
    named(stem, ".md").write_text(write_markdown(headings, lines, (3, 4, 5)) + "\n")
    details = {"asked": asked, "chosen": best, "tried": rows}
    about = Provenance(kind="study", command=COMMAND, environments=[environment()], details=details)
    named(stem, ".json").write_text(about.as_json())
    return best


def tune(
    request: Request, grid: Sequence[str] | None, asked: dict[str, Any], stem: Path, report: Report
) -> Iterator[str]:
    """Train every point of every strategy; the table is written after each.

    Args:
        request: strategies, preset, seeds, data and settings of all points.
        grid: KEY=VALUE,VALUE,... in place of GRID, for every strategy.
        asked: what the record says beside that.
        stem: of the table and the record.
        report: is told the progress.

    Returns:
        Lines: a line a point, then the options that choose the best point of each strategy.

    Raises:
        UsageError: a point names no setting, or a value that is not allowed. Nothing was trained then.
    """
    trainer, seeds = planned(request, report)[0].trainer, request.seeds or 1
    context = trainer.context
    todo = [
        (name, set_point(context.settings, preset_named(request.preset), name, point))
        for name in request.strategies
        for point in list_points(grid or GRID.get(name, OTHERS))
    ]
    kept = {"strategies": request.strategies, "seeds": seeds, "preset": request.preset}
    record = {**kept, **asked, "data_hash": context.dataset.fingerprint}
    rows: list[dict[str, Any]] = []
    best: dict[str, dict[str, Any]] = {}
    for name, settings in todo:
        rows.append(train_point(trainer, name, settings, seeds))
        yield "  ".join(f"{key} {value}" for key, value in rows[-1].items())
        best = write(rows, stem, record)
    for name, point in best.items():
        yield " ".join(f"--set {name}:{key}={format_value(value)}" for key, value in point.items())
