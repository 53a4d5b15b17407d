"""Accuracy at every number of patches, from a sweep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.columns.sweeps import name_of
from bench.report.figures.base import NotDrawn, ReportFigure
from bench.report.figures.style import legend_below, make_sheet, marker, palette, plain_ticks
from bench.report.material import Material, Part

MOST_TICKS = 12


class Anytime(ReportFigure[pd.DataFrame]):
    """Accuracy against patches read, one line a strategy."""

    section = "Accuracy at every budget"
    name = "anytime"
    title = "Anytime curves"

    def collect_data(self, material: Material, part: Part) -> dict[str, pd.DataFrame]:
        """See `ReportFigure`."""
        if part.dataset not in material.sweeps:
            raise NotDrawn("no sweep among the runs; `jsma-bench sweep --save RUNS/sweep` writes one")
        return {"": tabulate_sweep(material.sweeps[part.dataset])}

    def write_caption(self, part: Part, data: pd.DataFrame) -> str:
        """See `ReportFigure`."""
        return (
            f"Trained once, evaluated at every number of patches ({_describe(part, data)}). Band: standard deviation "
            "over sampling seeds; dotted: a strategy that knows no budget."
        )

    def draw(self, part: Part, data: pd.DataFrame) -> Figure:
        """One line a strategy trained once; the band is the standard deviation over sampling seeds."""
        figure, axis = make_sheet(_describe(part, data), 4.2)
        colours = palette(data["strategy"].tolist())
        groups: Any = data.groupby("label", sort=False)
        for label, own in groups:
            name = own["strategy"].iloc[0]
            if not own["budgeted"].any():
                row = own.iloc[0]
                said = f"{label} ({row['patches']:.0f} patches)"
                axis.axhline(row["accuracy"], color=colours[name], ls=":", label=said)
                continue
            x, y = own["patches"].to_numpy(float), own["accuracy"].to_numpy(float)
            dash = "--" if "(top-N)" in str(label) else "-"
            axis.plot(x, y, color=colours[name], marker=marker(name), ms=5, ls=dash, label=str(label))
            sd = own["sd"].to_numpy(float)
            if not np.isnan(sd).all():
                low, high = y - np.nan_to_num(sd), y + np.nan_to_num(sd)
                axis.fill_between(x, low, high, color=colours[name], alpha=0.2, lw=0)
        axis.set_xscale("log", base=2)
        plain_ticks(axis, "x")
        ticks = sorted({round(v) for v, b in zip(data["patches"], data["budgeted"], strict=True) if b and v >= 1})
        if len(ticks) <= MOST_TICKS:
            axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axis.set_xlabel("patches read, a slide (mean)")
        axis.set_ylabel("accuracy (band: sd over sampling seeds)")
        legend_below(figure, axis, 2)
        return figure


def _describe(part: Part, data: pd.DataFrame) -> str:
    return (
        f"{part.dataset}: n = {data['slides'].max()} test slides, {data['trainings'].max()} trainings, "
        f"{data['draws'].max()} sampling seeds"
    )


def tabulate_sweep(sweep: pd.DataFrame) -> pd.DataFrame:
    """label, strategy, patches, accuracy, sd (over sampling seeds, NaN for one), budgeted, n (slides), from a sweep."""
    rows = [{str(k): v for k, v in row.items()} for row in sweep.to_dict("records")]
    return pd.DataFrame(
        [
            {
                "label": name_of(row),
                "strategy": row["strategy"],
                "patches": row["patches_per_slide"],
                "accuracy": row["accuracy"],
                "sd": row["sd_sampling"],
                "budgeted": not pd.isna(row["budget"]),
                "slides": row["slides"],
                "draws": row["draws"],
                "trainings": row["trainings"],
            }
            for row in rows
        ]
    ).sort_values(["label", "patches"], kind="stable", ignore_index=True)
