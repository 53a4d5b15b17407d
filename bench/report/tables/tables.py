"""Rows as text: terminal, Markdown, LaTeX, CSV, JSON. The columns say what is shown; nothing here computes a metric."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from bench.analysis.columns.column import Column, Row, choose_columns
from bench.analysis.columns.results import RESULTS, WHERE, name_of
from bench.markup import write_latex, write_markdown

FOLDED_WIDTH = 16  # letters of a line, where a terminal folds a sentence
REFERENCE_POINT = (
    "hypervolume: share of the box between the cheapest and the dearest row (log cost) and accuracy 0 to 1 that the "
    "front dominates; reference point: the dearest cost at accuracy 0; rows of cost 0 are left out"
)


def markdown(rows: Sequence[Row], columns: Sequence[Column] = RESULTS) -> str:
    """The rows as a Markdown table."""
    shown = choose_columns(columns, rows)
    return write_markdown([c.heading for c in shown], format_cells(rows, shown), _find_numbers(shown))


def latex(rows: Sequence[Row], columns: Sequence[Column] = RESULTS) -> str:
    """The rows as a LaTeX `tabular` (booktabs)."""
    shown = choose_columns(columns, rows)
    return write_latex([c.heading for c in shown], format_cells(rows, shown), _find_numbers(shown))


def terminal(
    rows: Sequence[Row], wide: bool = False, columns: Sequence[Column] = RESULTS, title: str | None = None
) -> Table:
    """The rows as a rich table.

    Args:
        rows: Of a comparison, or each beside its reference.
        wide: Show every column, in place of those that a terminal of 80 columns holds.
        columns: The columns of these rows.
        title: Above the table.

    Returns:
        The table, as wide as what it holds.
    """
    several = len({row["dataset"] for row in rows}) > 1
    shown = [c for c in choose_columns(columns, rows) if wide or c.short or (c.key == "dataset" and several)]
    lines = [[_fold(cell, c) for cell, c in zip(line, shown, strict=True)] for line in format_cells(rows, shown)]
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False)
    for i, column in enumerate(shown):
        parts = [part for line in lines for part in line[i].splitlines()]
        width = max(map(len, [*parts, *column.heading.split()]))
        table.add_column(fill(column.heading, width), justify="left" if column.words else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(escape(cell) for cell in line))  # brackets in a name are no markup
    return table


def format_cells(rows: Sequence[Row], columns: Sequence[Column]) -> list[list[str]]:
    """The text of each cell, a list a row; "-" where a value does not apply."""
    return [[column.write(row) for column in columns] for row in rows]


def markdown_where(rows: Sequence[Row]) -> str | None:
    """Where strategies looked as a Markdown table; None where nothing is known of any."""
    shares = [column for column in WHERE if not column.words]
    known = [row for row in rows if any(column.find(row) is not None for column in shares)]
    return markdown(known, WHERE) if known else None


def markdown_notes(notes: Sequence[str]) -> str:
    """What was not compared, what failed and what was accepted, as a list under the tables."""
    return "\n".join("- Note: " + " ".join(note.split()) for note in notes)


def as_csv(rows: Sequence[Row]) -> str:
    """CSV with every key of the rows."""
    return pd.DataFrame(rows).to_csv(index=False)


def as_json(rows: Sequence[Row], beside: Sequence[Row] = ()) -> str:
    """A JSON list of the rows, null where a value does not apply.

    Args:
        rows: Of `bench.analysis.rows`.
        beside: Of `bench.analysis.against`; each row lists under `against` those that set it against others.

    Returns:
        The text; what is infinite in `beside` is null.
    """
    by: dict[tuple[str, str], list[Row]] = {}
    for other in beside:
        by.setdefault((other["dataset"], other["name"]), []).append({k: _finite(v) for k, v in other.items()})
    listed = [{**row, "against": by.get((row["dataset"], name_of(row)), [])} for row in rows]
    return json.dumps(listed, indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _find_numbers(columns: Sequence[Column]) -> list[int]:
    """Places of the columns that are aligned to the right."""
    return [k for k, column in enumerate(columns) if not column.words and not column.folded]


def _fold(text: str, column: Column) -> str:
    return fill(text, FOLDED_WIDTH) if column.folded else text
