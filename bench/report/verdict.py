"""The comparison in sentences: what the rows say, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.report.material import Material
from bench.statistics.costs import pareto

ALPHA = 0.05


def verdicts(material: Material) -> list[str]:
    """Lines over all parts: the most accurate, then each strategy against the reference."""
    lines = []
    for part in material.parts:
        where = f"{part.dataset}{'' if part.settings is None else f' [{part.settings}]'}"
        lines.append(f"{where}: {_best(part.rows)}")
        rows = {row["strategy"]: row for row in part.rows}
        lines += [f"{where}: {against_line(row, rows[row['strategy']])}" for row in part.against]
        if not part.against and len(part.rows) > 1:
            missing = material.reference or "exhaustive"
            lines.append(f"{where}: no run of {missing} to set the others against")
    return lines


def _best(rows: Sequence[dict[str, Any]]) -> str:
    best = max(rows, key=lambda row: row["accuracy"])
    text = (
        f"highest accuracy {best['strategy']}, {best['accuracy']:.3f} "
        f"({best['accuracy_low']:.3f} to {best['accuracy_high']:.3f})"
    )
    seconds = pareto(list(rows), "inference_s_per_slide")
    return f"{text}; nothing more accurate in less inference time than {', '.join(seconds)}" if seconds else text


def against_line(row: dict[str, Any], own: dict[str, Any]) -> str:
    """One strategy against the reference. row: of `bench.statistics.tables.against`; own: its row of the table."""
    sure = f"Holm p {row['holm_p']:.2g}"
    if row["difference_low"] > 0 and row["holm_p"] < ALPHA:
        word = f"is more accurate than {row['reference']}"
    elif row["difference_high"] < 0 and row["holm_p"] < ALPHA:
        word = f"is less accurate than {row['reference']}"
    elif row["non_inferior"]:
        word = f"is not worse than {row['reference']} by more than the margin of {row['margin']:g}"
    elif row["difference_low"] > 0 or row["difference_high"] < 0:
        more = "more" if row["difference"] > 0 else "less"
        word = f"seems {more} accurate than {row['reference']} (by its interval; the corrected test does not confirm it)"
    else:
        word = f"does not surely differ from {row['reference']}, and may lose more than the margin of {row['margin']:g}"
    gap = f"{row['difference']:+.3f} ({row['difference_low']:+.3f} to {row['difference_high']:+.3f}), {sure}"
    key = f"inference_speedup_vs_{row['reference']}"
    return f"{row['strategy']} {word}: {gap}{_times(own, key)}"


def _times(own: dict[str, Any], key: str) -> str:
    if own.get(key) is None:
        return ""
    low, high = own.get(f"{key}_low"), own.get(f"{key}_high")
    sure = "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"
    return f"; inference {own[key]:.3g} times as fast{sure}"

