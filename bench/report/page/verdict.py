"""The comparison in sentences: what the rows say, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.analysis.columns.column import format_interval
from bench.analysis.columns.results import COSTS, name_of, shown_name
from bench.analysis.fronts import pareto, pools
from bench.analysis.opponents import EVERYTHING
from bench.report.material import Material, Part

ALPHA = 0.05
SECONDS = COSTS["seconds"].key


@dataclass(frozen=True)
class Verdict:
    """One line. subject: the strategy, or the dataset and settings; says: in words; numbers: what that rests on."""

    subject: str
    says: str
    numbers: str = ""

    def __str__(self) -> str:
        return f"{self.subject} {self.says}" + (f": {self.numbers}" if self.numbers else "")


def verdicts(material: Material) -> list[Verdict]:
    """Lines over all parts: the most accurate, then each strategy against the reference."""
    lines = []
    for part in material.parts:
        where = "" if len(material.parts) == 1 else f"{part.dataset}: "
        lines += _best(where, part)
        rows = {entry.name: row for entry, row in part.pairs}
        lines += [_against(where, row, rows[row["name"]]) for row in part.against]
        if not part.against and len(part.rows) > 1:
            missing = material.reference or EVERYTHING[0]
            lines.append(Verdict(f"{where}{missing}", "was not run beside the others: nothing is set against it"))
    return lines


def _best(where: str, part: Part) -> list[Verdict]:
    best = max(part.rows, key=lambda row: row["accuracy"])
    interval = f"95 % interval {format_interval(best['accuracy_low'], best['accuracy_high'])}"
    names, said = shown_name(best), f"has the accuracy {best['accuracy']:.3f}; nothing is beside it"
    if part.leader is not None:
        names, said = ", ".join(part.leader.names), part.leader.said
    found = [Verdict(f"{where}{names}", said, interval)]
    for pool, rows in pools(part.rows, SECONDS).items():
        cheapest = pareto(rows, SECONDS)
        if not cheapest:
            continue
        lie = "lies" if len(cheapest) == 1 else "lie"
        said = f"{lie} on the front: no other is more accurate in the same inference time or less"
        place = where if pool == part.dataset else f"{pool}: "
        shown = {name_of(row): shown_name(row) for row in rows}
        found.append(Verdict(f"{place}{', '.join(shown[name] for name in cheapest)}", said))
    return found


def _against(where: str, row: dict[str, Any], own: dict[str, Any]) -> Verdict:
    """One strategy against the reference. row: of `bench.analysis.against.against`; own: its row of the table."""
    gap = f"{row['difference']:+.3f} ({format_interval(row['difference_low'], row['difference_high'], '+.3f')})"
    numbers = f"{gap}, Holm p {row['holm_p']:.2g}{_times(own, row['reference_shown'])}"
    return Verdict(f"{where}{row['shown']}", against_words(row), numbers)


def against_words(row: dict[str, Any]) -> str:
    """Sure only where the interval and the corrected test agree; else non-inferiority, or that nothing is known."""
    reference, margin = row["reference_shown"], f"the margin of {row['margin']:g}"
    more = "more" if row["difference"] > 0 else "less"
    low, high = row["difference_low"], row["difference_high"]
    if low is None:
        return f"is not set apart from {reference} by anything: one {row['clusters_are'][:-1]} shows no spread"
    apart = low > 0 or high < 0
    if apart and row["holm_p"] < ALPHA:
        return f"is {more} accurate than {reference}"
    if row["non_inferior"]:
        return f"is not worse than {reference} by more than {margin}"
    if apart:
        return f"seems {more} accurate than {reference}, by its interval; the corrected test does not confirm it"
    few = f": {verdict}" if (verdict := row["non_inferior_verdict"]).startswith("too few") else ""
    return f"does not surely differ from {reference}; a loss above {margin} is not excluded{few}"


def _times(own: dict[str, Any], reference: str) -> str:
    key = "inference_speedup_vs_everything"
    if own.get(key) is None or own.get("speedup_reference") != reference:
        return ""
    low, high = own.get(f"{key}_low"), own.get(f"{key}_high")
    sure = "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"
    return f"; inference {own[key]:.3g} times as fast{sure}"
