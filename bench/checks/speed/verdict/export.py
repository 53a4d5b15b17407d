"""A check in the formats of the usual services; its seconds are those of the working tree."""

from __future__ import annotations

from contextlib import chdir
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.checks.speed.conditions import CheckResult
from bench.checks.speed.gauge.operations import OPERATIONS
from bench.checks.speed.measuring.machine import fingerprint, software
from bench.checks.speed.measuring.process import ROOT, Rig
from bench.errors import UsageError


def github_rows(result: CheckResult, clock: str) -> list[dict[str, Any]]:
    """Rows for github-action-benchmark, tool `customSmallerIsBetter`: times first, then counters.

    Args:
        result: a check with its samples.
        clock: "cpu" or "wall".

    Returns:
        Rows of name, unit, value and range. The value of a time is the median over blocks in seconds, its range half
        the distance of the quartiles.
    """
    rows: list[dict[str, Any]] = []
    for operation, blocks_s in result.samples.block_seconds(clock, result.head).items():
        low, middle, high = np.quantile(blocks_s, (0.25, 0.5, 0.75)).tolist()
        extra = f"{len(blocks_s)} blocks of fresh processes"
        unit, spread = f"s ({clock})", f"± {(high - low) / 2:.3g}"
        rows.append({"name": operation, "unit": unit, "value": middle, "range": spread, "extra": extra})
    for operation, own in result.counted.counters.items():
        rows += [{"name": f"{operation} {name}", "unit": "count", "value": n} for name, n in own.items()]
    return rows


def pytest_benchmark_json(result: CheckResult, clock: str, rig: Rig) -> dict[str, Any]:
    """The JSON of pytest-benchmark, written by its own code.

    One benchmark an operation: its rounds are all samples of all blocks, and its counters are in extra_info.

    Raises:
        UsageError: pytest-benchmark is not installed.
    """
    try:
        from pytest_benchmark import plugin, utils
    except ImportError as error:
        raise UsageError(
            "--export-pytest-benchmark needs pytest-benchmark; install it with `pip install pytest-benchmark`"
        ) from error
    machine = {**fingerprint(rig.slides), "software": software(), **plugin.pytest_benchmark_generate_machine_info()}
    with chdir(ROOT):
        commit = utils.get_commit_info("jsma-bench")
    benchmarks = [
        _benchmark(operation, np.concatenate(sides[result.head]).tolist(), clock, result.counted.counters)
        for operation, sides in result.samples.seconds.get(clock, {}).items()
    ]
    return plugin.pytest_benchmark_generate_json(None, benchmarks, True, machine, commit)


def _benchmark(operation: str, seconds: list[float], clock: str, counters: dict[str, dict[str, int]]) -> Any:
    """A finished benchmark of pytest-benchmark, which computes the statistics."""
    from pytest_benchmark.stats import Metadata

    fixture = SimpleNamespace(
        name=operation,
        fullname=f"gate::{operation}",
        group="gate",
        param=None,
        params=None,
        extra_info={**counters.get(operation, {}), "clock": clock},
        cprofile_stats=None,
        has_error=False,
    )
    found = Metadata(fixture, OPERATIONS[operation].executions, {"timer": clock, "warmup": True})
    for sample_s in seconds:
        found.stats.update(sample_s)
    return found
