"""Where the time goes at inference: bars cut by stage."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.statistics.breakdown import stage_seconds
from bench.report.figures.base import NotDrawn, ReportFigure, describe_part
from bench.report.figures.style import INK, legend_below, make_sheet
from bench.report.material import Material, Part
from jsma.meter import STAGES


@dataclass(frozen=True)
class StageData:
    """One way to show the stages.

    Attributes:
        column: Of the table: seconds (mean a slide) or share (of the seconds of the strategy).
        axis: Label of the axis.
        said: What is shown, at the beginning of the caption.
        table: label, strategy, stage, seconds, share.
    """

    column: str
    axis: str
    said: str
    table: pd.DataFrame


class Stages(ReportFigure[StageData]):
    """Inference by stage: as seconds, and as shares."""

    section = "Where the time goes"
    name = "stages"
    title = "Stages"
    timed = True

    def collect_data(self, material: Material, part: Part) -> dict[str, StageData]:
        """See `ReportFigure`."""
        table = tabulate_stages(part)
        if table.empty:
            raise NotDrawn("no stage was timed")
        whole = ("inference, mean seconds a slide", "Mean inference seconds a slide, by stage")
        parts = ("share of inference seconds", "The same as shares")
        return {column: StageData(column, *words, table) for column, words in (("seconds", whole), ("share", parts))}

    def write_caption(self, part: Part, data: StageData) -> str:
        """See `ReportFigure`."""
        return f"{data.said} ({describe_part(part)}). The stages are exclusive and sum to the wall clock."

    def draw(self, part: Part, data: StageData) -> Figure:
        """Bars of one strategy each, cut by stage."""
        table, column = data.table, data.column
        labels = list(dict.fromkeys(table["label"].tolist()))
        figure, axis = make_sheet(describe_part(part), 1.9 + 0.34 * len(labels))
        present = [stage for stage in STAGES if stage in set(table["stage"])]
        tones = [matplotlib.colormaps["viridis"](v) for v in np.linspace(0.12, 1.0, max(len(present), 2))]
        left = dict.fromkeys(labels, 0.0)
        for stage, tone in zip(present, tones, strict=False):
            own = {row["label"]: row[column] for row in table.to_dict("records") if row["stage"] == stage}
            widths = [own.get(label, 0.0) for label in labels]
            starts = list(left.values())
            axis.barh(range(len(labels)), widths, left=starts, color=tone, ec=INK, lw=0.5, label=stage)
            left = {label: left[label] + width for label, width in zip(labels, widths, strict=True)}
        if column == "seconds":
            for y, total in enumerate(left.values()):
                axis.annotate(f"{total:.3g}", (total, y), xytext=(3, 0), textcoords="offset points", va="center")
            axis.set_xlim(right=max(left.values()) * 1.15)
        axis.set_yticks(range(len(labels)), labels)
        axis.invert_yaxis()
        axis.grid(False, axis="y")
        axis.set_xlabel(data.axis)
        legend_below(figure, axis, 4)
        return figure


def tabulate_stages(part: Part) -> pd.DataFrame:
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
