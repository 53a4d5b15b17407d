"""The table of the linear probe."""

from __future__ import annotations

from typing import Any

from bench.analysis.columns.column import Column, format_interval
from bench.report.tables.tables import markdown as write_table

PROBE = (
    Column("mpp", None, "um/px", "{:g}"),
    Column("accuracy", None, "accuracy", "{:.3f}"),
    Column(
        "interval",
        None,
        "95 % interval",
        shown=lambda row: format_interval(row["accuracy_low"], row["accuracy_high"]),
    ),
    Column("n", None, "test slides"),
)


def markdown(found: dict[str, Any]) -> str:
    """The rows of the probe's record as a Markdown table, finest magnification first."""
    return write_table(found["rows"], PROBE)
