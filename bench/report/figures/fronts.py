"""Accuracy against one cost, and the front of what nothing beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.columns.column import Column, Row
from bench.analysis.fronts import pareto, pools
from bench.report.figures.base import NO_SECONDS, NotDrawn, ReportFigure, describe_part, make_file_name
from bench.report.figures.style import INK, PAPER, legend_below, make_sheet, marker, palette, plain_ticks
from bench.report.material import Material, Part


@dataclass(frozen=True)
class FrontData:
    """Rows that may be set against each other.

    Attributes:
        pool: Which of several pools it is, such as the state of the page cache; "" for the only one.
        table: One row a strategy: label, strategy, cost, accuracy, low, high, on_front; cheapest first.
    """

    pool: str
    table: pd.DataFrame


class Front(ReportFigure[FrontData]):
    """Accuracy against a cost; one drawing for each pool of rows whose cost may be compared."""

    section = "Accuracy for its cost"

    def __init__(self, cost: Column):
        self.cost = cost
        self.name = f"front-{cost.cost}"
        self.title = f"Accuracy against {cost.cost}"

    def collect_data(self, material: Material, part: Part) -> dict[str, FrontData]:
        """See `ReportFigure`."""
        tables = tabulate_fronts(part, self.cost.key)
        if not tables:
            raise NotDrawn(self._find_reason(material, part))
        if len(tables) == 1:
            return {"": FrontData("", next(iter(tables.values())))}
        return {make_file_name(pool): FrontData(pool, table) for pool, table in tables.items()}

    def _find_reason(self, material: Material, part: Part) -> str:
        """Why no row has this cost."""
        reasons = [reason for row in part.rows if (reason := row.get(self.cost.key.split("_per_")[0] + "_reason"))]
        if reasons:
            return reasons[0]
        return NO_SECONDS if material.no_seconds and self.cost.timed else f"no run has {self.cost.key}"

    def write_caption(self, part: Part, data: FrontData) -> str:
        """See `ReportFigure`."""
        best = ", ".join(data.table.loc[data.table["on_front"], "label"].tolist())
        return (
            f"Accuracy with its 95 % interval against {self.cost.axis} ({_describe(part, data)}). No other is more "
            f"accurate at the same cost or less: {best}."
        )

    def draw(self, part: Part, data: FrontData) -> Figure:
        """Accuracy with its interval against a cost; the line joins what nothing beats at its cost or below."""
        table = data.table
        figure, axis = make_sheet(_describe(part, data), 4.2)
        colours = palette(table["strategy"].tolist())
        positive = [v for v in table["cost"] if v > 0]
        if len(positive) < len(table) and positive:
            axis.set_xscale("symlog", linthresh=min(positive), linscale=0.4)
        else:
            axis.set_xscale("log")
        best: Any = table[table["on_front"]]
        style: dict[str, Any] = {"lw": 1, "ls": "--", "zorder": 1, "drawstyle": "steps-post", "label": "front"}
        axis.plot(best["cost"], best["accuracy"], color=INK, **style)
        for row in table.to_dict("records"):
            axis.errorbar(
                row["cost"],
                row["accuracy"],
                yerr=[[row["accuracy"] - row["low"]], [row["high"] - row["accuracy"]]],
                fmt=marker(row["strategy"]),
                ms=8,
                capsize=3,
                color=colours[row["strategy"]],
                mec=PAPER,
                mew=0.6,
                label=row["label"],
            )
        plain_ticks(axis, "x")
        axis.margins(x=0.08)
        axis.set_xlabel(self.cost.axis)
        axis.set_ylabel("accuracy (95 % interval)")
        legend_below(figure, axis)
        return figure


def _describe(part: Part, data: FrontData) -> str:
    return describe_part(part) + (f"; {data.pool}" if data.pool else "")


def tabulate_fronts(part: Part, cost: str) -> dict[str, pd.DataFrame]:
    """`tabulate_front` of the rows that may be set against each other: with seconds, one a state of the page cache."""
    tables = {name: tabulate_front(part, cost, rows) for name, rows in pools(part.rows, cost).items()}
    return {name: table for name, table in tables.items() if len(table)}


def tabulate_front(part: Part, cost: str, among: Sequence[Row] | None = None) -> pd.DataFrame:
    """What a front shows.

    Args:
        part: The runs of one dataset.
        cost: Key of the cost.
        among: Only these rows; None for all of the part.

    Returns:
        label, strategy, cost, accuracy, low, high (NaN without an interval), on_front of the rows that have the cost,
        cheapest first.
    """
    among = part.rows if among is None else among
    best = set(pareto(among, cost))
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
    table = pd.DataFrame(found, columns=columns).astype({"low": float, "high": float})
    return table.sort_values("cost", kind="stable", ignore_index=True)
