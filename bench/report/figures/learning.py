"""Figures of what a strategy learns and draws: anytime, training curves, magnification by class."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.report.figures.style import INK, PAPER, legend_below, make_sheet, marker, palette, plain_ticks


def draw_anytime(table: pd.DataFrame, note: str) -> Figure:
    """Accuracy against patches read, one line a strategy trained once; the band is the sd over sampling seeds."""
    figure, axis = make_sheet(note, 4.2)
    colours = palette(table["strategy"].tolist())
    groups: Any = table.groupby("label", sort=False)
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
            axis.fill_between(x, y - np.nan_to_num(sd), y + np.nan_to_num(sd), color=colours[name], alpha=0.2, lw=0)
    axis.set_xscale("log", base=2)
    plain_ticks(axis, "x")
    ticks = sorted({round(v) for v, b in zip(table["patches"], table["budgeted"], strict=True) if b and v >= 1})
    if len(ticks) <= 12:
        axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.set_xlabel("patches read, a slide (mean)")
    axis.set_ylabel("accuracy (band: sd over sampling seeds)")
    legend_below(figure, axis, 2)
    return figure


def draw_curves(found: list[tuple[str, str, pd.DataFrame, int, int]], note: str) -> Figure:
    """Validation accuracy against the wall clock of training: mean of the trainings, band lowest to highest."""
    figure, axis = make_sheet(note, 4.4)
    colours = palette([name for _, name, *_ in found])
    for label, name, table, used, _ in found:
        x: Any = table["seconds"]
        said = f"{label} (n = {used})"
        axis.plot(
            x,
            table["mean"],
            color=colours[name],
            drawstyle="steps-post",
            lw=1.6,
            label=said,
            marker=marker(name),
            markevery=[len(table) - 1],
            ms=7,
            mec=PAPER,
            mew=0.6,
        )
        if used > 1:
            axis.fill_between(x, table["low"], table["high"], color=colours[name], alpha=0.12, lw=0, step="post")
    axis.set_xscale("log")
    plain_ticks(axis, "x")
    axis.set_xlabel("training, seconds of wall clock (charged in full)")
    axis.set_ylabel("validation accuracy (mean; band: range)")
    legend_below(figure, axis, 2)
    return figure


def draw_magnifications(table: pd.DataFrame, note: str) -> Figure:
    """Grouped bars: mean p(magnification) of each class, finest first."""
    classes, mpps = (list(dict.fromkeys(table[c].tolist())) for c in ("class", "mpp"))
    figure, axis = make_sheet(note, 3.5)
    tones = [matplotlib.colormaps["viridis"](v) for v in np.linspace(0.12, 0.95, max(len(mpps), 2))]
    width = 0.8 / len(mpps)
    for k, (mpp, tone) in enumerate(zip(mpps, tones, strict=False)):
        own: Any = table[table["mpp"] == mpp].set_index("class")["p"]
        heights = [float(own[c]) for c in classes]
        places = np.arange(len(classes)) - 0.4 + (k + 0.5) * width
        axis.bar(places, heights, width, color=tone, ec=INK, lw=0.5, label=f"{mpp:g} um/px")
    axis.set_xticks(range(len(classes)), classes)
    if max(map(len, classes)) * len(classes) > 44:
        axis.tick_params(axis="x", labelrotation=20)
    axis.grid(False, axis="x")
    axis.set_xlabel("class")
    axis.set_ylabel("mean p(magnification)")
    legend_below(figure, axis, 4)
    return figure
