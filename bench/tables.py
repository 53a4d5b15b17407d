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
        "inference_ms": None if row["inference_s_per_slide"] is None else row["inference_s_per_slide"] * 1000,
    }
    return ["-" if shown[key] is None else form.format(shown[key]) for key, (_, form) in COLUMNS.items()]


AGAINST: dict[str, tuple[str, str]] = {
    "dataset": ("dataset", "{}"),
    "strategy": ("strategy", "{}"),
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
    """A row of `bench.statistics.tables.against` as text."""
    shown = {
        **row,
        "interval": f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}",
        "discordant": f"{row['only_own']}/{row['only_reference']}",
        "non_inferior": f"{'yes' if row['non_inferior'] else 'no'} (margin {row['margin']:g})",
    }
    return ["-" if shown[key] is None else form.format(shown[key]) for key, (_, form) in AGAINST.items()]


def terminal(rows: list[dict[str, Any]]) -> Table:
    """A rich table."""
    return _table(COLUMNS, [cells(row) for row in rows])


def terminal_against(rows: list[dict[str, Any]]) -> Table:
    """The comparison with a reference as a rich table."""
    return _table(AGAINST, [cells_against(row) for row in rows], f"accuracy minus that of {rows[0]['reference']}")


def _table(columns: dict[str, tuple[str, str]], lines: list[list[str]], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left")
    for key, (heading, _) in columns.items():
        table.add_column(heading, justify="left" if key in ("dataset", "strategy") else "right")
    for line in lines:
        table.add_row(*line)
    return table


def markdown_against(rows: list[dict[str, Any]]) -> str:
    """The comparison with a reference as a Markdown table."""
    headings = [heading for heading, _ in AGAINST.values()]
    lines = [headings, ["---"] * len(headings), *(cells_against(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def latex(rows: list[dict[str, Any]]) -> str:
    """A LaTeX tabular (booktabs)."""
    return _latex(COLUMNS, [cells(row) for row in rows])


def latex_against(rows: list[dict[str, Any]]) -> str:
    """The comparison with a reference as a LaTeX tabular (booktabs)."""
    return _latex(AGAINST, [cells_against(row) for row in rows])


def _latex(columns: dict[str, tuple[str, str]], lines: list[list[str]]) -> str:
    headings = [heading for heading, _ in columns.values()]
    escaped = [[text.replace("%", r"\%").replace("_", r"\_") for text in line] for line in [headings, *lines]]
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
    headings = [heading for heading, _ in COLUMNS.values()]
    lines = [headings, ["---"] * len(headings), *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """CSV with every key of the rows."""
    return pd.DataFrame(rows).to_csv(index=False)


def as_json(rows: list[dict[str, Any]]) -> str:
    """A JSON list, null where a value does not apply."""
    return json.dumps(rows, indent=1, allow_nan=False)
