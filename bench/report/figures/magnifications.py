"""Which magnification a strategy draws, by the class of the slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.entries import Entry
from bench.analysis.metrics import magnification_by_class
from bench.report.figures.base import NotDrawn, ReportFigure, make_file_name
from bench.report.figures.style import INK, legend_below, make_sheet
from bench.report.material import Material, Part

ALWAYS = 0.999  # above this probability a strategy is said to draw at one magnification
MOST_LETTERS = 44  # of all names of classes beside each other; above, they are turned


@dataclass(frozen=True)
class MagnificationData:
    """One strategy.

    Attributes:
        name: Its name, with its settings.
        predictions: How many predictions the means are over.
        table: class, mpp, p: the mean probability of each magnification.
    """

    name: str
    predictions: int
    table: pd.DataFrame


class Magnifications(ReportFigure[MagnificationData]):
    """Mean probability of each magnification by class, one drawing a strategy that draws from several."""

    section = "Magnification by class"
    name = "magnification"
    title = "Magnification by class"

    def collect_data(self, material: Material, part: Part) -> dict[str, MagnificationData]:
        """See `ReportFigure`."""
        found = {
            make_file_name(entry.name): MagnificationData(entry.name, len(entry.rows), table)
            for entry in part.entries
            if (table := tabulate_magnifications(entry)) is not None
        }
        if not found:
            raise NotDrawn("no strategy here draws from several magnifications")
        return found

    def write_caption(self, part: Part, data: MagnificationData) -> str:
        """See `ReportFigure`."""
        return (
            f"Mean probability of each magnification by true class, {data.name} (n = {data.predictions:,} predictions "
            f"of {part.dataset})."
        )

    def draw(self, part: Part, data: MagnificationData) -> Figure:
        """Grouped bars, finest magnification first."""
        table = data.table
        classes, mpps = (list(dict.fromkeys(table[c].tolist())) for c in ("class", "mpp"))
        figure, axis = make_sheet(f"{data.name}: n = {data.predictions:,} predictions", 3.5)
        tones = [matplotlib.colormaps["viridis"](v) for v in np.linspace(0.12, 0.95, max(len(mpps), 2))]
        width = 0.8 / len(mpps)
        for k, (mpp, tone) in enumerate(zip(mpps, tones, strict=False)):
            own: Any = table[table["mpp"] == mpp].set_index("class")["p"]
            heights = [float(own[c]) for c in classes]
            places = np.arange(len(classes)) - 0.4 + (k + 0.5) * width
            axis.bar(places, heights, width, color=tone, ec=INK, lw=0.5, label=f"{mpp:g} um/px")
        axis.set_xticks(range(len(classes)), classes)
        if max(map(len, classes)) * len(classes) > MOST_LETTERS:
            axis.tick_params(axis="x", labelrotation=20)
        axis.grid(False, axis="x")
        axis.set_xlabel("class")
        axis.set_ylabel("mean p(magnification)")
        legend_below(figure, axis, 4)
        return figure


def tabulate_magnifications(entry: Entry) -> pd.DataFrame | None:
    """class, mpp, p: mean p(magnification) by class; None where nothing is drawn, or always at one magnification."""
    mpps = entry.runs[0].settings.get("strategy", {}).get("method", {}).get("mpps")
    table = magnification_by_class(entry.rows)
    if mpps is None or len(table.columns) < 2:
        return None
    if table.isna().to_numpy().any() or float(table.max().max()) > ALWAYS:
        return None
    return pd.DataFrame(
        [
            {"class": str(label), "mpp": float(mpps[k]), "p": float(value)}
            for label, values in zip(table.index.tolist(), table.to_numpy().tolist(), strict=True)
            for k, value in enumerate(values)
        ]
    )
