"""Speed-ups over what reads everything and over the search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.columns.results import RESULTS
from bench.report.figures.base import NO_SECONDS, NotDrawn, ReportFigure, describe_part
from bench.report.figures.style import INK, PAPER, make_sheet, palette, plain_ticks
from bench.report.material import Material, Part


@dataclass(frozen=True)
class Speedup:
    """Speed-ups of one kind.

    Attributes:
        what: training or inference.
        over: The name of the opponent, as people read it.
        table: One row a strategy: label, strategy, value, low, high; NaN without an interval.
    """

    what: str
    over: str
    table: pd.DataFrame


class Speedups(ReportFigure[Speedup]):
    """One drawing for each kind of speed-up that the table has."""

    section = "How much faster"
    name = "speedup"
    title = "Speed-ups"

    def collect_data(self, material: Material, part: Part) -> dict[str, Speedup]:
        """See `ReportFigure`; `training-everything` and the like."""
        keys = [c.key for c in RESULTS if "speedup_vs_" in c.key and c.heading]
        found = {}
        for key in (key for key in keys if any(row[key] is not None for row in part.rows)):
            what, _, opponent = key.replace("train_", "training_").partition("_speedup_vs_")
            references = dict.fromkeys(row["speedup_reference"] for row in part.rows if row["speedup_reference"])
            over = ", ".join(references) if opponent == "everything" else opponent
            found[f"{what}-{opponent}"] = Speedup(what, over, tabulate_speedups(part, key))
        if not found:
            missing = "no opponent (exhaustive-all, exhaustive, search) was run beside the others"
            raise NotDrawn(NO_SECONDS if material.no_seconds else missing)
        return found

    def write_caption(self, part: Part, data: Speedup) -> str:
        """See `ReportFigure`."""
        return (
            f"{data.what.capitalize()}: seconds of {data.over} divided by the strategy's, geometric mean of paired "
            f"ratios with 95 % interval ({describe_part(part)}). Right of 1 is faster; no interval where there is a "
            "single pair."
        )

    def draw(self, part: Part, data: Speedup) -> Figure:
        """Bars from 1 (as fast as the opponent) on a logarithmic axis, with 95 % intervals."""
        table = data.table
        figure, axis = make_sheet(describe_part(part), 1.2 + 0.34 * len(table))
        axis.set_xscale("log")
        colours = palette(table["strategy"].tolist())
        for y, row in enumerate(table.to_dict("records")):
            axis.barh(y, row["value"] - 1, left=1, color=colours[row["strategy"]], ec=PAPER, height=0.7)
            high = row["value"]
            if not np.isnan(row["high"]):
                error = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
                axis.errorbar(row["value"], y, xerr=error, color=INK, capsize=3, lw=1.2)
                high = row["high"]
            place = (max(high, 1), y)
            axis.annotate(f" {row['value']:.3g}", place, xytext=(3, 0), textcoords="offset points", va="center")
        axis.axvline(1, color=INK, lw=1)
        axis.set_yticks(range(len(table)), table["label"].tolist())
        axis.invert_yaxis()
        axis.grid(False, axis="y")
        ends = np.concatenate([table["value"], table["low"].dropna(), table["high"].dropna(), [1.0]])
        axis.set_xlim(ends.min() * 0.85, ends.max() * 1.9)
        plain_ticks(axis, "x")
        axis.set_xlabel(f"{data.what} speed-up, times as fast as {data.over}")
        return figure


def tabulate_speedups(part: Part, key: str) -> pd.DataFrame:
    """label, strategy, value, low, high (NaN without an interval) of the rows that have the speed-up `key`."""
    return pd.DataFrame(
        [
            {
                "label": entry.shown,
                "strategy": entry.strategy,
                "value": row[key],
                "low": row[f"{key}_low"],
                "high": row[f"{key}_high"],
            }
            for entry, row in part.pairs
            if row[key] is not None
        ]
    ).astype({"low": float, "high": float})
