"""Blocks: fresh processes, one for each side, that take turns on every operation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.checks.speed.gauge.clocks import CLOCKS
from bench.checks.speed.measuring.process import Measuring, Rig, Side
from bench.checks.speed.verdict.decide import block_seconds
from bench.progress import Report

LEAST_SAMPLES = 3


@dataclass(frozen=True)
class Amount:
    """How much is measured.

    Attributes:
        blocks: fresh processes a side.
        samples: samples of every operation in each block.
        budget_s: wall seconds in a block after which an operation gets no further sample.
    """

    blocks: int = 5
    samples: int = 12
    budget_s: float = 1.5


@dataclass
class Samples:
    """What was timed.

    Attributes:
        seconds: by clock, operation and side: blocks, each a list of seconds in the order in which turns were taken.
        errors: by side and operation: why it could not be run.
    """

    seconds: dict[str, dict[str, dict[str, list[list[float]]]]] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, operation: str, side: str, block: list[dict[str, float]]) -> None:
        """Append one block."""
        for clock in CLOCKS:
            by_side = self.seconds.setdefault(clock, {}).setdefault(operation, {})
            by_side.setdefault(side, []).append([sample[clock] for sample in block])

    def block_seconds(self, clock: str, side: str) -> dict[str, list[float]]:
        """Seconds of one side by operation, one value a block."""
        by_operation = self.seconds.get(clock, {})
        return {name: [block_seconds(block) for block in sides[side]] for name, sides in by_operation.items()}


@dataclass(frozen=True)
class Counted:
    """Exact counters of one execution, by operation, and errors by operation."""

    counters: dict[str, dict[str, int]]
    errors: dict[str, str]


def count(sides: Sequence[Side], rig: Rig, operations: Sequence[str]) -> list[Counted]:
    """Run each operation once for each side, in a process that decodes by itself and counts what it decodes.

    Raises:
        NotComparableError: a process dies, or runs other code than its side's.
    """
    with ExitStack() as stack:
        started = [stack.enter_context(Measuring(side, rig, count=True)) for side in sides]  # they start side by side
        return [_count_one(process, operations) for process in started]


def _count_one(process: Measuring, operations: Sequence[str]) -> Counted:
    found = Counted({}, {})
    process.check_root()
    for operation in operations:
        answer = process.ask("prepare", operation=operation)
        if "error" in answer:
            found.errors[operation] = answer["error"]
        else:
            found.counters[operation] = answer["counters"]
    return found


def measure(
    sides: Sequence[Side], rig: Rig, groups: Sequence[Sequence[str]], amount: Amount, report: Report
) -> Samples:
    """Time every group of operations in blocks; within a group, all operations of all sides take turns.

    The order is drawn anew for each turn, so that whatever else the machine does hits all sides alike. Each block has
    fresh processes, because memory lies elsewhere in each, which alone moves a time by some per cent.

    Raises:
        NotComparableError: a process dies, or runs other code than its side's.
    """
    found, order = Samples(), random.Random()
    for block in range(amount.blocks):
        report("measuring", block, amount.blocks)
        with ExitStack() as stack:
            started = [stack.enter_context(Measuring(s, rig)) for s in order.sample(list(sides), len(sides))]
            for process in started:
                process.check_root()
            for group in order.sample(list(groups), len(groups)):
                _take_turns(started, group, amount, order, found)
    report("measuring", amount.blocks, amount.blocks)
    return found


def _take_turns(
    processes: list[Measuring], group: Sequence[str], amount: Amount, order: random.Random, found: Samples
) -> None:
    runnable = []
    for operation in group:
        errors = {p.side.name: p.ask("prepare", operation=operation).get("error") for p in processes}
        for side, error in errors.items():
            if error is not None:
                found.errors.setdefault(side, {})[operation] = error
        if not any(errors.values()):
            runnable += [(process, operation) for process in processes]
    taken: list[list[dict[str, float]]] = [[] for _ in runnable]
    for number in range(amount.samples):
        spent_s = max((sum(s["wall"] for s in samples) for samples in taken), default=0.0)
        if number >= LEAST_SAMPLES and spent_s > amount.budget_s:
            break
        for index in order.sample(range(len(runnable)), len(runnable)):
            process, operation = runnable[index]
            taken[index].append(process.ask("time", operation=operation))
    for (process, operation), samples in zip(runnable, taken, strict=True):
        found.add(operation, process.side.name, samples)
