"""A comparison as files that can be committed: table (Markdown, CSV), provenance (JSON) and a picture."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from bench.analysis.columns.pairs import PAIRS
from bench.analysis.columns.results import COSTS
from bench.analysis.comparison import Compared
from bench.analysis.entries import Entry
from bench.analysis.metrics import magnification_by_class
from bench.analysis.probe_record import load_probe
from bench.files import named, writable, write_text, write_with
from bench.markup import write_markdown
from bench.ours import check_saved
from bench.report.provenance import collect_provenance, make_stamp
from bench.report.sentences import front_lines
from bench.report.tables.probe_table import markdown as probe_table
from bench.report.tables.tables import (
    REFERENCE_POINT,
    as_csv,
    as_json,
    markdown,
    markdown_notes,
    markdown_where,
)

LEGEND_ROWS = 16  # of the picture, a column


def publish(found: Compared, stem: Path, command: str) -> list[Path]:
    """Write stem.md, stem.csv, stem.json and stem.png: what `compare` shows of `found`, and no more; returns the files.

    command: what produced the runs, kept with the settings, the environment and the hash of the data.
    """
    writable(stem.parent, "--save")
    files = [named(stem, suffix) for suffix in (".md", ".csv", ".json", ".png")]
    check_saved(files, stem)
    write_text(files[0], page(found, command))
    write_text(files[1], as_csv(found.rows))
    about = collect_provenance(
        "table",
        found.runs,
        command,
        reference=found.reference,
        margin=found.margin,
        notes=found.notes,
        damaged=found.damaged,
        against=[beside for row in json.loads(as_json(found.rows, found.against)) for beside in row["against"]],
    )
    write_text(files[2], about.as_json())
    picture(found.rows, files[3], make_stamp(files[1]))
    return files


def page(found: Compared, command: str) -> str:
    """The table, what stands beside it, where the patches were, and p(magnification) by class of jsma."""
    parts = [f"Produced by `{command}`.\n", markdown(found.rows)]
    if found.against:
        beside = ", ".join(dict.fromkeys(found.reference.values())) or "each of the others"
        parts.append(f"\nAccuracy minus that of {beside} on the same slides (docs/statistics.md):\n")
        parts.append(markdown(found.against, PAIRS))
    looked = markdown_where(found.rows)
    if looked:
        parts.append("\nWhere it looked: shares, mean over slides (docs/statistics.md):\n")
        parts.append(looked)
    said = [*found.said, *front_lines(found.rows)]
    parts.append("\n" + "\n".join(f"- {line}" for line in said) + f"\n\n({REFERENCE_POINT}.)")
    if found.notes:
        parts.append("\n" + markdown_notes(found.notes))
    parts += [text for entry in found.entries if entry.strategy == "jsma" for text in _by_class(entry)]
    probe = load_probe(sorted({r.path.parent for r in found.runs}), {r.data_hash for r in found.runs})
    if probe:
        cost = probe["cost"]
        parts.append("\nA linear probe on the mean feature of each magnification (same encoder, scale and split):\n")
        parts.append(probe_table(probe))
        parts.append(
            f"\n({probe['patches']} patches a slide and magnification at most; cost: {cost['patches']} patches, "
            f"{cost['decoded_px'] / 1e6:.1f} Mpx decoded, {cost['seconds']:.1f} s.)"
        )
    return "\n".join(parts) + "\n"


def _by_class(entry: Entry) -> list[str]:
    """Mean p(magnification) by class of one row of the table; nothing where it drew from none."""
    table = magnification_by_class(entry.rows)
    if not len(table.columns):
        return []
    mpps = entry.runs[0].settings["strategy"]["method"]["mpps"]
    lines = [
        [str(label), *(f"{v:.2f}" for v in values)]
        for label, values in zip(table.index.tolist(), table.to_numpy().tolist(), strict=True)
    ]
    heading = f"\nMean p(magnification) of {entry.name} by class, um/px:\n"
    return [heading, write_markdown(["class", *(f"{m:g}" for m in mpps)], lines, range(1, len(mpps) + 1))]


def picture(rows: list[dict[str, Any]], png: Path, metadata: dict[str, str]) -> None:
    """Accuracy with its interval against inference seconds and megapixels decoded, both on log axes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    from bench.report.figures.style import colour, marker, plain_ticks

    sns.set_theme(style="whitegrid", context="notebook")
    columns = math.ceil(len(rows) / LEGEND_ROWS)
    figure, axes = plt.subplots(1, 2, figsize=(9 + 2 * columns, 4.4), sharey=True, layout="constrained")
    for axis, cost in zip(axes, (COSTS["seconds"], COSTS["Mpx"]), strict=True):
        column, label = cost.key, cost.axis
        for row in rows:
            value = row["accuracy"]
            ends = (value, value) if row["accuracy_low"] is None else (row["accuracy_low"], row["accuracy_high"])
            axis.errorbar(
                float("nan") if row[column] is None else row[column],
                value,
                yerr=[[value - ends[0]], [ends[1] - value]],
                fmt=marker(row["strategy"]),
                ms=7,
                capsize=3,
                color=colour(row["strategy"]),
                label=row["strategy"],
            )
        if any(row[column] is not None for row in rows):
            axis.set_xscale("log")
            plain_ticks(axis, "x")
        else:
            axis.set_xticks([])
            label += " (not compared: see the notes)"
        axis.set_xlabel(label)
    axes[0].set_ylabel("accuracy (95 % interval)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, ncols=columns, fontsize="small")
    slides, runs = max(row["slides"] for row in rows), max(row["runs"] for row in rows)
    names = ", ".join(sorted({row["dataset"] for row in rows}))
    figure.suptitle(f"{names}: {slides} test slides, runs a strategy: {runs}")
    write_with(png, lambda handle: figure.savefig(handle, format="png", dpi=110, metadata=metadata))
    plt.close(figure)
