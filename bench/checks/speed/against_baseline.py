"""The three tiers against a stored baseline: counters, same-run ratios, absolute times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bench.checks.speed.baseline_file import Baseline
from bench.checks.speed.conditions import HERE, Checked, Conditions, groups, judged
from bench.checks.speed.gauge.operations import OPERATIONS, RATIOS
from bench.checks.speed.gauge.workload import Sizes
from bench.checks.speed.measuring.machine import fingerprint, software
from bench.checks.speed.measuring.measure import Counted, Samples, count, measure
from bench.checks.speed.measuring.process import Rig
from bench.checks.speed.measuring.revision import described
from bench.checks.speed.measuring.slides import digest
from bench.checks.speed.verdict import decide
from bench.checks.speed.verdict.counters import compare_counters
from bench.checks.speed.verdict.findings import Finding, Tier
from bench.errors import NotComparableError


def take(how: Conditions, noise: list[dict[str, Any]] | None = None) -> tuple[Baseline, Samples]:
    """Measure this working tree, as a baseline and as raw samples. NotComparableError if an operation fails."""
    counted = count((HERE,), how.rig, list(OPERATIONS))[0]
    samples = measure((HERE,), how.rig, groups(list(OPERATIONS)), how.amount, how.report)
    for operation, text in {**counted.errors, **samples.errors.get(HERE.name, {})}.items():
        raise NotComparableError(f"{operation} cannot be measured, so there is no baseline: {text}")
    return _baseline(how, counted, samples, noise or []), samples


def _baseline(how: Conditions, counted: Counted, samples: Samples, noise: list[dict[str, Any]]) -> Baseline:
    seconds = {
        clock: {
            operation: [decide.block_seconds(block) for block in sides[HERE.name]]
            for operation, sides in by_operation.items()
        }
        for clock, by_operation in samples.seconds.items()
    }
    return Baseline(
        machine=fingerprint(how.rig.slides),
        software=software(),
        commit=described(),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        device=how.rig.device,
        threads=how.rig.threads,
        workers=how.rig.workers,
        slides=digest(how.rig.slides),
        counters=counted.counters,
        seconds=seconds,
        ratios={clock: _ratios(by_operation) for clock, by_operation in seconds.items()},
        noise=noise,
    )


def _ratios(seconds: dict[str, list[float]]) -> dict[str, list[float]]:
    """Seconds of one operation over another's, block by block, for each ratio both of whose operations are there."""
    return {
        name: [a / b for a, b in zip(seconds[top], seconds[bottom], strict=True)]
        for name, (top, bottom) in RATIOS.items()
        if top in seconds and bottom in seconds
    }


def check_stored(stored: Baseline, tiers: Sequence[str] | None, how: Conditions) -> Checked:
    """This working tree against `stored`. tiers None: all that can be compared here; a tier that is asked for by name
    and cannot be compared raises NotComparableError.
    """
    wanted = tuple(tiers) if tiers is not None else ("counters", "ratios", "absolute")
    _same_work(stored, how.rig)
    same_machine = fingerprint(how.rig.slides) == stored.machine
    if tiers is not None and "absolute" in tiers and not same_machine:
        raise NotComparableError(
            f"absolute: the baseline is of another machine ({_told(stored.machine)}), this is "
            f"{_told(fingerprint(how.rig.slides))}; save a baseline here, or use --against REV"
        )
    counted, findings = count((HERE,), how.rig, list(OPERATIONS))[0], []
    if "counters" in wanted:
        findings += compare_counters(stored.counters, counted.counters, digest(how.rig.slides) == stored.slides)
        findings = [f for f in findings if f.name.split()[0] not in counted.errors]
    findings += [Finding("counters", op, "failed", text) for op, text in counted.errors.items()]
    timed: list[Tier] = []
    if "ratios" in wanted:
        timed.append("ratios")
    if "absolute" in wanted and same_machine:
        timed.append("absolute")
    samples = None
    if timed:
        operations = [op for op in OPERATIONS if op not in counted.errors]
        if "absolute" not in timed:
            operations = [op for op in operations if any(op in pair for pair in RATIOS.values())]
        more, samples = _stored_times(stored, timed, operations, how, same_machine)
        findings += more
    if "absolute" in wanted and not same_machine:
        findings.append(Finding("absolute", "all", "not compared", f"the baseline is of {_told(stored.machine)}"))
    return Checked(findings, counted, samples)


def _stored_times(
    stored: Baseline, tiers: Sequence[Tier], operations: Sequence[str], how: Conditions, same_machine: bool
) -> tuple[list[Finding], Samples]:
    limits = how.limits
    tolerance: dict[Tier, float]
    tolerance = {"ratios": limits.ratio if same_machine else limits.ratio_elsewhere, "absolute": limits.absolute}
    first = measure((HERE,), how.rig, groups(operations), how.amount, how.report)
    values = _by_tier(first, how, tiers)
    old: dict[Tier, dict[str, list[float]]]
    old = {"ratios": stored.ratios[how.clock], "absolute": stored.seconds[how.clock]}

    def floor(name: str) -> float:
        return stored.floor(stored.machine, how.rig.device, how.clock, name) if same_machine else 0.0

    limit = {key: max(tolerance[key[0]], floor(key[1])) for key in values}
    changes = {key: decide.unpaired(old[key[0]][key[1]], new) for key, new in values.items() if key[1] in old[key[0]]}
    suspects = [key for key, change in changes.items() if decide.suspect(change, limit[key])]
    if suspects:
        names = {name for tier, key in suspects for name in (RATIOS[key] if tier == "ratios" else (key,))}
        suspected = groups([operation for operation in OPERATIONS if operation in names])
        second = measure((HERE,), how.rig, suspected, how.second_look, how.report)
        fresh = _by_tier(second, how, tiers)
        for key in suspects:
            changes.pop(key)  # the first look alone decides nothing
            if key in fresh:
                changes[key] = decide.unpaired(old[key[0]][key[1]], fresh[key])
    findings = [
        judged(tier, name, changes.get((tier, name)), limit.get((tier, name), 0.0), (tier, name) in suspects)
        for tier in tiers
        for name in old[tier]
    ]
    return findings, first


def _by_tier(samples: Samples, how: Conditions, tiers: Sequence[Tier]) -> dict[tuple[Tier, str], list[float]]:
    seconds = {
        operation: [decide.block_seconds(block) for block in sides[HERE.name]]
        for operation, sides in samples.seconds.get(how.clock, {}).items()
    }
    found: dict[tuple[Tier, str], list[float]] = {}
    if "ratios" in tiers:
        found |= {("ratios", name): values for name, values in _ratios(seconds).items()}
    if "absolute" in tiers:
        found |= {("absolute", name): values for name, values in seconds.items()}
    return found


def _same_work(stored: Baseline, rig: Rig) -> None:
    """NotComparableError unless the same work is measured in the same way."""
    if stored.sizes != asdict(Sizes()):
        raise NotComparableError("the baseline was measured on work of other sizes; save a new one")
    for name in ("device", "threads", "workers"):
        if getattr(stored, name) != getattr(rig, name):
            raise NotComparableError(f"the baseline has {name} {getattr(stored, name)}, asked is {getattr(rig, name)}")


def _told(machine: dict[str, str]) -> str:
    return ", ".join(f"{value}" if key != "cores" else f"{value} cores" for key, value in machine.items())
