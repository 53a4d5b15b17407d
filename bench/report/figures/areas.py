"""Cost of each slide against its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.statistics.breakdown import Slope, area_slope, by_slide
from bench.report.figures.base import NotDrawn, ReportFigure, describe_part
from bench.report.figures.style import legend_below, make_sheet, marker, palette, plain_ticks
from bench.report.material import Material, Part
from bench.runs.layout import AREA0_PX

MOST_DOTS = 400  # slides of a strategy that are drawn


@dataclass(frozen=True)
class AreaLine:
    """One strategy.

    Attributes:
        label: Its name as people read it.
        strategy: Its name.
        table: One row a slide: area_mpx (level-0 megapixels), cost.
        slope: The fitted line; None where the sizes are too alike.
    """

    label: str
    strategy: str
    table: pd.DataFrame
    slope: Slope | None


class Area(ReportFigure[list[AreaLine]]):
    """Cost of each slide against its area, with a line fitted to the logarithms."""

    section = "Cost against the size of the slide"

    def __init__(self, cost: str, name: str, axis: str, timed: bool):
        self.cost, self.axis, self.timed = cost, axis, timed
        self.name = f"area-{name}"
        self.title = f"{axis} against area"

    def collect_data(self, material: Material, part: Part) -> dict[str, list[AreaLine]]:
        """See `ReportFigure`."""
        found = fit_lines(part, self.cost)
        if all(line.slope is None for line in found):
            needed = "a slope needs slides of at least 3 sizes, the largest twice the smallest"
            raise NotDrawn(f"{needed}; {_count_sizes(found)} here")
        return {"": found}

    def write_caption(self, part: Part, data: list[AreaLine]) -> str:
        """See `ReportFigure`."""
        return (
            f"One dot a slide ({describe_part(part)}, {_count_sizes(data)} sizes), lines fitted on logarithms, slope "
            "with 95 % interval: 1 grows as the slide does, 0 not at all."
        )

    def draw(self, part: Part, data: list[AreaLine]) -> Figure:
        """Dots and lines, both axes logarithmic; of many slides only every second, third ... is a dot."""
        figure, axis = make_sheet(describe_part(part), 4.4)
        colours = palette([line.strategy for line in data])
        for line in data:
            dots = line.table.iloc[:: max(1, -(-len(line.table) // MOST_DOTS))]
            style: dict[str, Any] = {"color": colours[line.strategy], "marker": marker(line.strategy)}
            label = f"{line.label}{_describe_slope(line.slope)}"
            axis.plot(dots["area_mpx"], dots["cost"], ls="", ms=4, alpha=0.6, label=label, **style)
            if line.slope is not None:
                ends = np.array([line.table["area_mpx"].min(), line.table["area_mpx"].max()])
                axis.plot(ends, line.slope.at(ends), color=colours[line.strategy], lw=1.5)
        axis.set_xscale("log")
        axis.set_yscale("log")
        plain_ticks(axis, "x")
        plain_ticks(axis, "y")
        axis.set_xlabel("slide area, level-0 megapixels")
        axis.set_ylabel(self.axis)
        legend_below(figure, axis, 1)
        return figure


def _describe_slope(slope: Slope | None) -> str:
    return "" if slope is None else f": slope {slope.exponent:.2f} ({slope.low:.2f} to {slope.high:.2f})"


def _count_sizes(lines: list[AreaLine]) -> int:
    """How many different areas there are."""
    return max((len(set(line.table["area_mpx"])) for line in lines), default=0)


def fit_lines(part: Part, cost: str) -> list[AreaLine]:
    """Slides and fitted line of each strategy. cost: seconds, or decoded_px, which is shown in megapixels."""
    found = []
    for entry in part.entries:
        slides = by_slide(entry.rows)
        if not {AREA0_PX, cost} <= set(slides.columns):
            continue
        costs = slides[cost].to_numpy(float) / (1e6 if cost.endswith("_px") else 1.0)
        areas = slides[AREA0_PX].to_numpy(float) / 1e6
        table = pd.DataFrame({"area_mpx": areas, "cost": costs})
        found.append(AreaLine(entry.shown, entry.strategy, table, area_slope(areas, costs)))
    return found
