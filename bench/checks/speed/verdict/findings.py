"""What a check finds, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.checks.speed.verdict.decide import Change
from bench.errors import NOT_COMPARABLE, OK, PARTIAL, REGRESSION

Tier = Literal["counters", "ratios", "absolute", "against"]
Verdict = Literal["ok", "improved", "regression", "failed", "not compared"]


@dataclass(frozen=True)
class Finding:
    """One comparison. tier, name: what was compared; text: the reason of a verdict other than ok; base, head: the
    values (counts, or seconds, or a ratio of seconds); change: with its interval, for timings; tolerance: of it.
    """

    tier: Tier
    name: str
    verdict: Verdict
    text: str = ""
    base: float | None = None
    head: float | None = None
    change: Change | None = None
    tolerance: float | None = None


def exit_code(findings: Sequence[Finding]) -> int:
    """1 a regression; 3 something could not be measured; 4 nothing could be compared; 0 otherwise."""
    verdicts = {finding.verdict for finding in findings}
    if "regression" in verdicts:
        return REGRESSION
    if "failed" in verdicts:
        return PARTIAL
    if not verdicts & {"ok", "improved"}:
        return NOT_COMPARABLE
    return OK
