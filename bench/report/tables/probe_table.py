"""The table of the linear probe."""

from __future__ import annotations

from typing import Any

from bench.report.tables.tables import format_interval


def markdown(found: dict[str, Any]) -> str:
    """The rows as a Markdown table, finest magnification first."""
    lines = ["| um/px | accuracy | 95 % interval | test slides |", "| --- | --- | --- | --- |"]
    for row in found["rows"]:
        known = row["accuracy"] is not None
        interval = format_interval(row["accuracy_low"], row["accuracy_high"])
        shown = f"{row['accuracy']:.3f} | {interval}" if known else "- | -"
        lines.append(f"| {row['mpp']:g} | {shown} | {row['n']} |")
    return "\n".join(lines)
