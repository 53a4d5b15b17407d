"""What the checks share: how to measure, the limits, and the verdict on one timing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bench.checks.speed.gauge.operations import OPERATIONS, RATIOS
from bench.checks.speed.measuring.measure import Amount, Counted, Samples
from bench.checks.speed.measuring.process import ROOT, Rig, Side
from bench.checks.speed.verdict import decide
from bench.checks.speed.verdict.findings import Finding, Tier
from bench.progress import Quiet, Report

HERE = Side("working tree", ROOT)
CONFIRMING = 16  # blocks of the second look
SOLO = tuple(name for name in OPERATIONS if not name.endswith("_exhaustive"))
"""Operations that `--against` compares; the exhaustive ones are there for the ratios."""


@dataclass(frozen=True)
class Limits:
    """By how much a bound must be slower to fail (0.05 = 5 %): `against` another revision in the same job; a same-run
    ratio here and on a machine other than the baseline's (there, the balance of decoding and encoding differs);
    absolute times against stored ones.
    """

    against: float = 0.05
    ratio: float = 0.10
    ratio_elsewhere: float = 0.50
    absolute: float = 0.25


@dataclass(frozen=True)
class Conditions:
    """How to check: where to measure, how much, the clock that decides ("cpu" or "wall"), the limits."""

    rig: Rig
    amount: Amount = field(default_factory=Amount)
    clock: str = "cpu"
    limits: Limits = field(default_factory=Limits)
    report: Report = field(default_factory=Quiet)

    @property
    def second_look(self) -> Amount:
        """More blocks, for the few operations that are suspected."""
        return replace(self.amount, blocks=max(CONFIRMING, self.amount.blocks))


@dataclass
class Checked:
    """Findings, and the raw material of the head's side for exports."""

    findings: list[Finding]
    counted: Counted | None = None
    samples: Samples | None = None
    head: str = HERE.name


def groups(operations: Sequence[str]) -> list[tuple[str, ...]]:
    """Operations that take turns with one another: the two of a ratio, or one alone."""
    pairs = [pair for pair in RATIOS.values() if set(pair) <= set(operations)]
    paired = {name for pair in pairs for name in pair}
    return [*pairs, *((name,) for name in operations if name not in paired)]


def judged(tier: Tier, name: str, change: decide.Change | None, tolerance: float, again: bool) -> Finding:
    """The verdict on one timing. again: `change` is of the second look, without which nothing fails."""
    if change is None:
        return Finding(tier, name, "failed", "it could not be timed")
    verdict, text = "ok", "suspected at first, not seen again" if again else ""
    if again and decide.regressed(change, tolerance):
        verdict = "regression"
        text = f"{change.ratio - 1:+.1%} (at least {change.low - 1:+.1%}), seen again in a second look"
    elif change.high < 1 - tolerance:
        verdict, text = "improved", f"{change.ratio - 1:+.1%}"
    return Finding(tier, name, verdict, text, change=change, tolerance=tolerance)
