"""One table over finished runs, recomputed from their raw rows; its columns are `bench.analysis.columns.results`."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.columns.column import Row, compute_row
from bench.analysis.columns.results import ALL
from bench.analysis.entries import Entry, group_runs
from bench.analysis.fronts import mark_fronts
from bench.analysis.measured import Measured, Times
from bench.runs.kept.finished import FinishedRun


def compare(runs: Sequence[FinishedRun]) -> list[Row]:
    """One row per dataset, strategy and settings (`bench.analysis.entries.group_runs`).

    Speed-ups are geometric means of paired ratios: training by (data, settings, fold, seed), inference by slide
    within the interleaved inference of one run. A value is None where it cannot be told, such as a speed-up over an
    opponent that was not run beside it.

    Args:
        runs: Finished runs of one or more datasets.

    Returns:
        Rows with the keys of `bench.analysis.columns.results.ALL`; datasets by name, strategies as they appear.
    """
    return compute_rows(group_runs(runs))


def compute_rows(found: Sequence[Entry]) -> list[Row]:
    """`compare` of runs that are sorted into entries already."""
    rows = []
    for dataset in dict.fromkeys(entry.dataset for entry in found):
        own = [entry for entry in found if entry.dataset == dataset]
        times = Times(own)
        rows += [compute_row(ALL, Measured(entry, times)) for entry in own]
    mark_fronts(rows)
    return rows
