"""Ratios of costs and what can be bought with a budget."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

RESAMPLES = 2000


def ratio_interval(reference: pd.Series, own: pd.Series) -> tuple[float, float, float] | None:
    """Geometric mean of reference / own over the index they share, with its 95 % interval; None where none is shared.

    Bootstrap of the paired log ratios, for both were measured in turns on the same slide or the same training. With
    one pair there is no spread to see: the interval is (0, inf).
    """
    both = pd.concat([reference, own], axis=1, join="inner").dropna()
    if both.empty:
        return None
    logs = np.log(both.iloc[:, 0].to_numpy(float) / both.iloc[:, 1].to_numpy(float))
    centre = float(logs.mean())
    if len(logs) < 2:
        return math.exp(centre), 0.0, math.inf
    n = len(logs)
    means = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES) @ logs / n
    factor = math.sqrt(n / (n - 1))
    low, high = (math.exp(centre + (float(q) - centre) * factor) for q in np.percentile(means, [2.5, 97.5]))
    return math.exp(centre), low, high


def pareto(rows: list[dict[str, Any]], cost: str) -> list[str]:
    """Strategies that no other beats in accuracy at the same or a lower `cost` (a key of the rows), cheapest first."""
    known = sorted((r for r in rows if r.get(cost) is not None), key=lambda r: (r[cost], -r["accuracy"]))
    front: list[str] = []
    best = -math.inf
    for row in known:
        if row["accuracy"] > best:
            front.append(row["strategy"])
            best = row["accuracy"]
    return front


def hypervolume(rows: list[dict[str, Any]], cost: str) -> float:
    """Share in 0..1 of the box (log cost between the cheapest and the dearest, accuracy 0..1) under the front."""
    known = [r for r in rows if r.get(cost) is not None and r[cost] > 0]
    if len(known) < 2:
        return 0.0
    by = {r["strategy"]: r for r in known}
    points = [by[name] for name in pareto(known, cost)]
    low, high = (math.log(f(r[cost] for r in known)) for f in (min, max))
    if high == low:
        return max(r["accuracy"] for r in known)
    ends = [math.log(r[cost]) for r in points[1:]] + [high]
    widths = [end - math.log(r[cost]) for r, end in zip(points, ends, strict=True)]
    return sum(w * r["accuracy"] for w, r in zip(widths, points, strict=True)) / (high - low)


def best_under(rows: list[dict[str, Any]], cost: str, budget: float) -> dict[str, Any] | None:
    """The most accurate row whose `cost` is at most `budget`, the cheaper of equals; None where none fits."""
    fit = [r for r in rows if r.get(cost) is not None and r[cost] <= budget]
    return max(fit, key=lambda r: (r["accuracy"], -r[cost])) if fit else None
