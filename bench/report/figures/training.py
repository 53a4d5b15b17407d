"""Validation accuracy against the clock of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.statistics.breakdown import mean_curve
from bench.report.figures.base import NotDrawn, ReportFigure
from bench.report.figures.style import PAPER, legend_below, make_sheet, marker, palette, plain_ticks
from bench.report.material import Material, Part
from bench.runs.kept.finished import FinishedRun
from bench.runs.layout import CURVE, SECONDS, VAL_ACCURACY

MOST_CURVES = 20  # curves that are read for a strategy


@dataclass(frozen=True)
class MeanCurve:
    """One strategy.

    Attributes:
        label: Its name as people read it.
        strategy: Its name.
        table: seconds, mean, low, high of the validation accuracy over trainings.
        used: How many trainings it is over.
        there: How many trainings there are.
    """

    label: str
    strategy: str
    table: pd.DataFrame
    used: int
    there: int


class TrainingCurves(ReportFigure[list[MeanCurve]]):
    """Validation accuracy against seconds of training, mean over trainings."""

    section = "Training against the clock"
    name = "training"
    title = "Training curves"
    timed = True

    def collect_data(self, material: Material, part: Part) -> dict[str, list[MeanCurve]]:
        """See `ReportFigure`."""
        found = load_curves(part)
        if not found:
            raise NotDrawn("no run has a curve")
        return {"": found}

    def write_caption(self, part: Part, data: list[MeanCurve]) -> str:
        """See `ReportFigure`."""
        fewer = ", ".join(f"{one.label} {one.used} of {one.there}" for one in data if one.used < one.there)
        return (
            f"Validation accuracy, mean over trainings, against seconds as charged ({_describe(part, data)}; those of "
            "each in the legend)"
            + (f" (evenly chosen: {fewer})" if fewer else "")
            + ". Strategies with several candidates train them one after the other."
        )

    def draw(self, part: Part, data: list[MeanCurve]) -> Figure:
        """A line a strategy; the band is from the lowest to the highest training."""
        figure, axis = make_sheet(_describe(part, data), 4.4)
        colours = palette([one.strategy for one in data])
        for one in data:
            x: Any = one.table["seconds"]
            axis.plot(
                x,
                one.table["mean"],
                color=colours[one.strategy],
                drawstyle="steps-post",
                lw=1.6,
                label=f"{one.label} (n = {one.used})",
                marker=marker(one.strategy),
                markevery=[len(one.table) - 1],
                ms=7,
                mec=PAPER,
                mew=0.6,
            )
            if one.used > 1:
                style: dict[str, Any] = {"color": colours[one.strategy], "alpha": 0.12, "lw": 0, "step": "post"}
                axis.fill_between(x, one.table["low"], one.table["high"], **style)
        axis.set_xscale("log")
        plain_ticks(axis, "x")
        axis.set_xlabel("training, seconds of wall clock (charged in full)")
        axis.set_ylabel("validation accuracy (mean; band: range)")
        legend_below(figure, axis, 2)
        return figure


def _describe(part: Part, data: list[MeanCurve]) -> str:
    return f"{part.dataset}: n = {sum(one.used for one in data)} trainings"


def choose_runs(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """At most MOST_CURVES of them, evenly spaced: thousands of curves are neither read nor drawn."""
    if len(runs) <= MOST_CURVES:
        return list(runs)
    return [runs[k] for k in np.linspace(0, len(runs) - 1, MOST_CURVES).round().astype(int)]


def load_curves(part: Part) -> list[MeanCurve]:
    """The mean curve of each strategy that has curves."""
    found = []
    for entry in part.entries:
        paths = [run.path / CURVE for run in choose_runs(entry.runs)]
        read = [pd.read_parquet(p, columns=[SECONDS, VAL_ACCURACY]) for p in paths if p.is_file()]
        table = mean_curve(read)
        if len(table):
            found.append(MeanCurve(entry.shown, entry.strategy, table, len(read), len(entry.runs)))
    return found
