"""What a check finds, as lines for people and as plain data, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.checks.speed.verdict.decide import Change, is_slower
from bench.errors import NOT_COMPARABLE, OK, PARTIAL, REGRESSION

Tier = Literal["counters", "ratios", "absolute", "against"]
Verdict = Literal["ok", "improved", "regression", "failed", "not compared"]
WORDS = {
    OK: "passed",
    REGRESSION: "REGRESSION",
    PARTIAL: "partial: something could not be measured",
    NOT_COMPARABLE: "nothing could be compared",
}


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        tier: the kind of comparison.
        name: what was compared.
        verdict: what came out.
        text: the reason of a verdict other than ok.
        base: the earlier value: a count, seconds, or a ratio of seconds.
        head: the value of the working tree.
        change: for timings, by how much it changed, with its interval.
        tolerance: for timings, the change that is allowed (0.05 = 5 %).
    """

    tier: Tier
    name: str
    verdict: Verdict
    text: str = ""
    base: float | None = None
    head: float | None = None
    change: Change | None = None
    tolerance: float | None = None


def judge_timing(tier: Tier, name: str, change: Change | None, tolerance: float, second_look: bool) -> Finding:
    """The verdict on one timing.

    Args:
        tier: the kind of comparison.
        name: what was timed.
        change: what was measured; None where it could not be timed.
        tolerance: the change that is allowed (0.05 = 5 %).
        second_look: whether `change` is of the second look. The first look alone fails nothing.
    """
    if change is None:
        return Finding(tier, name, "failed", "it could not be timed")
    verdict, text = "ok", "suspected at first, not seen again" if second_look else ""
    if second_look and is_slower(change, tolerance):
        verdict = "regression"
        text = f"{change.ratio - 1:+.1%} (at least {change.low - 1:+.1%}), seen again in a second look"
    elif change.high < 1 - tolerance:
        verdict, text = "improved", f"{change.ratio - 1:+.1%}"
    return Finding(tier, name, verdict, text, change=change, tolerance=tolerance)


def exit_code(findings: Sequence[Finding]) -> int:
    """1 a regression; 3 something could not be measured; 4 nothing could be compared; 0 otherwise."""
    verdicts = {finding.verdict for finding in findings}
    if "regression" in verdicts:
        return REGRESSION
    if "failed" in verdicts:
        return PARTIAL
    return OK if verdicts & {"ok", "improved"} else NOT_COMPARABLE


def write_lines(findings: Sequence[Finding]) -> list[str]:
    """Timings one by one; of counters only those that moved or could not be compared, then how many agree."""
    found = [_line(f) for f in findings if f.tier != "counters" or f.verdict != "ok"]
    agree = sum(f.tier == "counters" and f.verdict == "ok" for f in findings)
    if agree:
        found.append(f"counters: {agree} agree exactly")
    return [*found, f"gate: {WORDS[exit_code(findings)]}"]


def _line(finding: Finding) -> str:
    text = f"{finding.verdict:12}  {finding.tier:8}  {finding.name:26}"
    if finding.change is not None:
        c = finding.change
        text += f"  x {c.ratio:.3f} ({c.low:.3f}-{c.high:.3f}), {c.blocks} blocks, limit {finding.tolerance:.0%}"
    return f"{text}  {finding.text}".rstrip()


def as_data(findings: Sequence[Finding], **about: Any) -> dict[str, Any]:
    """The findings as plain data for `--json`, with what `about` says of the check."""
    return {"exit_code": exit_code(findings), **about, "findings": [asdict(finding) for finding in findings]}
