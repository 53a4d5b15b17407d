"""Comparison rows as text: terminal, Markdown, CSV, JSON. Nothing here computes a metric."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from bench.analysis.statistics.costs import name_of, shown_name

COLUMNS: dict[str, tuple[str, str]] = {
    "dataset": ("dataset", "{}"),
    "strategy": ("strategy", "{}"),
    "settings": ("settings", "{}"),
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
    "inference_j_per_slide": ("infer J/slide", "{:.2f}"),
    "train_speedup_vs_everything": ("train x everything", "{:.2f}"),
    "train_speedup_vs_search": ("train x search", "{:.2f}"),
    "inference_speedup_vs_everything": ("infer x everything", "{:.2f}"),
    "front": ("Pareto front of", "{}"),
}
"""Key -> (heading, format)."""
OPTIONAL = ("settings", "inference_j_per_slide")
"""Columns that are left out where no row has a value."""


def told(row: dict[str, Any]) -> str:
    """Said of a strategy that was shown what no slide shows, after its name: a control, not an opponent."""
    words = row.get("told") or ("uses evidence" if row.get("uses_evidence") else "")
    return f" ({words})" if words else ""


def format_interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    """An interval as text, `0.933-0.978`, with signs `-0.028 to +0.019`; "-" where there is none."""
    if low is None or high is None:
        return "-"
    return f"{low:{form}}{' to ' if form.startswith('+') else '-'}{high:{form}}"


def columns_of(rows: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """The columns that these rows need."""
    return {k: v for k, v in COLUMNS.items() if k not in OPTIONAL or any(row.get(k) is not None for row in rows)}


def cells(row: dict[str, Any], columns: dict[str, tuple[str, str]] = COLUMNS) -> list[str]:
    """The row as text, "-" where a value does not apply."""
    shown = {
        **row,
        "strategy": (row["strategy"] if row.get("reads") is None else f"{row['strategy']}@{row['reads']}")
        + (", finetuned" if row.get("regime") == "finetuned" else "")
        + told(row),
        "front": ", ".join(row["pareto"]) or None,
        "interval": format_interval(row["accuracy_low"], row["accuracy_high"]),
        "inference_ms": None if row["inference_s_per_slide"] is None else row["inference_s_per_slide"] * 1000,
    }
    return ["-" if shown[key] is None else form.format(shown[key]) for key, (_, form) in columns.items()]


AGAINST: dict[str, tuple[str, str]] = {
    "dataset": ("dataset", "{}"),
    "shown": ("strategy", "{}"),
    "reference_shown": ("reference", "{}"),
    "difference": ("difference", "{:+.3f}"),
    "interval": ("95 % interval", "{}"),
    "discordant": ("only right: own/ref.", "{}"),
    "mcnemar_p": ("McNemar p", "{:.3g}"),
    "holm_p": ("Holm p", "{:.3g}"),
    "t_p": ("corrected t p", "{:.3g}"),
    "non_inferior": ("non-inferior", "{}"),
}
"""Columns of the comparison with a reference."""


def cells_against(row: dict[str, Any]) -> list[str]:
    """A row of `bench.analysis.against.against` as text."""
    shown = {
        **row,
        "interval": format_interval(row["difference_low"], row["difference_high"], "+.3f"),
        "discordant": f"{row['only_own']}/{row['only_reference']}",
        "non_inferior": f"{row['non_inferior_verdict']} (margin {row['margin']:g})",
    }
    return ["-" if shown[key] is None else form.format(shown[key]) for key, (_, form) in AGAINST.items()]


WHERE: dict[str, tuple[str, str]] = {
    "dataset": ("dataset", "{}"),
    "name": ("strategy", "{}"),
    "in_evidence": ("patches in evidence", "{:.3f}"),
    "hit_evidence": ("slides with a hit", "{:.3f}"),
    "attention_in_evidence": ("attention in evidence", "{:.3f}"),
    "attention_slide_edge": ("attention at the slide's edge", "{:.3f}"),
    "attention_tissue_edge": ("attention at the tissue's edge", "{:.3f}"),
    "attention_background": ("attention on background", "{:.3f}"),
}
"""Columns of where strategies looked (`bench.runs.observed.where_looked`)."""


def markdown_where(rows: list[dict[str, Any]]) -> str | None:
    """Where strategies looked as a Markdown table; None where nothing is known of any."""
    keys = [key for key in WHERE if key not in ("dataset", "name")]
    known = [{**row, "name": shown_name(row)} for row in rows if any(row.get(key) is not None for key in keys)]
    lines = [["-" if r.get(k) is None else f.format(r[k]) for k, (_, f) in WHERE.items()] for r in known]
    return markdown_table([heading for heading, _ in WHERE.values()], lines) if known else None


REFERENCE_POINT = (
    "hypervolume: share of the box between the cheapest and the dearest row (log cost) and accuracy 0 to 1 that the "
    "front dominates; reference point: the dearest cost at accuracy 0; rows of cost 0 are left out"
)


def markdown_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a `|` or a line break in a cell (the name of a class, of a strategy) stays within its cell."""

    def cell(text: str) -> str:
        return " ".join(text.split()).replace("|", r"\|")

    rows = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in rows)


SHORT = (
    "strategy",
    "settings",
    "accuracy",
    "interval",
    "patches_per_slide",
    "megapixels_decoded_per_slide",
    "train_s",
    "inference_ms",
)
"""Columns that a terminal of 80 shows; `wide` shows all."""
SHORT_AGAINST = ("shown", "reference_shown", "difference", "interval", "holm_p", "non_inferior")


def terminal(rows: list[dict[str, Any]], wide: bool = False) -> Table:
    """A rich table; wide: with every column."""
    columns = _some(columns_of(rows), SHORT, rows, wide)
    return _table(columns, [cells(row, columns) for row in rows])


def terminal_against(rows: list[dict[str, Any]], wide: bool = False) -> Table:
    """The comparison with a reference as a rich table; wide: with every column."""
    kept = [list(AGAINST).index(key) for key in _some(AGAINST, SHORT_AGAINST, rows, wide)]
    lines = [[line[i] for i in kept] for line in map(cells_against, rows)]
    columns = {key: AGAINST[key] for i, key in enumerate(AGAINST) if i in kept}
    return _table(columns, lines, "accuracy minus that of the reference")


def _some(
    columns: dict[str, tuple[str, str]], short: tuple[str, ...], rows: list[dict[str, Any]], wide: bool
) -> dict[str, tuple[str, str]]:
    """Those of `short`, and the dataset where there are several; all where `wide`."""
    several = len({row["dataset"] for row in rows}) > 1
    return {k: v for k, v in columns.items() if wide or k in short or (k == "dataset" and several)}


_WORDS = ("dataset", "strategy", "settings", "name", "shown", "reference_shown")
_FOLDED = ("non_inferior", "front")  # sentences; every other cell stays on its line


def _table(columns: dict[str, tuple[str, str]], lines: list[list[str]], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False)
    lines = [[_folded(text, key) for text, key in zip(line, columns, strict=True)] for line in lines]
    for i, (key, (heading, _)) in enumerate(columns.items()):
        parts = [part for line in lines for part in line[i].splitlines()]
        width = max(map(len, [*parts, *heading.split()]))
        table.add_column(fill(heading, width), justify="left" if key in _WORDS else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(escape(cell) for cell in line))  # brackets in a name are no markup
    return table


def _folded(text: str, key: str) -> str:
    return fill(text, 16) if key in _FOLDED else text


def markdown_against(rows: list[dict[str, Any]]) -> str:
    """The comparison with a reference as a Markdown table."""
    return markdown_table([heading for heading, _ in AGAINST.values()], [cells_against(row) for row in rows])


def markdown_notes(notes: Sequence[str]) -> str:
    """What was not compared, what failed and what was accepted, as a list under the tables."""
    return "\n".join("- Note: " + " ".join(note.split()) for note in notes)


def latex(rows: list[dict[str, Any]]) -> str:
    """A LaTeX tabular (booktabs)."""
    columns = columns_of(rows)
    return _latex(columns, [cells(row, columns) for row in rows])


def latex_against(rows: list[dict[str, Any]]) -> str:
    """The comparison with a reference as a LaTeX tabular (booktabs)."""
    return _latex(AGAINST, [cells_against(row) for row in rows])


_LATEX = str.maketrans(
    {
        **{sign: rf"\{sign}" for sign in "%_&#${}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "|": r"\textbar{}",
    }
)


def _latex(columns: dict[str, tuple[str, str]], lines: list[list[str]]) -> str:
    headings = [heading for heading, _ in columns.values()]
    escaped = [[text.translate(_LATEX) for text in line] for line in [headings, *lines]]
    body = [" & ".join(line) + r" \\" for line in escaped]
    left = "ll" + "r" * (len(headings) - 2)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{left}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def markdown(rows: list[dict[str, Any]]) -> str:
    """A Markdown table."""
    columns = columns_of(rows)
    return markdown_table([heading for heading, _ in columns.values()], [cells(row, columns) for row in rows])


def as_csv(rows: list[dict[str, Any]]) -> str:
    """CSV with every key of the rows."""
    return pd.DataFrame(rows).to_csv(index=False)


def as_json(rows: list[dict[str, Any]], beside: list[dict[str, Any]] | None = None) -> str:
    """A JSON list, null where a value does not apply; `against`: what each row was set against, infinities as null."""
    by: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for other in beside or []:
        by.setdefault((other["dataset"], other["name"]), []).append({k: _finite(v) for k, v in other.items()})
    rows = [{**row, "against": by.get((row["dataset"], name_of(row)), [])} for row in rows]
    return json.dumps(rows, indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
