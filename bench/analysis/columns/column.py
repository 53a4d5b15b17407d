"""A column of a table: how its value is computed, what it is called, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: a figure in the rows (terminal, page, CSV, JSON, Markdown, LaTeX), or only the text of others.

    Attributes:
        key: Its name in the rows, in CSV and in JSON.
        function: Computes the value from what the row is about; None where another step sets the value, or where the
            column only shows values of other columns.
        heading: Its name in tables that people read; "" for a value that only CSV and JSON hold.
        format: How the value is written, as for `str.format`.
        meaning: One sentence for docs/reading-the-table.md, in Markdown.
        timed: The value is made of seconds or joules. It is null where the runs are of several machines.
        interval: The function returns (value, low, high), kept under key, key_low and key_high; or None.
        shown: From the row to the value that is written; the value under `key` by default.
        short: Shown in a terminal of 80 columns too.
        optional: Left out of a table where no row has a value.
        words: The value is text, and is aligned to the left.
        folded: The value is a sentence, which a terminal folds.
        cost: Name of the cost that accuracy is set against, such as `Mpx`; "" where the value is no cost.
        axis: Label of an axis of a figure, with the unit.
    """

    key: str
    function: Callable[[Any], Any] | None = None
    heading: str = ""
    format: str = "{}"
    meaning: str = ""
    _: KW_ONLY
    timed: bool = False
    interval: bool = False
    shown: Callable[[Row], Any] | None = None
    short: bool = False
    optional: bool = False
    words: bool = False
    folded: bool = False
    cost: str = ""
    axis: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys of a row that the column sets."""
        return (self.key, f"{self.key}_low", f"{self.key}_high") if self.interval else (self.key,)

    def compute(self, subject: Any) -> Row:
        """Its part of the row about `subject`; empty where it has no function."""
        if self.function is None:
            return {}
        value = self.function(subject)
        values = ((None,) * 3 if value is None else value) if self.interval else (value,)
        return dict(zip(self.keys, values, strict=True))

    def find(self, row: Row) -> Any:
        """The value that is written; None where there is none."""
        return row.get(self.key) if self.shown is None else self.shown(row)

    def write(self, row: Row) -> str:
        """The value as text, "-" where there is none."""
        value = self.find(row)
        return "-" if value is None else self.format.format(value)


def compute_row(columns: Iterable[Column], subject: Any) -> Row:
    """All values of one row, in the order of the columns."""
    return {key: value for column in columns for key, value in column.compute(subject).items()}


def clear_timed(columns: Iterable[Column], rows: Iterable[Row]) -> None:
    """Set to None what must not be compared between machines."""
    keys = [key for column in columns if column.timed for key in column.keys]
    for row in rows:
        row.update((key, None) for key in keys if key in row)


def choose_columns(columns: Iterable[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns that a table of these rows shows."""
    return [
        column
        for column in columns
        if column.heading and (not column.optional or any(column.find(row) is not None for row in rows))
    ]


def format_interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    """An interval as text, `0.933-0.978`, with signs `-0.028 to +0.019`; "-" where there is none."""
    if low is None or high is None:
        return "-"
    return f"{low:{form}}{' to ' if form.startswith('+') else '-'}{high:{form}}"


def describe_control(row: Row) -> str:
    """What follows the name of a strategy that was shown what no slide shows: it is a control, not an opponent."""
    words = row.get("told") or ("uses evidence" if row.get("uses_evidence") else "")
    return f" ({words})" if words else ""
