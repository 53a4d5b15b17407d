"""Comparisons of each strategy with a reference, and the refusals: what must not be compared is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from bench.choice import EVERY, Choice, several, split_of
from bench.compare import rows_of
from bench.errors import NotComparableError, UsageError
from bench.finished import Arm, FinishedRun, arms, beside, load_all
from bench.statistics.costs import mark_fronts
from bench.statistics.intervals import least_clusters
from bench.statistics.leaders import Leader, leaders
from bench.statistics.opponents import everything_lines, everything_of, search_notes
from bench.statistics.pairs import corrected_t, difference, holm

MACHINE = ("cpu", "cores", "platform")
"""Keys of a run's environment that must agree for seconds to be compared; so must the device, and what GPU it is."""
SECONDS = (
    "train_s", "train_charged_s", "inference_s_per_slide", "bottleneck", "train_j", "inference_j_per_slide",
)  # fmt: skip


def check_comparable(runs: list[FinishedRun]) -> str | None:
    """NotComparableError where runs of one dataset saw other data or another split of a fold.

    Returns the reason why seconds must not be compared (other machines), or None where they may.
    """
    by_dataset: dict[str, list[FinishedRun]] = {}
    for run in runs:
        by_dataset.setdefault(run.dataset, []).append(run)
    for name, own in sorted(by_dataset.items()):
        if len({run.data_hash for run in own}) > 1:
            raise NotComparableError(several(name, own, "data hash", lambda run: run.data_hash))
        by_fold: dict[int, list[FinishedRun]] = {}
        for run in own:
            by_fold.setdefault(run.fold, []).append(run)
        for _, of_fold in sorted(by_fold.items()):
            if len({split_of(run) for run in of_fold}) > 1:
                raise NotComparableError(several(name, of_fold, "split", split_of))
    machines = {_machine(run) for run in runs}
    if len(machines) > 1:
        return f"runs of {len(machines)} machines or devices: accuracy is compared, seconds and speed-ups are not"
    return None


def _check_once(arm: Arm) -> None:
    seen: dict[tuple[int, int], FinishedRun] = {}
    for run in arm.runs:
        other = seen.setdefault((run.fold, run.seed), run)
        if other is not run:
            raise NotComparableError(
                f"{other.path} and {run.path} are of one strategy, fold, seed and settings and must not be counted as "
                "two; give one of them"
            )


def _machine(run: FinishedRun) -> tuple[str, ...]:
    device = str(run.settings.get("device", "cpu")).partition(":")[0]
    gpu = "" if device == "cpu" else str(run.environment.get("gpu"))
    return (*(str(run.environment.get(key)) for key in MACHINE), device, gpu)


def against(runs: Sequence[FinishedRun], reference: str, margin: float) -> list[dict[str, Any]]:
    """One row per dataset, strategy and settings but the reference: difference of accuracy, tests, non-inferiority.

    reference: a strategy, set against each other in the same settings, or in the only ones it was run in; or one row
    of the table by name, `exhaustive[epochs=80]`. mcnemar_p is exact; holm_p corrects it over all rows of the dataset;
    t_p is Nadeau and Bengio's corrected t-test over the trainings (folds and seeds) that both have. UsageError where
    the reference was not run.
    """
    found = arms(runs)
    return _against(found, _references(found, reference), margin)


def _against(found: Sequence[Arm], references: dict[str, str], margin: float) -> list[dict[str, Any]]:
    pairs = []
    for arm in found:
        name = references.get(arm.dataset)
        other = None if name is None else _reference_of(arm, found, name)
        if other is not None and other is not arm:
            pairs.append((arm, other))
    return tested(pairs, margin)


def all_pairs(runs: Sequence[FinishedRun], margin: float) -> list[dict[str, Any]]:
    """As `against`, every row of a dataset with every row before it: holm_p corrects over all pairs."""
    return _all_pairs(arms(runs), margin)


def _all_pairs(found: Sequence[Arm], margin: float) -> list[dict[str, Any]]:
    return tested([(b, a) for a, b in combinations(found, 2) if a.dataset == b.dataset], margin)


def _reference_of(arm: Arm, found: Sequence[Arm], reference: str) -> Arm | None:
    """The reference in the same settings, else the only one; None where there are several others, or none."""
    known = [a for a in found if a.dataset == arm.dataset and reference in (a.strategy, a.name, a.shown)]
    same = beside(arm, reference, known)
    if same is not None:
        return same
    return known[0] if len(known) == 1 and arm not in known else None


def tested(pairs: list[tuple[Arm, Arm]], margin: float) -> list[dict[str, Any]]:
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


def _row(own: Arm, reference: Arm, margin: float) -> dict[str, Any] | None:
    mine, theirs = ({_training(run): i for i, run in enumerate(arm.runs)} for arm in (own, reference))
    shared = [key for key in mine if key in theirs]
    if not shared:
        return None
    rows, others = (cast(Any, arm.rows) for arm in (own, reference))
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
        "dataset": own.dataset, "strategy": own.strategy, "settings": own.differing, "name": own.name,
        "reference": reference.name, "shown": own.shown, "reference_shown": reference.shown,
        "difference": found.value, "difference_low": found.low,
        "difference_high": found.high, "only_own": found.only_own, "only_reference": found.only_reference,
        "mcnemar_p": found.mcnemar_p, "t_p": None if tested is None else tested[1], "trainings": len(shared),
        "clusters": found.clusters, "clusters_are": found.unit,
        "margin": margin, "non_inferior": found.non_inferior(margin), "non_inferior_verdict": found.verdict(margin),
        "non_inferior_least": least_clusters(margin),
    }  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """All that `jsma-bench compare` prints and saves, computed once.

    rows: of `bench.compare`; against: each beside its reference, or each beside each; notes: what was not compared, and
    why, what failed, and what was accepted; damaged: one line a damaged run; reference: the strategy that others are
    set against, by dataset; leaders: who is most accurate.
    """

    runs: list[FinishedRun]
    arms: list[Arm]
    rows: list[dict[str, Any]]
    against: list[dict[str, Any]]
    notes: list[str]
    damaged: list[str]
    reference: dict[str, str]
    margin: float
    leaders: list[Leader]

    @property
    def said(self) -> list[str]:
        """Lines under the table: over what the speed-ups are, and who is most accurate."""
        return [*everything_lines(self.arms), *map(str, self.leaders)]


def compared(folders: list[Path], reference: str | None, margin: float, every_pair: bool = False,
             choice: Choice = EVERY) -> Compared:  # fmt: skip
    """Runs of several folders as rows; refuses what must not be compared; no seconds where the machines differ.

    every_pair: compare each row with each other in place of the reference; choice: which of the runs.
    """
    loaded = load_all(folders, choice)
    runs = loaded.runs
    note = check_comparable(runs)
    found = arms(runs)
    for arm in found:
        _check_once(arm)
    rows = rows_of(found)
    notes = [*([note] if note else []), *accepted(runs), *failures(runs), *search_notes(found)]
    if note:
        for row in rows:
            row.update({key: None for key in row if key in SECONDS or "speedup" in key})
        mark_fronts(rows)
    asked = _references(found, reference)
    set_beside = _all_pairs(found, margin) if every_pair else _against(found, asked, margin)
    if not every_pair:
        notes += _not_set_against(found, asked, set_beside)
    return Compared(
        runs, found, rows, set_beside, notes, loaded.damaged, {} if every_pair else asked, margin, leaders(found, rows)
    )


def accepted(runs: Sequence[FinishedRun]) -> list[str]:
    """A line about the findings of `data verify` that were accepted; none where there were none."""
    found = list(dict.fromkeys(finding for run in runs for finding in run.findings))
    return [f"run with --accept-findings: {len(found)} findings: {'; '.join(found)}"] if found else []


def _references(found: Sequence[Arm], asked: str | None) -> dict[str, str]:
    """Dataset -> the strategy or row that others are set against: the one asked for, else what reads everything.

    UsageError where the one asked for was not run."""
    datasets = list(dict.fromkeys(arm.dataset for arm in found))
    if asked is None:
        return {name: known for name in datasets if (known := everything_of(found, name)) is not None}
    known = list(dict.fromkeys(name for arm in found for name in (arm.strategy, arm.name, arm.shown)))
    if asked not in known:
        raise UsageError(f"--reference {asked!r}: no finished run of it; there are: {', '.join(known)}")
    return dict.fromkeys(datasets, asked)


def _not_set_against(found: Sequence[Arm], asked: dict[str, str], beside: list[dict[str, Any]]) -> list[str]:
    done = {(row["dataset"], row["name"]) for row in beside}
    return [
        f"{arm.dataset}: {arm.name} is not set against {name}: no run of it on the same slides in these settings; "
        "name one row, such as --reference 'exhaustive[epochs=80]'"
        for arm in found
        if (name := asked.get(arm.dataset)) is not None
        and name not in (arm.strategy, arm.name, arm.shown) and (arm.dataset, arm.name) not in done
    ]  # fmt: skip


def failures(runs: Sequence[FinishedRun]) -> list[str]:
    """A line about the slides that the runs could not read, which are in no figure; none where all were read."""
    found = {slide: reason for run in runs for slide, reason in run.failed.items()}
    if not found:
        return []
    slide, reason = next(iter(found.items()))
    return [f"{len(found)} slides could not be read by these runs and are in no figure; the first: {slide}: {reason}"]
