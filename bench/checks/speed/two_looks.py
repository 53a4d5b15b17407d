"""Timings are looked at twice: what the first look suspects is measured again, and the second look alone decides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from bench.checks.speed.conditions import Conditions, group_turns
from bench.checks.speed.measuring.measure import Samples, measure
from bench.checks.speed.measuring.process import Side
from bench.checks.speed.verdict.decide import Change, is_suspect
from bench.checks.speed.verdict.findings import Finding, Tier, judge_timing


@dataclass(frozen=True)
class Timing:
    """One timing to be judged.

    Attributes:
        tier: the kind of comparison.
        name: what is timed.
        operations: the operations that must be measured for it.
        limit: the change that is allowed (0.05 = 5 %).
        change: computes the change from samples; None where they lack an operation.
    """

    tier: Tier
    name: str
    operations: tuple[str, ...]
    limit: float
    change: Callable[[Samples], Change | None]


def look_twice(
    sides: Sequence[Side], timings: Sequence[Timing], broken: Collection[str], how: Conditions
) -> tuple[list[Finding], Samples]:
    """A finding for each timing, and the samples of the first look.

    Args:
        sides: the versions of the code that take turns.
        timings: what is judged.
        broken: operations that cannot be run, and are not tried.
        how: how to measure.
    """

    def look(at: Sequence[Timing], again: bool) -> Samples:
        named = dict.fromkeys(operation for timing in at for operation in timing.operations)
        operations = [operation for operation in named if operation not in broken]
        amount = how.second_look if again else how.amount
        return measure(sides, how.rig, group_turns(operations), amount, how.report)

    first = look(timings, again=False)
    changes = [timing.change(first) for timing in timings]
    pairs = zip(timings, changes, strict=True)
    suspects = [timing for timing, change in pairs if change is not None and is_suspect(change, timing.limit)]
    second = look(suspects, again=True) if suspects else Samples()
    findings = []
    for timing, change in zip(timings, changes, strict=True):
        again = timing in suspects
        change = timing.change(second) if again else change
        findings.append(judge_timing(timing.tier, timing.name, change, timing.limit, again))
    return findings, first
