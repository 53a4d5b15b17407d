"""The check against another revision, measured beside this working tree in one job: no stored number is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.checks.speed.conditions import HERE, CheckResult, Conditions, group_turns
from bench.checks.speed.measuring.measure import Samples, count, measure
from bench.checks.speed.measuring.process import ROOT, Side
from bench.checks.speed.measuring.revision import revision
from bench.checks.speed.two_looks import Timing, look_twice
from bench.checks.speed.verdict import decide
from bench.checks.speed.verdict.counters import compare_counters
from bench.checks.speed.verdict.findings import Finding
from bench.errors import NotComparableError

Floors = Mapping[str, float]


def check_against(name: str, operations: Sequence[str], how: Conditions, floors: Floors | None) -> CheckResult:
    """This working tree against another revision: counters exactly, times in interleaved blocks.

    Args:
        name: the revision, as git takes it.
        operations: names of OPERATIONS.
        how: how to measure.
        floors: noise floor of operations on this machine, 0 for one that is not in it. None: nothing is timed.

    Raises:
        UsageError: no such revision.
        NotComparableError: the revision lacks a package, or its measuring process dies.
    """
    with revision(name) as base:
        return compare_sides(base, HERE, operations, how, floors)


def compare_sides(
    base: Side, head: Side, operations: Sequence[str], how: Conditions, floors: Floors | None
) -> CheckResult:
    """`head` against `base`; see `check_against`."""
    old, new = count((base, head), how.rig, operations)
    errors = {op: f"{side.name}: {text}" for side, c in ((base, old), (head, new)) for op, text in c.errors.items()}
    findings = [Finding("against", op, "failed", text) for op, text in errors.items()]
    moved = compare_counters(old.counters, new.counters, same_slides=True)
    findings += [finding for finding in moved if finding.name.split()[0] not in errors]
    if floors is None:
        return CheckResult(findings, new, head=head.name)
    timings = [
        Timing("against", op, (op,), max(how.limits.against, floors.get(op, 0.0)), _change_of(op, how, base, head))
        for op in operations
    ]
    timed, samples = look_twice((base, head), timings, errors, how)
    return CheckResult(findings + timed, new, samples, head.name)


def _change_of(operation: str, how: Conditions, base: Side, head: Side) -> Callable[[Samples], decide.Change | None]:
    def change(samples: Samples) -> decide.Change | None:
        sides = samples.seconds.get(how.clock, {}).get(operation)
        if sides is None:
            return None
        return decide.compare_paired(decide.log_ratios(sides[base.name], sides[head.name]))

    return change


def measure_noise(operations: Sequence[str], how: Conditions) -> dict[str, dict[str, float]]:
    """Noise floor by clock and operation, from this working tree against itself (an A/A run).

    Raises:
        NotComparableError: an operation cannot be run.
    """
    sides = (Side("a", ROOT), Side("b", ROOT))
    samples = measure(sides, how.rig, group_turns(operations), how.second_look, how.report)
    for text in samples.errors.get("a", {}).values():
        raise NotComparableError(f"the noise cannot be measured: {text}")
    return {
        clock: {
            operation: decide.noise_floor(decide.log_ratios(found["a"], found["b"]), how.second_look.blocks)
            for operation, found in by_operation.items()
        }
        for clock, by_operation in samples.seconds.items()
    }
