"""A check or a baseline in the formats of the usual services. Seconds are of the working tree."""

from __future__ import annotations

import statistics
from typing import Any

from bench.checks.speed.gauge.operations import OPERATIONS
from bench.checks.speed.measuring.measure import Samples
from bench.checks.speed.verdict.decide import block_seconds

Counters = dict[str, dict[str, int]]


def github_action_benchmark(samples: Samples, side: str, clock: str, counters: Counters) -> list[dict[str, Any]]:
    """`customSmallerIsBetter` of github-action-benchmark: name, unit, value, range; counters follow the times.

    The value of a time is the median over blocks, its range half the distance of the quartiles.
    """
    rows: list[dict[str, Any]] = []
    for operation, sides in samples.seconds.get(clock, {}).items():
        values = [block_seconds(block) for block in sides[side]]
        half = _half_range(values)
        rows.append(
            {
                "name": operation,
                "unit": f"s ({clock})",
                "value": statistics.median(values),
                "range": f"± {half:.3g}",
                "extra": f"{len(values)} blocks of fresh processes",
            }
        )
    for operation, own in counters.items():
        rows += [{"name": f"{operation} {name}", "unit": "count", "value": n} for name, n in own.items()]
    return rows


def _half_range(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    quartiles = statistics.quantiles(values, n=4)
    return (quartiles[2] - quartiles[0]) / 2


def pytest_benchmark(
    samples: Samples, side: str, clock: str, counters: Counters, about: dict[str, Any]
) -> dict[str, Any]:
    """The JSON of pytest-benchmark (read by its `compare` command, Bencher, CodSpeed and others).

    about: {"machine": fingerprint, "software": versions, "commit", "made": ISO time}. One benchmark an operation, its
    rounds are all samples of all blocks; counters are in extra_info.
    """
    commit = about["commit"].removesuffix("-dirty")
    return {
        "machine_info": {
            "cpu": {"brand_raw": about["machine"]["cpu"], "count": int(about["machine"]["cores"])},
            "python_version": about["software"]["python"],
            **about["machine"],
            "software": about["software"],
        },
        "commit_info": {
            "id": commit,
            "time": about["made"],
            "dirty": about["commit"].endswith("-dirty"),
            "project": "jsma-bench",
            "branch": "",
            "author_time": about["made"],
        },
        "benchmarks": [
            _benchmark(operation, [s for block in sides[side] for s in block], clock, counters.get(operation, {}))
            for operation, sides in samples.seconds.get(clock, {}).items()
        ],
        "datetime": about["made"],
        "version": "5.0.0",
    }


def _benchmark(operation: str, data: list[float], clock: str, counters: dict[str, int]) -> dict[str, Any]:
    return {
        "group": "gate",
        "name": operation,
        "fullname": f"gate::{operation}",
        "params": None,
        "param": None,
        "extra_info": {**counters, "clock": clock},
        "options": {
            "disable_gc": False,
            "timer": clock,
            "min_rounds": 1,
            "max_time": 0.0,
            "min_time": 0.0,
            "warmup": True,
        },
        "stats": {**_statistics(data), "data": data, "iterations": OPERATIONS[operation].executions},
    }


def _statistics(data: list[float]) -> dict[str, Any]:
    ordered, mean = sorted(data), statistics.fmean(data)
    spread = statistics.stdev(data) if len(data) > 1 else 0.0
    q1, median, q3 = statistics.quantiles(data, n=4) if len(data) > 1 else [mean] * 3
    inside = [v for v in ordered if q1 - 1.5 * (q3 - q1) <= v <= q3 + 1.5 * (q3 - q1)] or ordered
    stray = sum(abs(v - mean) > spread for v in data)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": spread,
        "rounds": len(data),
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": len(data) - len(inside),
        "stddev_outliers": stray,
        "outliers": f"{stray};{len(data) - len(inside)}",
        "ld15iqr": inside[0],
        "hd15iqr": inside[-1],
        "ops": len(data) / sum(data),
        "total": sum(data),
    }
