"""The tables of a sweep over budgets."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.columns.column import Row
from bench.analysis.columns.sweeps import SWEEP, list_equal_columns
from bench.report.tables.tables import markdown as write_table

EQUAL = (
    "Accuracy minus that of the first strategy, drawn, at as many patches (linear in log patches between its budgets), "
    "with a 95 % interval over slides. Easy and hard: thirds of the slides by how often the other trainings of that "
    "strategy, at its largest budget, are wrong about them; they need two trainings."
)


def markdown(table: Sequence[Row]) -> str:
    """The table of the sweep in Markdown."""
    return write_table(table, SWEEP)


def equal_markdown(table: Sequence[Row]) -> str:
    """The rows that can be set against the first strategy at as many patches, as Markdown; "" where none can."""
    shown = [row for row in table if row["difference"] is not None]
    return write_table(shown, list_equal_columns(str(shown[0]["reference"]))) if shown else ""
