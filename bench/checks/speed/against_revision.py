"""The check against another revision, measured beside this working tree in one job: no stored number is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.checks.speed.conditions import HERE, Checked, Conditions, groups, judged
from bench.checks.speed.measuring.measure import Samples, count, measure
from bench.checks.speed.measuring.process import ROOT, Side
from bench.checks.speed.measuring.revision import revision
from bench.checks.speed.verdict import decide
from bench.checks.speed.verdict.counters import compare_counters
from bench.checks.speed.verdict.findings import Finding
from bench.errors import NotComparableError

Floors = Callable[[str], float] | None


def check_against(name: str, operations: Sequence[str], how: Conditions, floors: Floors) -> Checked:
    """This working tree against revision `name`: counters exactly, times in interleaved blocks.

    floors: noise floor of an operation on this machine; None: counters only, nothing is timed.
    """
    with revision(name) as base:
        return compare_sides(base, HERE, operations, how, floors)


def compare_sides(base: Side, head: Side, operations: Sequence[str], how: Conditions, floors: Floors) -> Checked:
    """`head` against `base`; see `check_against`."""
    old, new = count((base, head), how.rig, operations)
    errors = {op: f"{side.name}: {text}" for side, c in ((base, old), (head, new)) for op, text in c.errors.items()}
    findings = [Finding("against", op, "failed", text) for op, text in errors.items()]
    equal = compare_counters(old.counters, new.counters, same_slides=True)
    findings += [finding for finding in equal if finding.name.split()[0] not in errors]
    if floors is None:
        return Checked(findings, new, None, head.name)
    runnable = [operation for operation in operations if operation not in errors]
    timed, samples = _timings((base, head), runnable, how, floors)
    return Checked(findings + timed, new, samples, head.name)


def _timings(
    sides: tuple[Side, Side], operations: Sequence[str], how: Conditions, floors: Callable[[str], float]
) -> tuple[list[Finding], Samples]:
    """A slowdown that the first look suspects is looked at again in fresh blocks, which alone decide."""
    first = measure(sides, how.rig, groups(operations), how.amount, how.report)
    changes = _changes(first, how.clock, *sides)
    tolerance = {operation: max(how.limits.against, floors(operation)) for operation in operations}
    suspects = [op for op, change in changes.items() if decide.suspect(change, tolerance[op])]
    if suspects:
        second = measure(sides, how.rig, groups(suspects), how.second_look, how.report)
        again = _changes(second, how.clock, *sides)
        changes = {op: change for op, change in {**changes, **again}.items() if op in again or op not in suspects}
    return [judged("against", op, changes.get(op), tolerance[op], op in suspects) for op in operations], first


def _changes(samples: Samples, clock: str, base: Side, head: Side) -> dict[str, decide.Change]:
    return {
        operation: decide.paired(decide.log_ratios(sides[base.name], sides[head.name]))
        for operation, sides in samples.seconds.get(clock, {}).items()
    }


def calibrate(operations: Sequence[str], how: Conditions) -> dict[str, dict[str, float]]:
    """Noise floor by clock and operation: this working tree against itself (an A/A run)."""
    sides = (Side("a", ROOT), Side("b", ROOT))
    samples = measure(sides, how.rig, groups(operations), how.second_look, how.report)
    for text in samples.errors.get("a", {}).values():
        raise NotComparableError(f"the noise cannot be measured: {text}")
    return {
        clock: {
            operation: decide.noise_floor(decide.log_ratios(found["a"], found["b"]), how.second_look.blocks)
            for operation, found in by_operation.items()
        }
        for clock, by_operation in samples.seconds.items()
    }
