"""Figures of what a strategy costs: speed-ups, fronts, stages, and the size of the slide."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.statistics.breakdown import Slope
from bench.report.figures.style import INK, PAPER, legend_below, make_sheet, marker, palette, plain_ticks
from jsma.meter import STAGES


def draw_speedups(table: pd.DataFrame, axis_label: str, note: str) -> Figure:
    """Bars from 1 (as fast as the opponent) on a logarithmic axis, with 95 % intervals."""
    figure, axis = make_sheet(note, 1.2 + 0.34 * len(table))
    axis.set_xscale("log")
    colours = palette(table["strategy"].tolist())
    for y, row in enumerate(table.to_dict("records")):
        axis.barh(y, row["value"] - 1, left=1, color=colours[row["strategy"]], ec=PAPER, height=0.7)
        high = row["value"]
        if not np.isnan(row["high"]):
            error = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            axis.errorbar(row["value"], y, xerr=error, color=INK, capsize=3, lw=1.2)
            high = row["high"]
        axis.annotate(f" {row['value']:.3g}", (max(high, 1), y), xytext=(3, 0), textcoords="offset points", va="center")
    axis.axvline(1, color=INK, lw=1)
    axis.set_yticks(range(len(table)), table["label"].tolist())
    axis.invert_yaxis()
    axis.grid(False, axis="y")
    ends = np.concatenate([table["value"], table["low"].dropna(), table["high"].dropna(), [1.0]])
    axis.set_xlim(ends.min() * 0.85, ends.max() * 1.9)
    plain_ticks(axis, "x")
    axis.set_xlabel(axis_label)
    return figure


def draw_front(table: pd.DataFrame, axis_label: str, note: str) -> Figure:
    """Accuracy with its interval against a cost; the line joins what nothing beats at its cost or below."""
    figure, axis = make_sheet(note, 4.2)
    colours = palette(table["strategy"].tolist())
    positive = [v for v in table["cost"] if v > 0]
    if len(positive) < len(table) and positive:
        axis.set_xscale("symlog", linthresh=min(positive), linscale=0.4)
    else:
        axis.set_xscale("log")
    best: Any = table[table["on_front"]]
    axis.plot(best["cost"], best["accuracy"], color=INK, lw=1, ls="--", zorder=1, drawstyle="steps-post", label="front")
    for row in table.to_dict("records"):
        error = [[row["accuracy"] - row["low"]], [row["high"] - row["accuracy"]]]
        axis.errorbar(
            row["cost"],
            row["accuracy"],
            yerr=error,
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
    axis.set_xlabel(axis_label)
    axis.set_ylabel("accuracy (95 % interval)")
    legend_below(figure, axis)
    return figure


def draw_stages(table: pd.DataFrame, column: str, axis_label: str, note: str) -> Figure:
    """Bars of one strategy each, cut by stage; column: seconds or share."""
    labels = list(dict.fromkeys(table["label"].tolist()))
    figure, axis = make_sheet(note, 1.9 + 0.34 * len(labels))
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
    axis.set_xlabel(axis_label)
    legend_below(figure, axis, 4)
    return figure


def draw_area(
    found: list[tuple[str, str, pd.DataFrame, Slope | None]], axis_label: str, note: str, most: int = 400
) -> Figure:
    """Cost of each slide against its area, both logarithmic, with the fitted lines; at most so many slides as dots."""
    figure, axis = make_sheet(note, 4.4)
    colours = palette([name for _, name, _, _ in found])
    for label, name, table, slope in found:
        dots = table.iloc[:: max(1, -(-len(table) // most))]
        style: dict[str, Any] = {"color": colours[name], "marker": marker(name)}
        said = label if slope is None else f"{label}: slope {slope.exponent:.2f} ({slope.low:.2f} to {slope.high:.2f})"
        axis.plot(dots["area_mpx"], dots["cost"], ls="", ms=4, alpha=0.6, label=said, **style)
        if slope is not None:
            ends = np.array([table["area_mpx"].min(), table["area_mpx"].max()])
            axis.plot(ends, slope.at(ends), color=colours[name], lw=1.5)
    axis.set_xscale("log")
    axis.set_yscale("log")
    plain_ticks(axis, "x")
    plain_ticks(axis, "y")
    axis.set_xlabel("slide area, level-0 megapixels")
    axis.set_ylabel(axis_label)
    legend_below(figure, axis, 1)
    return figure
