"""The numbers behind every figure, one table a figure. Pure: from rows and statistics, nothing is drawn here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.entries import Entry
from bench.analysis.rows import magnification_by_class
from bench.analysis.statistics.breakdown import Slope, area_slope, by_slide, mean_curve, stage_seconds
from bench.analysis.statistics.costs import pareto, pools
from bench.report.material import Part
from bench.report.tables.sweep_tables import name_of
from bench.report.tables.tables import COLUMNS
from bench.runs.kept.finished import FinishedRun
from bench.runs.layout import CURVE

COSTS: dict[str, tuple[str, str]] = {
    "patches_per_slide": ("patches", "patches read, a slide"),
    "megapixels_decoded_per_slide": ("megapixels", "decoded, megapixels a slide"),
    "megabytes_read_per_slide": ("megabytes", "read, compressed megabytes a slide"),
    "inference_s_per_slide": ("seconds", "inference, seconds a slide"),
    "inference_j_per_slide": ("joules", "inference, joules a slide"),
}
"""Key of a row -> (name of the figure, label of its axis)."""
MOST_CURVES = 20  # curves that are read for a strategy


def speedup_keys(part: Part) -> list[str]:
    """Keys of the columns that are speed-ups and known for some row."""
    keys = [key for key in COLUMNS if "speedup_vs_" in key]
    return [key for key in keys if any(row[key] is not None for row in part.rows)]


def speedups(part: Part, key: str) -> pd.DataFrame:
    """label, strategy, value, low, high (NaN without an interval) of the rows that have the speed-up `key`."""
    return pd.DataFrame(
        [
            {
                "label": entry.shown,
                "strategy": entry.strategy,
                "value": row[key],
                "low": row.get(f"{key}_low"),
                "high": row.get(f"{key}_high"),
            }
            for entry, row in part.pairs
            if row[key] is not None
        ]
    ).astype({"low": float, "high": float})


def fronts(part: Part, cost: str) -> dict[str, pd.DataFrame]:
    """`front` of the rows that may be set against each other: with seconds, one a state of the page cache."""
    tables = {name: front(part, cost, rows) for name, rows in pools(part.rows, cost).items()}
    return {name: table for name, table in tables.items() if len(table)}


def front(part: Part, cost: str, among: Sequence[dict[str, Any]] | None = None) -> pd.DataFrame:
    """label, strategy, cost, accuracy, low, high, on_front of the rows that have the `cost`, cheapest first; among: of
    these rows only.
    """
    among = part.rows if among is None else among
    best = set(pareto(list(among), cost))
    found = [
        {
            "label": entry.shown,
            "strategy": entry.strategy,
            "cost": row[cost],
            "accuracy": row["accuracy"],
            "low": row["accuracy_low"],
            "high": row["accuracy_high"],
            "on_front": entry.name in best,
        }
        for entry, row in part.pairs
        if row.get(cost) is not None and any(row is one for one in among)
    ]
    columns = ["label", "strategy", "cost", "accuracy", "low", "high", "on_front"]
    table = pd.DataFrame(found, columns=columns).astype({"low": float, "high": float})  # NaN: no interval
    return table.sort_values("cost", kind="stable", ignore_index=True)


def stages(part: Part) -> pd.DataFrame:
    """label, strategy, stage, seconds (mean a slide), share (of the label's seconds)."""
    found = []
    for entry in part.entries:
        seconds = stage_seconds(entry.rows)
        total = sum(seconds.values())
        found += [
            {"label": entry.shown, "strategy": entry.strategy, "stage": stage, "seconds": s, "share": s / total}
            for stage, s in seconds.items()
        ]
    return pd.DataFrame(found)


def area(part: Part, cost: str) -> list[tuple[str, str, pd.DataFrame, Slope | None]]:
    """(label, strategy, one row a slide with area_mpx and cost, fitted slope) of each strategy; area in level-0
    megapixels. cost: seconds or decoded_px.
    """
    found = []
    for entry in part.entries:
        slides = by_slide(entry.rows)
        if not {"area0_px", cost} <= set(slides.columns):
            continue
        table = pd.DataFrame(
            {
                "area_mpx": slides["area0_px"].to_numpy(float) / 1e6,
                "cost": slides[cost].to_numpy(float) / (1e6 if cost.endswith("_px") else 1.0),
            }
        )
        slope = area_slope(table["area_mpx"].to_numpy(float), table["cost"].to_numpy(float))
        found.append((entry.shown, entry.strategy, table, slope))
    return found


def choose_runs(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """At most MOST_CURVES of them, evenly spaced: thousands of curves are neither read nor drawn."""
    if len(runs) <= MOST_CURVES:
        return list(runs)
    return [runs[k] for k in np.linspace(0, len(runs) - 1, MOST_CURVES).round().astype(int)]


def curves(part: Part) -> list[tuple[str, str, pd.DataFrame, int, int]]:
    """(label, strategy, mean curve, curves used, runs there are) of each strategy that has curves."""
    found = []
    for entry in part.entries:
        paths = [run.path / CURVE for run in choose_runs(entry.runs)]
        read = [pd.read_parquet(p, columns=["seconds", "val_accuracy"]) for p in paths if p.is_file()]
        table = mean_curve(read)
        if len(table):
            found.append((entry.shown, entry.strategy, table, len(read), len(entry.runs)))
    return found


def magnifications(entry: Entry) -> pd.DataFrame | None:
    """class, mpp, p: mean p(magnification) by class; None where nothing is drawn, or always at one magnification."""
    drawn = [c for c in entry.rows.columns if c.startswith("p_m") and c[3:].isdigit()]
    mpps = entry.runs[0].settings.get("strategy", {}).get("method", {}).get("mpps")
    if not drawn or mpps is None:
        return None
    table = magnification_by_class(list(entry.runs), entry.strategy)
    if len(drawn) < 2 or table.isna().to_numpy().any() or float(table.max().max()) > 0.999:
        return None
    return pd.DataFrame(
        [
            {"class": str(label), "mpp": float(mpps[int(str(column)[3:])]), "p": float(value)}
            for label, values in table.to_dict("index").items()
            for column, value in values.items()
        ]
    )


def anytime(sweep: pd.DataFrame) -> pd.DataFrame:
    """label, strategy, patches, accuracy, sd (over sampling seeds, NaN for one), budgeted, n (slides), from a sweep."""
    rows = [{str(k): v for k, v in row.items()} for row in sweep.to_dict("records")]
    return pd.DataFrame(
        [
            {
                "label": name_of(row),
                "strategy": row["strategy"],
                "patches": row["patches_per_slide"],
                "accuracy": row["accuracy"],
                "sd": row["sd_sampling"],
                "budgeted": not pd.isna(row["budget"]),
                "slides": row["slides"],
                "draws": row["draws"],
                "trainings": row["trainings"],
            }
            for row in rows
        ]
    ).sort_values(["label", "patches"], kind="stable", ignore_index=True)
