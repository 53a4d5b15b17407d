"""A comparison as files that can be committed: table (Markdown, CSV), provenance (JSON) and a picture."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from bench.compare import FinishedRun, compare, magnification_by_class
from bench.probed import markdown as probe_table
from bench.probed import probe_of
from bench.rundir import named, writable
from bench.stamp import stamp
from bench.statistics.tables import against, front_lines
from bench.tables import REFERENCE_POINT, as_csv, markdown, markdown_against, markdown_where

LEGEND_ROWS = 16  # of the picture, a column
REFERENCE, MARGIN = "exhaustive-all", 0.02  # the strongest opponent, and a loss of accuracy that does not matter


def publish(runs: list[FinishedRun], stem: Path, command: str) -> list[Path]:
    """Write stem.md, stem.csv, stem.json and stem.png from finished runs; returns the files.

    command: what produced the runs, kept with the settings, the environment and the hash of the data.
    """
    writable(stem.parent)
    rows = compare(runs)
    files = [named(stem, suffix) for suffix in (".md", ".csv", ".json", ".png")]
    files[0].write_text(page(rows, runs, command))
    files[1].write_text(as_csv(rows))
    files[2].write_text(json.dumps(provenance(runs, command), indent=1, sort_keys=True) + "\n")
    picture(rows, files[3], stamp(files[1]))
    return files


def page(rows: list[dict[str, Any]], runs: list[FinishedRun], command: str) -> str:
    """The table, where the patches were, and p(magnification) by class of the strategies that draw."""
    parts = [f"Produced by `{command}`.\n", markdown(rows)]
    if any(r.strategy == REFERENCE for r in runs) and len(rows) > 1:
        beside = against(runs, REFERENCE, MARGIN)
        parts.append(f"\nAccuracy minus that of {REFERENCE} on the same slides (docs/statistics.md):\n")
        parts.append(markdown_against(beside))
    looked = markdown_where(rows)
    if looked:
        parts.append("\nWhere it looked: shares, mean over slides (docs/statistics.md):\n")
        parts.append(looked)
    parts.append("\n" + "\n".join(f"- {line}" for line in front_lines(rows)) + f"\n\n({REFERENCE_POINT}.)")
    drawing = [n for n in ("jsma",) if any(r.strategy == n for r in runs)]
    for name in drawing:
        table = magnification_by_class(runs, name)
        mpps = next(r for r in runs if r.strategy == name).settings["strategy"]["method"]["mpps"]
        parts.append(f"\nMean p(magnification) of {name} by class, um/px:\n")
        parts.append("| class | " + " | ".join(f"{m:g}" for m in mpps) + " |")
        parts.append("| --- " * (len(mpps) + 1) + "|")
        for label, values in zip(table.index.tolist(), table.to_numpy().tolist(), strict=True):
            parts.append(f"| {label} | " + " | ".join(f"{v:.2f}" for v in values) + " |")
    found = probe_of(sorted({r.path.parent for r in runs}), {r.data_hash for r in runs})
    if found:
        cost = found["cost"]
        parts.append("\nA linear probe on the mean feature of each magnification (same encoder, scale and split):\n")
        parts.append(probe_table(found))
        parts.append(
            f"\n({found['patches']} patches a slide and magnification at most; cost: {cost['patches']} patches, "
            f"{cost['decoded_px'] / 1e6:.1f} Mpx decoded, {cost['seconds']:.1f} s.)"
        )
    return "\n".join(parts) + "\n"


def provenance(runs: list[FinishedRun], command: str) -> dict[str, Any]:
    """What the numbers belong to: command, settings, environments (each once), data hashes, run folders."""
    environments = {json.dumps(run.environment, sort_keys=True) for run in runs}
    settings = {json.dumps(run.settings, sort_keys=True) for run in runs}
    return {
        "command": command,
        "data_hashes": sorted({run.data_hash for run in runs}),
        "environments": [json.loads(text) for text in sorted(environments)],
        "settings": [json.loads(text) for text in sorted(settings)],
        "runs": sorted(run.path.name for run in runs),
    }


def picture(rows: list[dict[str, Any]], png: Path, metadata: dict[str, str]) -> None:
    """Accuracy with its interval against inference seconds and megapixels decoded, both on log axes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    from bench.report.style import colour, marker, plain_ticks

    sns.set_theme(style="whitegrid", context="notebook")
    columns = math.ceil(len(rows) / LEGEND_ROWS)
    figure, axes = plt.subplots(1, 2, figsize=(9 + 2 * columns, 4.4), sharey=True, layout="constrained")
    costs = {
        "inference_s_per_slide": "inference, seconds a slide",
        "megapixels_decoded_per_slide": "decoded, megapixels a slide",
    }
    for axis, (column, label) in zip(axes, costs.items(), strict=True):
        for row in rows:
            value = row["accuracy"]
            ends = (value, value) if row["accuracy_low"] is None else (row["accuracy_low"], row["accuracy_high"])
            axis.errorbar(
                float("nan") if row[column] is None else row[column], value,
                yerr=[[value - ends[0]], [ends[1] - value]],
                fmt=marker(row["strategy"]), ms=7, capsize=3, color=colour(row["strategy"]), label=row["strategy"],
            )  # fmt: skip
        axis.set_xscale("log")
        plain_ticks(axis, "x")
        axis.set_xlabel(label)
    axes[0].set_ylabel("accuracy (95 % interval)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, ncols=columns, fontsize="small")
    slides, runs = max(row["slides"] for row in rows), max(row["runs"] for row in rows)
    names = ", ".join(sorted({row["dataset"] for row in rows}))
    figure.suptitle(f"{names}: {slides} test slides, runs a strategy: {runs}")
    figure.savefig(png, dpi=110, metadata=metadata)
    plt.close(figure)
