"""Comparison rows as text: terminal, Markdown, CSV, JSON. Nothing here computes a metric."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from rich.table import Table

COLUMNS: dict[str, tuple[str, str]] = {
    "dataset": ("dataset", "{}"),
    "strategy": ("strategy", "{}"),
    "runs": ("runs", "{}"),
    "slides": ("slides", "{}"),
    "accuracy": ("accuracy", "{:.3f}"),
    "interval": ("95 % interval", "{}"),
    "auc": ("AUC", "{:.3f}"),
    "patches_per_slide": ("patches", "{:.1f}"),
    "megapixels_decoded_per_slide": ("Mpx decoded", "{:.2f}"),
    "megabytes_read_per_slide": ("MB read", "{:.2f}"),
    "train_s": ("train s", "{:.1f}"),
    "inference_ms": ("infer ms/slide", "{:.0f}"),
    "train_speedup_vs_exhaustive": ("train x exhaustive", "{:.2f}"),
    "train_speedup_vs_search": ("train x search", "{:.2f}"),
    "inference_speedup_vs_exhaustive": ("infer x exhaustive", "{:.2f}"),
}
"""Key -> (heading, format)."""


def cells(row: dict[str, Any]) -> list[str]:
    """The row as text, "-" where a value does not apply."""
    shown = {
        **row,
        "interval": f"{row['accuracy_low']:.3f}-{row['accuracy_high']:.3f}",
        "inference_ms": row["inference_s_per_slide"] * 1000,
    }
    return ["-" if shown[key] is None else form.format(shown[key]) for key, (_, form) in COLUMNS.items()]


def terminal(rows: list[dict[str, Any]]) -> Table:
    """A rich table."""
    table = Table()
    for key, (heading, _) in COLUMNS.items():
        table.add_column(heading, justify="left" if key in ("dataset", "strategy") else "right")
    for row in rows:
        table.add_row(*cells(row))
    return table


def markdown(rows: list[dict[str, Any]]) -> str:
    """A Markdown table."""
    headings = [heading for heading, _ in COLUMNS.values()]
    lines = [headings, ["---"] * len(headings), *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """CSV with every key of the rows."""
    return pd.DataFrame(rows).to_csv(index=False)


def as_json(rows: list[dict[str, Any]]) -> str:
    """A JSON list, null where a value does not apply."""
    return json.dumps(rows, indent=1, allow_nan=False)
