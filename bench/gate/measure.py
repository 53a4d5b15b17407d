"""Blocks: fresh processes, one for each side, that take turns on every operation."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.gate.process import Measuring, Rig, Side

Report = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Amount:
    """How much is measured. blocks: fresh processes a side; samples: of every operation, in each block;
    budget_s: an operation gets no more samples in a block once it has used so many wall seconds on a side (at least
    3 samples)."""

    blocks: int = 6
    samples: int = 9
    budget_s: float = 2.0


@dataclass
class Samples:
    """seconds[clock][operation][side][block] = list of seconds, in the order in which the sides took turns.

    errors[side][operation] says why an operation could not be run.
    """

    seconds: dict[str, dict[str, dict[str, list[list[float]]]]] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, operation: str, side: str, block: list[dict[str, float]]) -> None:
        """Append one block."""
        for clock in ("cpu", "wall"):
            by_side = self.seconds.setdefault(clock, {}).setdefault(operation, {})
            by_side.setdefault(side, []).append([sample[clock] for sample in block])


def count(side: Side, rig: Rig, operations: Sequence[str]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Exact counters of one execution by operation, and errors by operation."""
    counters, errors = {}, {}
    with Measuring(side, rig, count=True) as process:
        process.check_root()
        for operation in operations:
            answer = process.ask("prepare", operation=operation)
            if "error" in answer:
                errors[operation] = answer["error"]
            else:
                counters[operation] = answer["counters"]
    return counters, errors


def measure(
    sides: Sequence[Side], rig: Rig, operations: Sequence[str], amount: Amount, seed: int, report: Report
) -> Samples:
    """Every operation on every side, interleaved sample by sample, in blocks of fresh processes.

    Within a block the sides take turns in an order drawn anew for each turn, so that whatever else the machine does
    hits both; over blocks, memory lies elsewhere, which alone moves a time by some per cent.
    """
    found, order = Samples(), random.Random(seed)
    for block in range(amount.blocks):
        report("measuring", block, amount.blocks)
        with ExitStack() as stack:
            started = [stack.enter_context(Measuring(s, rig)) for s in order.sample(list(sides), len(sides))]
            _block(started, operations, amount, order, found)
    report("measuring", amount.blocks, amount.blocks)
    return found


def _block(
    processes: list[Measuring], operations: Sequence[str], amount: Amount, order: random.Random, found: Samples
) -> None:
    for process in processes:
        process.check_root()
    for operation in order.sample(list(operations), len(operations)):
        ready = True
        for process in processes:
            answer = process.ask("prepare", operation=operation)
            if "error" in answer:
                found.errors.setdefault(process.side.name, {})[operation] = answer["error"]
                ready = False
        if ready:
            for side, samples in _turns(processes, operation, amount, order).items():
                found.add(operation, side, samples)


def _turns(
    processes: list[Measuring], operation: str, amount: Amount, order: random.Random
) -> dict[str, list[dict[str, float]]]:
    taken: dict[str, list[dict[str, float]]] = {process.side.name: [] for process in processes}
    spent_s = 0.0
    for number in range(amount.samples):
        if number >= 3 and spent_s > amount.budget_s * len(processes):
            break
        for process in order.sample(processes, len(processes)):
            sample = process.ask("time", operation=operation)
            taken[process.side.name].append(sample)
            spent_s += sample["wall"]
    return taken
