"""What can be bought with a budget: fronts of accuracy over a cost, among rows that may be set against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.analysis.columns.column import Row
from bench.analysis.columns.results import COSTS, name_of


def pareto(rows: Sequence[Row], cost: str) -> list[str]:
    """Names of the rows that no other beats in accuracy at the same or a lower cost (a key), cheapest first."""
    known = sorted((r for r in rows if r.get(cost) is not None), key=lambda r: (r[cost], -r["accuracy"]))
    front: list[str] = []
    best = (math.nan, -math.inf)
    for row in known:
        if row["accuracy"] > best[1] or (row[cost], row["accuracy"]) == best:  # equals share their place
            front.append(name_of(row))
            best = (row[cost], row["accuracy"])
    return front


def hypervolume(rows: Sequence[Row], cost: str) -> float | None:
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


def pools(rows: Sequence[Row], cost: str) -> dict[str, list[Row]]:
    """Rows whose `cost` (a key) may be set against each other, by dataset.

    What is timed (seconds, joules) is also kept apart by the state of the page cache, which the name of the pool then
    says. Controls that are handed what the label was given for (`uses_evidence`) are left out where there are other
    rows.
    """
    methods = {row["dataset"] for row in rows if not row.get("uses_evidence")}
    timed = any(column.timed for column in COSTS.values() if column.key == cost)
    states = {(row["dataset"], row.get("cache")) for row in rows}
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("uses_evidence") and row["dataset"] in methods:
            continue
        several = timed and sum(dataset == row["dataset"] for dataset, _ in states) > 1
        found.setdefault(f"{row['dataset']} ({row.get('cache')})" if several else row["dataset"], []).append(row)
    return found


def mark_fronts(rows: Sequence[Row]) -> None:
    """Set `pareto` of each row: names of the costs on whose front it is, among the rows it may be set against."""
    for row in rows:
        row["pareto"] = []
    for name, column in COSTS.items():
        for own in pools(rows, column.key).values():
            front = set(pareto(own, column.key))
            for row in own:
                row["pareto"] += [name] if name_of(row) in front else []


def best_under(rows: Sequence[Row], cost: str, budget: float) -> Row | None:
    """The most accurate row whose `cost` is at most `budget`, the cheaper of equals; None where none fits."""
    fit = [r for r in rows if r.get(cost) is not None and r[cost] <= budget]
    return max(fit, key=lambda r: (r["accuracy"], -r[cost])) if fit else None
