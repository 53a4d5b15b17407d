"""Tables as Markdown and LaTeX. Every table of the project that is not for a terminal is written here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tabulate import tabulate


def write_markdown(headings: Sequence[str], lines: Iterable[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """A Markdown table. A `|` or a line break in a cell (the name of a class, of a strategy) stays within its cell.

    Args:
        headings: One a column.
        lines: The cells of each row as text.
        numbers: Columns that are aligned to the right, from 0.

    Returns:
        The table without a line break at its end.
    """
    escaped = [[_join_lines(text).replace("|", r"\|") for text in line] for line in (headings, *lines)]
    return _tabulate(escaped, "pipe", numbers)


def write_latex(headings: Sequence[str], lines: Iterable[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """A LaTeX `tabular` with the rules of booktabs; arguments as for `write_markdown`."""
    text = _tabulate([list(map(_join_lines, line)) for line in (headings, *lines)], "latex_booktabs", numbers)
    return text.replace("|", r"\textbar{}")  # the format itself has no bar


def _tabulate(table: list[list[str]], form: str, numbers: Collection[int]) -> str:
    alignment = ["right" if k in numbers else "left" for k in range(len(table[0]))]
    return tabulate(table[1:], table[0], form, disable_numparse=True, colalign=alignment)


def _join_lines(text: str) -> str:
    return " ".join(text.split())
