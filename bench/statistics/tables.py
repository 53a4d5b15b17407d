"""Comparisons of each strategy with a reference, and the refusals: what must not be compared is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.compare import FinishedRun, compare, load_runs
from bench.errors import NotComparableError, UsageError
from bench.statistics.costs import best_under
from bench.statistics.pairs import correct_table, corrected_t, difference, holm

MACHINE = ("cpu", "cores", "platform")
"""Keys of a run's environment that must agree for seconds to be compared."""
SECONDS = ("train_s", "train_charged_s", "inference_s_per_slide", "bottleneck")


def check_comparable(runs: list[FinishedRun]) -> str | None:
    """NotComparableError where runs of one dataset saw other data or another split of a fold.

    Returns the reason why seconds must not be compared (other machines), or None where they may.
    """
    for name in sorted({run.dataset for run in runs}):
        own = [run for run in runs if run.dataset == name]
        if len({run.data_hash for run in own}) > 1:
            raise NotComparableError(_other(name, own, "data hash", lambda run: run.data_hash))
        for fold in sorted({run.fold for run in own}):
            of_fold = [run for run in own if run.fold == fold]
            if len({str(run.settings.get("split")) for run in of_fold}) > 1:
                raise NotComparableError(_other(name, of_fold, "split", lambda run: str(run.settings.get("split"))))
    machines = {tuple(str(run.environment.get(key)) for key in MACHINE) for run in runs}
    if len(machines) > 1:
        return f"runs of {len(machines)} machines: accuracy is compared, seconds and speed-ups are not"
    return None


def _other(name: str, runs: list[FinishedRun], what: str, key: Any) -> str:
    first = {}
    for run in runs:
        first.setdefault(key(run), run.path.name)
    two = list(first.values())[:2]
    return (
        f"dataset {name}: {len(first)} values of {what}, e.g. {two[0]} and {two[1]}; only runs on the same {what} "
        "are compared: give their folders one at a time"
    )


def against(runs: list[FinishedRun], reference: str, margin: float) -> list[dict[str, Any]]:
    """One row per dataset and strategy but the reference: difference of accuracy, tests, non-inferiority.

    mcnemar_p is exact; holm_p corrects it over all rows of the dataset; t_p is Nadeau and Bengio's corrected t-test
    over the trainings (folds and seeds) that both have. UsageError where the reference was not run.
    """
    if not 0 < margin < 1:
        raise UsageError(f"--margin {margin}; allowed: above 0 and below 1, in accuracy")
    known = list(dict.fromkeys(run.strategy for run in runs))
    if reference not in known:
        raise UsageError(f"--reference {reference!r}: no finished run of it; there are: {', '.join(known)}")
    table: list[dict[str, Any]] = []
    for dataset in sorted({run.dataset for run in runs}):
        own = [run for run in runs if run.dataset == dataset]
        rows = [
            row
            for name in dict.fromkeys(run.strategy for run in own)
            if name != reference and (row := _row(own, name, reference, margin)) is not None
        ]
        for row, p in zip(rows, holm([row["mcnemar_p"] for row in rows]), strict=True):
            row["holm_p"] = p
        table += [{"dataset": dataset, **row} for row in rows]
    return table


def _row(runs: list[FinishedRun], name: str, reference: str, margin: float) -> dict[str, Any] | None:
    groups = {run.group: run for run in runs if run.strategy == name}
    others = {run.group: run for run in runs if run.strategy == reference}
    shared = [group for group in groups if group in others]
    if not shared:
        return None
    found = difference(
        pd.concat([groups[g].predictions for g in shared]), pd.concat([others[g].predictions for g in shared])
    )
    if found is None:
        return None
    gaps = [
        correct_table(groups[g].predictions)["right"].mean() - correct_table(others[g].predictions)["right"].mean()
        for g in shared
    ]
    n_train, n_test = groups[shared[0]].train.get("n_train"), len(groups[shared[0]].predictions)
    t_p = corrected_t(np.array(gaps, float), n_train, n_test)[1] if n_train and len(shared) > 1 else None
    return {
        "strategy": name, "reference": reference, "difference": found.value, "difference_low": found.low,
        "difference_high": found.high, "only_own": found.only_own, "only_reference": found.only_reference,
        "mcnemar_p": found.mcnemar_p, "t_p": t_p, "trainings": len(shared),
        "margin": margin, "non_inferior": found.non_inferior(margin),
    }  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """All that `jsma-bench compare` prints. note: why seconds are not compared, or None."""

    runs: list[FinishedRun]
    rows: list[dict[str, Any]]
    against: list[dict[str, Any]]
    note: str | None


def compared(folders: list[Path], reference: str | None, margin: float) -> Compared:
    """Runs of several folders as rows; refuses what must not be compared; no seconds where the machines differ."""
    runs = list({run.path.resolve(): run for folder in folders for run in load_runs(folder)}.values())
    note = check_comparable(runs)
    rows = compare(runs)
    if note:
        for row in rows:
            row.update({key: None for key in row if key in SECONDS or "speedup" in key})
    asked = reference or ("exhaustive" if any(run.strategy == "exhaustive" for run in runs) else None)
    return Compared(runs, rows, [] if asked is None else against(runs, asked, margin), note)


def best_lines(rows: list[dict[str, Any]], cost: str, budget: float, unit: str) -> list[str]:
    """One line a dataset: the most accurate strategy within the budget, and how sure."""
    lines = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        best = best_under([row for row in rows if row["dataset"] == dataset], cost, budget)
        if best is None:
            lines.append(f"{dataset}: no strategy within {budget:g} {unit}")
            continue
        lines.append(
            f"{dataset}: best within {budget:g} {unit}: {best['strategy']} at {best[cost]:.3g}, accuracy "
            f"{best['accuracy']:.3f} ({best['accuracy_low']:.3f}-{best['accuracy_high']:.3f})"
        )
    return lines


def time_to_lines(runs: list[FinishedRun], accuracy: float) -> list[str]:
    """One line a strategy: mean training seconds until validation reaches `accuracy`, and how many runs did."""
    lines = []
    for dataset, name in dict.fromkeys((run.dataset, run.strategy) for run in runs):
        own = [run for run in runs if (run.dataset, run.strategy) == (dataset, name)]
        times = [s for run in own if (s := _time_to(run.path / "curve.parquet", accuracy)) is not None]
        mean = f"{np.mean(times):.1f} s" if times else "never"
        lines.append(f"{dataset} {name}: to validation accuracy {accuracy:g}: {mean} ({len(times)} of {len(own)} runs)")
    return lines


def _time_to(path: Path, accuracy: float) -> float | None:
    if not path.is_file():
        return None
    curve: Any = pd.read_parquet(path, columns=["seconds", "val_accuracy"])
    reached = curve[curve["val_accuracy"] >= accuracy]
    return None if reached.empty else float(reached["seconds"].min())
