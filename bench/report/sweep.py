"""A sweep as files that can be committed: table (Markdown, CSV), provenance (JSON) and a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.columns.sweeps import name_of
from bench.files import named, writable, write_text, write_with
from bench.ours import check_saved
from bench.report.provenance import make_stamp
from bench.report.tables.sweep_tables import EQUAL, equal_markdown, markdown
from bench.runs.kept.environment import environment
from bench.runs.layout import Provenance


def publish(table: list[dict[str, Any]], record: Provenance, stem: Path) -> list[Path]:
    """Write a sweep as files: stem.md, stem.csv, stem.json, stem.png.

    And stem-equal.md, where a strategy can be set against the first at as many patches.

    Args:
        table: Rows of `bench.analysis.sweep_rows`.
        record: What made it; the environment of this process is added.
        stem: Where to write, without the end of a name.

    Returns:
        The files.
    """
    writable(stem.parent, "--save")
    files = [named(stem, suffix) for suffix in (".md", ".csv", ".json", ".png")]
    check_saved([*files, named(stem, "-equal.md")], stem)
    write_text(
        files[0],
        f"Produced by `{record.command}`. Counters are exact; seconds are charged (see `bench.runs.sweep`).\n\n"
        + markdown(table)
        + "\n",
    )
    write_text(files[1], pd.DataFrame(table).to_csv(index=False, float_format="%.6g"))
    write_text(files[2], replace(record, environments=[environment()]).as_json())
    picture(table, files[3], make_stamp(files[1]))
    if text := equal_markdown(table):
        files.append(named(stem, "-equal.md"))
        write_text(files[-1], f"Produced by `{record.command}`. {EQUAL}\n\n{text}\n")
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
