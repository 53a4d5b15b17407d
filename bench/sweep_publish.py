"""A sweep as files that can be committed: table (Markdown, CSV), provenance (JSON) and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.disk import write_text, write_with
from bench.ours import check_saved
from bench.rundir import environment, named, writable
from bench.stamp import stamp
from bench.statistics.equal import THIRDS
from bench.tables import markdown_table, span, told

COLUMNS: dict[str, tuple[str, str]] = {
    "strategy": ("strategy", "{}"),
    "budget": ("N", "{}"),
    "confidence": ("confidence", "{:g}"),
    "trainings": ("trainings", "{}"),
    "draws": ("sampling seeds", "{}"),
    "slides": ("slides", "{}"),
    "accuracy": ("accuracy", "{:.3f}"),
    "interval": ("95 % interval", "{}"),
    "sd_sampling": ("sd sampling", "{:.3f}"),
    "sd_training": ("sd training", "{:.3f}"),
    "flip_rate": ("flip rate", "{:.3f}"),
    "patches_per_slide": ("patches", "{:.1f}"),
    "megapixels_decoded_per_slide": ("Mpx decoded", "{:.2f}"),
    "megabytes_read_per_slide": ("MB read", "{:.2f}"),
    "seconds_per_slide": ("s/slide", "{:.3f}"),
}
"""Key -> (heading, format)."""
EQUAL = (
    "Accuracy minus that of the first strategy, drawn, at as many patches (linear in log patches between its budgets), "
    "with a 95 % interval over slides. Easy and hard: thirds of the slides by how often the other trainings of that "
    "strategy, at its largest budget, are wrong about them; they need two trainings."
)
PARTS = ("", *(f"_{third}" for third in THIRDS))


def name_of(row: dict[str, Any]) -> str:
    """The strategy, with a note where its patches were the most probable ones and not drawn, or evidence was used."""
    name = f"{row['strategy']}{told(row)}"
    return name if row["mode"] == "sample" else f"{name} (top-N)"


def cells(row: dict[str, Any]) -> list[str]:
    """The row as text, "-" where a value does not apply."""
    interval = span(row["accuracy_low"], row["accuracy_high"])
    shown = {**row, "strategy": name_of(row), "interval": interval}
    return ["-" if shown[key] is None else form.format(shown[key]) for key, (_, form) in COLUMNS.items()]


def markdown(table: list[dict[str, Any]]) -> str:
    """A Markdown table."""
    return markdown_table([heading for heading, _ in COLUMNS.values()], [cells(row) for row in table])


def equal_markdown(table: list[dict[str, Any]]) -> str:
    """The rows that can be set against the first strategy at as many patches, as Markdown; "" where none can."""
    shown = [row for row in table if row["difference"] is not None]
    if not shown:
        return ""
    return markdown_table(_equal_headings(str(shown[0]["reference"])), [_equal_cells(row) for row in shown])


def _equal_headings(reference: str) -> list[str]:
    where = ["all slides", *THIRDS]
    return [
        "strategy", "N", "confidence", *(f"patches, {w}" for w in where), *(f"accuracy, {w}" for w in where),
        *(f"minus {reference} at as many patches, {w}" for w in where),
    ]  # fmt: skip


def _equal_cells(row: dict[str, Any]) -> list[str]:
    patches, right = (
        [row[whole], *(row[f"{key}_{third}"] for third in THIRDS)]
        for key, whole in (("patches", "patches_per_slide"), ("accuracy", "accuracy"))
    )
    gaps = [[row[f"difference{part}{end}"] for end in ("", "_low", "_high")] for part in PARTS]
    return [
        name_of(row), *("-" if row[key] is None else f"{row[key]:g}" for key in ("budget", "confidence")),
        *("-" if n is None else f"{n:.1f}" for n in patches), *("-" if a is None else f"{a:.3f}" for a in right),
        *(_gap(*gap) for gap in gaps),
    ]  # fmt: skip


def _gap(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:+.3f} ({span(low, high, '+.3f')})"


def publish(table: list[dict[str, Any]], asked: dict[str, Any], stem: Path) -> list[Path]:
    """Write stem.md, stem.csv, stem.json (asked: settings and data; with the environment) and stem.png.

    And stem-equal.md, where a strategy can be set against the first at as many patches.
    """
    writable(stem.parent, "--save")
    files = [named(stem, suffix) for suffix in (".md", ".csv", ".json", ".png")]
    check_saved([*files, named(stem, "-equal.md")], stem)
    write_text(
        files[0],
        f"Produced by `{asked['command']}`. Counters are exact; seconds are charged (see `bench.sweep`).\n\n"
        + markdown(table)
        + "\n",
    )
    write_text(files[1], pd.DataFrame(table).to_csv(index=False, float_format="%.6g"))
    write_text(files[2], json.dumps({**asked, **environment()}, indent=1, sort_keys=True, default=str) + "\n")
    picture(table, files[3], stamp(files[1]))
    if text := equal_markdown(table):
        files.append(named(stem, "-equal.md"))
        write_text(files[-1], f"Produced by `{asked['command']}`. {EQUAL}\n\n{text}\n")
    return files


def picture(table: list[dict[str, Any]], png: Path, metadata: dict[str, str]) -> None:
    """Accuracy and flip rate against patches read a slide (log axis); the band is the sd over sampling seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid", context="notebook")
    frame: Any = pd.DataFrame([{**row, "name": name_of(row)} for row in table])
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    names = list(dict.fromkeys(frame["name"].tolist()))
    colours = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    for name, own in frame.groupby("name", sort=False):
        if all(budget != budget or budget is None for budget in own["budget"].tolist()):
            row = own.iloc[0]
            label = f"{name} ({row['patches_per_slide']:.0f} patches)"
            axes[0].axhline(row["accuracy"], color=colours[name], ls=":", label=label)
            continue
        own = own.sort_values("patches_per_slide")
        x, style = own["patches_per_slide"], {"color": colours[name], "marker": "o", "ms": 5}
        axes[0].plot(x, own["accuracy"], label=name, ls="--" if "top-N" in str(name) else "-", **style)
        sd = own["sd_sampling"].astype(float).fillna(0.0)
        axes[0].fill_between(x, own["accuracy"] - sd, own["accuracy"] + sd, color=colours[name], alpha=0.2, lw=0)
        if not np.isnan(own["flip_rate"].to_numpy(float)).any():
            axes[1].plot(x, own["flip_rate"].astype(float), **style)
    axes[0].set_ylabel("accuracy (band: sd over sampling seeds)")
    axes[1].set_ylabel("flip rate (share of slides)")
    ticks = sorted({int(row["budget"]) for row in table if row["budget"]})
    for axis in axes:
        axis.set_xscale("log", base=2)
        axis.set_xticks(ticks, [str(t) for t in ticks])
        axis.set_xlabel("patches read a slide (mean)")
    axes[1].set_ylim(bottom=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    first = table[0]
    figure.suptitle(
        f"{first['dataset']}: n = {first['slides']} test slides, {max(r['draws'] for r in table)} sampling seeds, "
        f"{first['trainings']} training(s)"
    )
    write_with(png, lambda handle: figure.savefig(handle, format="png", dpi=110, metadata=metadata))
    plt.close(figure)
