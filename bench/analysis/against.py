"""Comparisons of each strategy with a reference on the same slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.columns.column import Row, compute_row
from bench.analysis.columns.pairs import PAIRS
from bench.analysis.entries import Entry, find_beside
from bench.analysis.opponents import choose_everything
from bench.analysis.statistics.intervals import least_clusters
from bench.analysis.statistics.pairs import Difference, corrected_t, difference, holm
from bench.errors import UsageError
from bench.runs.kept.finished import FinishedRun


@dataclass(frozen=True)
class Pair:
    """An entry beside its reference, over the trainings that both have.

    Attributes:
        own: The entry.
        reference: What it is set against.
        difference: Accuracy of the entry minus the reference's.
        t_p: p of Nadeau and Bengio's corrected t-test over the trainings; None where it cannot be told.
        trainings: How many trainings (folds and seeds) both have.
        margin: Of non-inferiority, in accuracy, above 0 and below 1.
    """

    own: Entry
    reference: Entry
    difference: Difference
    t_p: float | None
    trainings: int
    margin: float

    @property
    def least(self) -> int:
        """The fewest slides or patients that could show non-inferiority."""
        return least_clusters(self.margin)


def compare_with_references(found: Sequence[Entry], references: dict[str, str], margin: float) -> list[Row]:
    """One row per dataset, strategy and settings but the reference: difference of accuracy, tests, non-inferiority.

    The reference is taken in the same settings, or in the only ones that it was run in.

    Args:
        found: All entries.
        references: Dataset -> a strategy, or one row of the table by name, such as `exhaustive[epochs=80]`.
        margin: Of non-inferiority, in accuracy, above 0 and below 1.

    Returns:
        Rows with the keys of `bench.analysis.columns.pairs.PAIRS`. mcnemar_p is exact; holm_p corrects it over all
        rows of the dataset; t_p is Nadeau and Bengio's corrected t-test over the trainings that both have.

    Raises:
        UsageError: The margin is not above 0 and below 1.
    """
    pairs = []
    for entry in found:
        name = references.get(entry.dataset)
        other = None if name is None else _find_reference(entry, found, name)
        if other is not None and other is not entry:
            pairs.append((entry, other))
    return _test_pairs(pairs, margin)


def compare_all_pairs(found: Sequence[Entry], margin: float) -> list[Row]:
    """As `compare_with_references`, every entry with every one before it: holm_p corrects over all pairs."""
    return _test_pairs([(b, a) for a, b in combinations(found, 2) if a.dataset == b.dataset], margin)


def choose_references(found: Sequence[Entry], asked: str | None) -> dict[str, str]:
    """Dataset -> the strategy or row that others are set against: the one asked for, else what reads everything.

    Raises:
        UsageError: The one asked for was not run.
    """
    datasets = list(dict.fromkeys(entry.dataset for entry in found))
    if asked is None:
        return {name: known for name in datasets if (known := choose_everything(found, name)) is not None}
    known = list(dict.fromkeys(name for entry in found for name in (entry.strategy, entry.name, entry.shown)))
    if asked not in known:
        raise UsageError(f"--reference {asked!r}: no finished run of it; there are: {', '.join(known)}")
    return dict.fromkeys(datasets, asked)


def _find_reference(entry: Entry, found: Sequence[Entry], reference: str) -> Entry | None:
    """The reference in the same settings, else the only one; None where there are several others, or none."""
    known = [a for a in found if a.dataset == entry.dataset and reference in (a.strategy, a.name, a.shown)]
    same = find_beside(entry, reference, known)
    if same is not None:
        return same
    return known[0] if len(known) == 1 and entry not in known else None


def _test_pairs(pairs: list[tuple[Entry, Entry]], margin: float) -> list[Row]:
    """A row for each (own, reference) that share slides, p values corrected by dataset; UsageError for the margin."""
    if not 0 < margin < 1:
        raise UsageError(f"--margin {margin}; allowed: above 0 and below 1, in accuracy")
    rows = [
        compute_row(PAIRS, pair)
        for own, reference in pairs
        if (pair := _set_beside(own, reference, margin)) is not None
    ]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        of_dataset = [row for row in rows if row["dataset"] == dataset]
        for row, p in zip(of_dataset, holm([row["mcnemar_p"] for row in of_dataset]), strict=True):
            row["holm_p"] = p
    return rows


def _set_beside(own: Entry, reference: Entry, margin: float) -> Pair | None:
    """The pair over the trainings that both have; None where they share no training or no slide."""
    mine, theirs = ({_training(run): i for i, run in enumerate(entry.runs)} for entry in (own, reference))
    shared = [key for key in mine if key in theirs]
    if not shared:
        return None
    my_runs, their_runs = [mine[key] for key in shared], [theirs[key] for key in shared]
    rows: Any = own.rows[own.rows["run"].isin(my_runs)]
    others: Any = reference.rows[reference.rows["run"].isin(their_runs)]
    found = difference(rows, others)
    if found is None:
        return None
    gaps = _accuracies(rows, my_runs) - _accuracies(others, their_runs)
    first = own.runs[my_runs[0]]
    n_train = first.train.get("n_train")
    test = corrected_t(gaps, n_train, first.table.num_rows) if n_train else None
    return Pair(own, reference, found, None if test is None else test[1], len(shared), margin)


def _training(run: FinishedRun) -> tuple[str, str, int, int]:
    """What two runs share that trained and tested on the same slides with the same seed."""
    return run.data_hash, str(run.settings.get("split")), run.fold, run.seed


def _accuracies(rows: pd.DataFrame, runs: list[int]) -> np.ndarray:
    """Accuracy of each of `runs`."""
    right = rows["label"].to_numpy() == rows["predicted"].to_numpy()
    run = rows["run"].to_numpy(int)
    return (np.bincount(run, right) / np.maximum(np.bincount(run), 1))[runs]
