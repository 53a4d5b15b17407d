"""The three tiers against a stored baseline: counters, same-run ratios, absolute times."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bench.checks.speed.baseline_file import Baseline
from bench.checks.speed.conditions import HERE, CheckResult, Conditions, group_turns
from bench.checks.speed.gauge.clocks import CLOCKS
from bench.checks.speed.gauge.operations import OPERATIONS, RATIOS
from bench.checks.speed.gauge.workload import Sizes
from bench.checks.speed.measuring.machine import fingerprint, software
from bench.checks.speed.measuring.measure import Samples, count, measure
from bench.checks.speed.measuring.process import Rig
from bench.checks.speed.measuring.revision import describe
from bench.checks.speed.measuring.slides import digest_slides
from bench.checks.speed.two_looks import Timing, look_twice
from bench.checks.speed.verdict import decide
from bench.checks.speed.verdict.counters import compare_counters
from bench.checks.speed.verdict.findings import Finding
from bench.errors import NotComparableError

TIERS = ("counters", "ratios", "absolute")


def take_baseline(how: Conditions, noise: Sequence[dict[str, Any]] = ()) -> Baseline:
    """Measure this working tree.

    Args:
        how: how to measure.
        noise: what is known of machines' noise; it goes into the baseline as it is.

    Raises:
        NotComparableError: an operation cannot be measured.
    """
    rig = how.rig
    counted = count((HERE,), rig, list(OPERATIONS))[0]
    samples = measure((HERE,), rig, group_turns(OPERATIONS), how.amount, how.report)
    for operation, text in {**counted.errors, **samples.errors.get(HERE.name, {})}.items():
        raise NotComparableError(f"{operation} cannot be measured, so there is no baseline: {text}")
    seconds = {clock: samples.block_seconds(clock, HERE.name) for clock in CLOCKS}
    return Baseline(
        machine=fingerprint(rig.slides),
        software=software(),
        commit=describe(),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        device=rig.device,
        threads=rig.threads,
        workers=rig.workers,
        slides=digest_slides(rig.slides),
        counters=counted.counters,
        seconds=seconds,
        ratios={clock: divide_blocks(own) for clock, own in seconds.items()},
        noise=list(noise),
    )


def divide_blocks(seconds: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Each ratio block by block, as far as both of its operations are in `seconds`."""
    return {
        name: [a / b for a, b in zip(seconds[top], seconds[bottom], strict=True)]
        for name, (top, bottom) in RATIOS.items()
        if top in seconds and bottom in seconds
    }


def check_stored(stored: Baseline, tiers: Collection[str] | None, how: Conditions) -> CheckResult:
    """This working tree against a stored baseline.

    Args:
        stored: the baseline.
        tiers: names of TIERS; None: all that can be compared here.
        how: how to measure.

    Raises:
        NotComparableError: the baseline is of other work, or a tier that is asked for cannot be compared.
    """
    _require_same_work(stored, how.rig)
    here, wanted = fingerprint(how.rig.slides), tiers or TIERS
    same_machine = here == stored.machine
    if tiers and "absolute" in tiers and not same_machine:
        raise NotComparableError(
            f"absolute: the baseline is of another machine ({_name_machine(stored.machine)}), this is "
            f"{_name_machine(here)}; save a baseline here, or use --against REV"
        )
    counted = count((HERE,), how.rig, list(OPERATIONS))[0]
    findings = [Finding("counters", op, "failed", text) for op, text in counted.errors.items()]
    if "counters" in wanted:
        found = compare_counters(stored.counters, counted.counters, digest_slides(how.rig.slides) == stored.slides)
        findings += [f for f in found if f.name.split()[0] not in counted.errors]
    if "absolute" in wanted and not same_machine:
        text = f"the baseline is of {_name_machine(stored.machine)}"
        findings.append(Finding("absolute", "all", "not compared", text))
    timings = _timings(stored, wanted, how, same_machine)
    if not timings:
        return CheckResult(findings, counted)
    timed, samples = look_twice((HERE,), timings, counted.errors, how)
    return CheckResult(findings + timed, counted, samples)


def _timings(stored: Baseline, wanted: Collection[str], how: Conditions, same_machine: bool) -> list[Timing]:
    floors = stored.floors(stored.machine, how.rig.device, how.clock) if same_machine else {}
    found = []
    if "ratios" in wanted:
        limit = how.limits.ratio if same_machine else how.limits.ratio_elsewhere
        for name, old in stored.ratios[how.clock].items():
            found.append(
                Timing("ratios", name, RATIOS.get(name, ()), limit, _change_from(old, name, how, divide_blocks))
            )
    if "absolute" in wanted and same_machine:
        for name, old in stored.seconds[how.clock].items():
            limit = max(how.limits.absolute, floors.get(name, 0.0))
            found.append(Timing("absolute", name, (name,), limit, _change_from(old, name, how, dict)))
    return found


def _change_from(
    old: Sequence[float], name: str, how: Conditions, values_of: Callable[[Any], dict[str, list[float]]]
) -> Callable[[Samples], decide.Change | None]:
    """The change of `values_of(seconds by operation)[name]` from `old`, as a function of samples."""

    def change(samples: Samples) -> decide.Change | None:
        new = values_of(samples.block_seconds(how.clock, HERE.name)).get(name)
        return decide.compare_unpaired(old, new) if new else None

    return change


def _require_same_work(stored: Baseline, rig: Rig) -> None:
    """NotComparableError unless the same work is measured in the same way."""
    if stored.sizes != asdict(Sizes()):
        raise NotComparableError("the baseline was measured on work of other sizes; save a new one")
    for name in ("device", "threads", "workers"):
        if getattr(stored, name) != getattr(rig, name):
            raise NotComparableError(f"the baseline has {name} {getattr(stored, name)}, asked is {getattr(rig, name)}")


def _name_machine(machine: Mapping[str, str]) -> str:
    return ", ".join(f"{value} cores" if key == "cores" else value for key, value in machine.items())
