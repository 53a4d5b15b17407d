"""What the checks share: how to measure, by how much a time may grow, and what a check hands back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from bench.checks.speed.gauge.operations import OPERATIONS, RATIOS
from bench.checks.speed.measuring.measure import Amount, Counted, Samples
from bench.checks.speed.measuring.process import ROOT, Rig, Side
from bench.checks.speed.verdict.findings import Finding
from bench.progress import Quiet, Report

HERE = Side("working tree", ROOT)
CONFIRMING = 16  # blocks of the second look
SOLO = tuple(name for name in OPERATIONS if not name.endswith("_exhaustive"))
"""Operations that `--against` compares; the exhaustive ones are there for the ratios."""


@dataclass(frozen=True)
class Limits:
    """By how much the lower bound of a time must be higher to fail (0.05 = 5 %).

    Attributes:
        against: times of another revision that is measured in the same job.
        ratio: ratios within one run, on the machine of the baseline.
        ratio_elsewhere: the same on another machine, where the balance of decoding and encoding differs.
        absolute: stored times, on the machine of the baseline.
    """

    against: float = 0.05
    ratio: float = 0.10
    ratio_elsewhere: float = 0.50
    absolute: float = 0.25


@dataclass(frozen=True)
class Conditions:
    """How to check.

    Attributes:
        rig: what the measuring processes share.
        amount: how much the first look measures.
        clock: the clock that decides, "cpu" or "wall".
        limits: what is allowed.
        report: is told the progress.
    """

    rig: Rig
    amount: Amount = field(default_factory=Amount)
    clock: str = "cpu"
    limits: Limits = field(default_factory=Limits)
    report: Report = field(default_factory=Quiet)

    @property
    def second_look(self) -> Amount:
        """More blocks, for the few operations that are suspected."""
        return replace(self.amount, blocks=max(CONFIRMING, self.amount.blocks))


@dataclass(frozen=True)
class CheckResult:
    """Findings, and the measurements of the working tree that exports write.

    Attributes:
        findings: one for each comparison.
        counted: exact counters of the working tree.
        samples: seconds of the first look; empty where nothing was timed.
        head: name of the side that is the working tree.
    """

    findings: list[Finding]
    counted: Counted
    samples: Samples = field(default_factory=Samples)
    head: str = HERE.name


def group_turns(operations: Collection[str]) -> list[tuple[str, ...]]:
    """Operations that take turns with one another: the two of a ratio, or one alone."""
    pairs = [pair for pair in RATIOS.values() if set(pair) <= set(operations)]
    in_pairs = {name for pair in pairs for name in pair}
    return [*pairs, *((name,) for name in operations if name not in in_pairs)]
