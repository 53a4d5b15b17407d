"""The comparison in lines of text under the table: fronts, budgets, time to an accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.columns.column import format_interval
from bench.analysis.columns.results import COSTS, name_of, shown_name
from bench.analysis.entries import group_runs
from bench.analysis.fronts import best_under, hypervolume, pareto, pools
from bench.runs.kept.finished import FinishedRun
from bench.runs.layout import CURVE, SECONDS, VAL_ACCURACY


def best_lines(rows: list[dict[str, Any]], cost: str, budget: float, unit: str) -> list[str]:
    """One line a dataset (and state of the page cache): the most accurate row within the budget, and how sure."""
    lines = []
    for name, own in pools(rows, cost).items():
        best = best_under(own, cost, budget)
        if best is None:
            lines.append(f"{name}: no strategy within {budget:g} {unit}")
            continue
        lines.append(
            f"{name}: best within {budget:g} {unit}: {shown_name(best)} at {best[cost]:.3g}, accuracy "
            f"{best['accuracy']:.3f} ({format_interval(best['accuracy_low'], best['accuracy_high'])})"
        )
    return lines


def front_lines(rows: list[dict[str, Any]]) -> list[str]:
    """One line a cost and dataset (and state of the page cache): the Pareto front, cheapest first; its hypervolume."""
    lines = []
    for name, column in COSTS.items():
        key = column.key
        for pool, own in pools(rows, key).items():
            front, volume = pareto(own, key), hypervolume(own, key)
            if not front:
                reason = next((r["inference_j_reason"] for r in own if r.get("inference_j_reason")), "see the notes")
                lines.append(f"{pool}: {name}: not measurable here ({reason if name == 'joules' else 'see the notes'})")
                continue
            shown = {name_of(row): shown_name(row) for row in own}
            measured = "-" if volume is None else f"{volume:.3f}"
            names = ", ".join(shown[one] for one in front)
            lines.append(f"{pool}: Pareto front of accuracy over {name}: {names}; hypervolume {measured}")
    return lines


def time_to_lines(runs: list[FinishedRun], accuracy: float) -> list[str]:
    """One line a row of the table: mean training seconds until validation reaches `accuracy`, in how many runs."""
    lines = []
    for entry in group_runs(runs):
        times = [s for run in entry.runs if (s := _time_to(run.path / CURVE, accuracy)) is not None]
        mean = f"{np.mean(times):.1f} s" if times else "never"
        lines.append(
            f"{entry.dataset} {entry.shown}: to validation accuracy {accuracy:g}: {mean} ({len(times)} of "
            f"{len(entry.runs)} runs)"
        )
    return lines


def _time_to(path: Path, accuracy: float) -> float | None:
    if not path.is_file():
        return None
    curve: Any = pd.read_parquet(path, columns=[SECONDS, VAL_ACCURACY])
    reached = curve[curve[VAL_ACCURACY] >= accuracy]
    return None if reached.empty else float(reached[SECONDS].min())
