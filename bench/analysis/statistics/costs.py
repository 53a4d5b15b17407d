"""Ratios of costs and what can be bought with a budget."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.statistics.intervals import mean_interval


def ratio_interval(
    reference: pd.Series, own: pd.Series, cluster: pd.Series | None = None
) -> tuple[float, float | None, float | None] | None:
    """Geometric mean of reference / own over the index they share, with its 95 % interval; None where none is shared.

    Student's t of the paired log ratios, for both were measured in turns on the same slide or the same training.
    cluster: with the index of `own`, what belongs together (the slide, whose seeds are no new slides); None: each
    pair alone. With one cluster there is no spread to see: no interval.
    """
    both: Any = pd.concat([reference, own], axis=1, join="inner").dropna()
    both = both[(both > 0).all(axis=1)]  # a clock that did not move gives no ratio
    if both.empty:
        return None
    logs = np.log(both.iloc[:, 0].to_numpy(float) / both.iloc[:, 1].to_numpy(float))
    found = mean_interval(
        pd.Series(logs), pd.Series(np.arange(len(logs)) if cluster is None else cluster.loc[both.index])
    )
    low, high = (None, None) if found is None else (_exp(end) for end in found)
    return math.exp(float(logs.mean())), low, high


def _exp(value: float) -> float:
    return math.exp(min(value, MOST_LOG))  # two trainings can leave a ratio open over hundreds of decades


MOST_LOG = 700.0

COSTS: dict[str, str] = {
    "patches": "patches_per_slide",
    "Mpx": "megapixels_decoded_per_slide",
    "MB": "megabytes_read_per_slide",
    "seconds": "inference_s_per_slide",
    "joules": "inference_j_per_slide",
}
"""Name of a cost -> key of the rows of `compare`."""


def name_of(row: dict[str, Any]) -> str:
    """Strategy of a row of `compare`, with the settings that tell it from others in brackets."""
    return row["strategy"] if row.get("settings") is None else f"{row['strategy']}[{row['settings']}]"


def shown_name(row: dict[str, Any]) -> str:
    """`name_of` with the one magnification that is read, where there is one: `exhaustive@2um`."""
    reads = row.get("reads")
    return name_of(row) if reads is None else name_of(row).replace(row["strategy"], f"{row['strategy']}@{reads}", 1)


def pareto(rows: list[dict[str, Any]], cost: str) -> list[str]:
    """Names of the rows that no other beats in accuracy at the same or a lower cost (a key), cheapest first."""
    known = sorted((r for r in rows if r.get(cost) is not None), key=lambda r: (r[cost], -r["accuracy"]))
    front: list[str] = []
    best = (math.nan, -math.inf)
    for row in known:
        if row["accuracy"] > best[1] or (row[cost], row["accuracy"]) == best:  # equals share their place
            front.append(name_of(row))
            best = (row[cost], row["accuracy"])
    return front


def hypervolume(rows: list[dict[str, Any]], cost: str) -> float | None:
    """Share in 0..1 of the box (log cost between the cheapest and the dearest, accuracy 0..1) under the front.

    Reference point: the dearest cost, accuracy 0. Rows of cost 0 are left out; None with fewer than two others.
    """
    known = [r for r in rows if r.get(cost) is not None and r[cost] > 0]
    if len(known) < 2:
        return None
    by = {name_of(r): r for r in known}
    points = [by[name] for name in pareto(known, cost)]
    low, high = (math.log(f(r[cost] for r in known)) for f in (min, max))
    if high == low:
        return max(r["accuracy"] for r in known)
    ends = [math.log(r[cost]) for r in points[1:]] + [high]
    widths = [end - math.log(r[cost]) for r, end in zip(points, ends, strict=True)]
    return sum(w * r["accuracy"] for w, r in zip(widths, points, strict=True)) / (high - low)


def pools(rows: list[dict[str, Any]], cost: str) -> dict[str, list[dict[str, Any]]]:
    """Rows whose `cost` (a key) may be set against each other: of a dataset, seconds and joules also of one state of
    the page cache. Keyed by the dataset, with the state where there are several.

    Controls that are handed what the label was given for (`uses_evidence`) are left out where there are other rows.
    """
    methods = {row["dataset"] for row in rows if not row.get("uses_evidence")}
    found: dict[str, list[dict[str, Any]]] = {}
    timed = cost in (COSTS["seconds"], COSTS["joules"])
    states = {(row["dataset"], row.get("cache")) for row in rows}
    for row in rows:
        if row.get("uses_evidence") and row["dataset"] in methods:
            continue
        several = timed and sum(dataset == row["dataset"] for dataset, _ in states) > 1
        found.setdefault(f"{row['dataset']} ({row.get('cache')})" if several else row["dataset"], []).append(row)
    return found


def mark_fronts(rows: list[dict[str, Any]]) -> None:
    """Set `pareto` of each row: names of the costs on whose front it is, among the rows it may be set against."""
    for row in rows:
        row["pareto"] = []
    for name, key in COSTS.items():
        for own in pools(rows, key).values():
            front = set(pareto(own, key))
            for row in own:
                row["pareto"] += [name] if name_of(row) in front else []


def best_under(rows: list[dict[str, Any]], cost: str, budget: float) -> dict[str, Any] | None:
    """The most accurate row whose `cost` is at most `budget`, the cheaper of equals; None where none fits."""
    fit = [r for r in rows if r.get(cost) is not None and r[cost] <= budget]
    return max(fit, key=lambda r: (r["accuracy"], -r[cost])) if fit else None
