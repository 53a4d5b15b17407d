"""Comparisons of each strategy with a reference, and the refusals: what must not be compared is not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, cast

import numpy as np
import pandas as pd

from bench.analysis.entries import Entry, find_beside, group_runs
from bench.analysis.opponents import choose_everything
from bench.analysis.statistics.intervals import least_clusters
from bench.analysis.statistics.pairs import corrected_t, difference, holm
from bench.errors import UsageError
from bench.runs.kept.finished import FinishedRun


def against(runs: Sequence[FinishedRun], reference: str, margin: float) -> list[dict[str, Any]]:
    """One row per dataset, strategy and settings but the reference: difference of accuracy, tests, non-inferiority.

    reference: a strategy, set against each other in the same settings, or in the only ones it was run in; or one row
    of the table by name, `exhaustive[epochs=80]`. mcnemar_p is exact; holm_p corrects it over all rows of the dataset;
    t_p is Nadeau and Bengio's corrected t-test over the trainings (folds and seeds) that both have. UsageError where
    the reference was not run.
    """
    found = group_runs(runs)
    return pair_with_references(found, choose_references(found, reference), margin)


def pair_with_references(found: Sequence[Entry], references: dict[str, str], margin: float) -> list[dict[str, Any]]:
    """Rows that set every entry against the one that `references` names for its dataset."""
    pairs = []
    for entry in found:
        name = references.get(entry.dataset)
        other = None if name is None else _reference_of(entry, found, name)
        if other is not None and other is not entry:
            pairs.append((entry, other))
    return compute_tests(pairs, margin)


def all_pairs(runs: Sequence[FinishedRun], margin: float) -> list[dict[str, Any]]:
    """As `against`, every row of a dataset with every row before it: holm_p corrects over all pairs."""
    return pair_all(group_runs(runs), margin)


def pair_all(found: Sequence[Entry], margin: float) -> list[dict[str, Any]]:
    """Rows that set every two entries of a dataset against each other."""
    return compute_tests([(b, a) for a, b in combinations(found, 2) if a.dataset == b.dataset], margin)


def _reference_of(entry: Entry, found: Sequence[Entry], reference: str) -> Entry | None:
    """The reference in the same settings, else the only one; None where there are several others, or none."""
    known = [a for a in found if a.dataset == entry.dataset and reference in (a.strategy, a.name, a.shown)]
    same = find_beside(entry, reference, known)
    if same is not None:
        return same
    return known[0] if len(known) == 1 and entry not in known else None


def compute_tests(pairs: list[tuple[Entry, Entry]], margin: float) -> list[dict[str, Any]]:
    """A row for each (own, reference) that share slides, p values corrected by dataset; UsageError for the margin."""
    if not 0 < margin < 1:
        raise UsageError(f"--margin {margin}; allowed: above 0 and below 1, in accuracy")
    rows = [row for own, reference in pairs if (row := _row(own, reference, margin)) is not None]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        of_dataset = [row for row in rows if row["dataset"] == dataset]
        for row, p in zip(of_dataset, holm([row["mcnemar_p"] for row in of_dataset]), strict=True):
            row["holm_p"] = p
    return rows


def _training(run: FinishedRun) -> tuple[str, str, int, int]:
    """What two runs share that trained and tested on the same slides with the same seed."""
    return run.data_hash, str(run.settings.get("split")), run.fold, run.seed


def _accuracies(rows: pd.DataFrame, runs: list[int]) -> np.ndarray:
    """Accuracy of each of `runs`."""
    right = rows["label"].to_numpy() == rows["predicted"].to_numpy()
    run = rows["run"].to_numpy(int)
    return (np.bincount(run, right) / np.maximum(np.bincount(run), 1))[runs]


def _row(own: Entry, reference: Entry, margin: float) -> dict[str, Any] | None:
    mine, theirs = ({_training(run): i for i, run in enumerate(entry.runs)} for entry in (own, reference))
    shared = [key for key in mine if key in theirs]
    if not shared:
        return None
    rows, others = (cast(Any, entry.rows) for entry in (own, reference))
    rows = rows[rows["run"].isin([mine[key] for key in shared])]
    others = others[others["run"].isin([theirs[key] for key in shared])]
    found = difference(rows, others)
    if found is None:
        return None
    gaps = _accuracies(rows, [mine[key] for key in shared]) - _accuracies(others, [theirs[key] for key in shared])
    first = own.runs[mine[shared[0]]]
    n_train, n_test = first.train.get("n_train"), first.table.num_rows
    tested = corrected_t(gaps, n_train, n_test) if n_train else None
    return {
        "dataset": own.dataset,
        "strategy": own.strategy,
        "settings": own.differing,
        "name": own.name,
        "reference": reference.name,
        "shown": own.shown,
        "reference_shown": reference.shown,
        "difference": found.value,
        "difference_low": found.low,
        "difference_high": found.high,
        "only_own": found.only_own,
        "only_reference": found.only_reference,
        "mcnemar_p": found.mcnemar_p,
        "t_p": None if tested is None else tested[1],
        "trainings": len(shared),
        "clusters": found.clusters,
        "clusters_are": found.unit,
        "margin": margin,
        "non_inferior": found.non_inferior(margin),
        "non_inferior_verdict": found.verdict(margin),
        "non_inferior_least": least_clusters(margin),
    }


def choose_references(found: Sequence[Entry], asked: str | None) -> dict[str, str]:
    """Dataset -> the strategy or row that others are set against: the one asked for, else what reads everything.

    UsageError where the one asked for was not run.
    """
    datasets = list(dict.fromkeys(entry.dataset for entry in found))
    if asked is None:
        return {name: known for name in datasets if (known := choose_everything(found, name)) is not None}
    known = list(dict.fromkeys(name for entry in found for name in (entry.strategy, entry.name, entry.shown)))
    if asked not in known:
        raise UsageError(f"--reference {asked!r}: no finished run of it; there are: {', '.join(known)}")
    return dict.fromkeys(datasets, asked)
