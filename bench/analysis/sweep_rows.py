"""What a sweep says: one row a strategy and budget, from the raw predictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.columns.column import Row, compute_row
from bench.analysis.columns.sweeps import SWEEP, THIRDS
from bench.analysis.metrics import accuracy_interval
from bench.analysis.statistics.equal_patches import equal_patches, rank_into_thirds

KEYS = ["strategy", "mode", "budget", "confidence"]  # one row of the table
TRAINING = ["fold", "seed"]  # one trained strategy


def compute_flip_rate(rows: pd.DataFrame) -> float:
    """Share of the slides whose prediction is not the same with every sampling seed, of one trained strategy."""
    different: Any = rows.groupby("slide")["predicted"].nunique() > 1
    return float(different.mean())


@dataclass(frozen=True)
class Point:
    """One strategy, mode, budget and confidence of a sweep: what the columns of its table are computed from.

    Attributes:
        keys: Values of `KEYS`; budget 0 where the strategy knows none, confidence NaN where it is not swept.
        rows: Its predictions, one a slide, sampling seed and training.
    """

    keys: dict[str, Any]
    rows: Any

    def mean(self, column: str) -> float:
        """Mean of a column of the predictions."""
        return float(self.rows[column].mean())

    @property
    def confidence(self) -> float | None:
        """The threshold of certainty; None where it is not swept."""
        return None if pd.isna(self.keys["confidence"]) else float(self.keys["confidence"])

    @property
    def draws(self) -> int:
        """How many sampling seeds there are."""
        return int(self.rows["draw"].nunique())

    @property
    def trainings(self) -> int:
        """How many trained strategies there are."""
        return self.rows.groupby(TRAINING).ngroups

    @cached_property
    def accuracy(self) -> tuple[float, float | None, float | None]:
        """(accuracy, low, high) with its 95 % interval over slides, patients where known."""
        return accuracy_interval(self.rows)

    @cached_property
    def _accuracies(self) -> Any:
        """Accuracy of each sampling seed of each training."""
        right = self.rows.assign(right=(self.rows["label"] == self.rows["predicted"]).astype(float))
        return right.groupby([*TRAINING, "draw"])["right"].mean().groupby(TRAINING)

    @property
    def sd_sampling(self) -> float | None:
        """Standard deviation (n-1) of the accuracy over sampling seeds of one training, mean over trainings."""
        return float(np.mean(self._accuracies.std(ddof=1))) if self.draws > 1 else None

    @property
    def sd_training(self) -> float | None:
        """Standard deviation (n-1) of the mean accuracy over trainings."""
        return float(np.std(self._accuracies.mean(), ddof=1)) if self.trainings > 1 else None

    @property
    def flip_rate(self) -> float | None:
        """Share of slides whose prediction is not the same with every sampling seed, mean over trainings."""
        if self.draws < 2:
            return None
        return float(np.mean([compute_flip_rate(one) for _, one in self.rows.groupby(TRAINING)]))


def compute_sweep_rows(rows: pd.DataFrame) -> list[Row]:
    """One row a strategy, mode, budget and confidence of a sweep.

    Args:
        rows: Predictions of `bench.runs.sweep`, one a slide, sampling seed and training.

    Returns:
        Rows with the keys of `bench.analysis.columns.sweeps.SWEEP` and of `compare_at_equal_patches`. Budget is None
        where the strategy knows none, confidence where it is not swept. Spreads are None where there are fewer than
        two to compare.
    """
    groups: Any = rows.groupby(KEYS, sort=False, dropna=False)
    table = [compute_row(SWEEP, Point(dict(zip(KEYS, key, strict=True)), own)) for key, own in groups]
    return [{**row, **more} for row, more in zip(table, compare_at_equal_patches(rows), strict=True)]


def compare_at_equal_patches(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Set each row of the table against the first strategy of the sweep at as many patches.

    reference: that strategy, drawn; difference, difference_low, difference_high: `equal_patches` at the row's mean
    patches; null for the reference itself and outside its budgets. The same, and accuracy and patches, over the thirds
    of the slides by how hard they are to the reference where it reads most (`rank_into_thirds`): *_easy, *_middle,
    *_hard, null with one training. The reference reads as many patches on easy slides as on hard ones, unless it stops
    when certain.
    """
    drawn: Any = rows[(rows["strategy"] == rows["strategy"].iloc[0]) & (rows["mode"] == "sample")]
    reference = {float(own["patches"].mean()): own for _, own in drawn.groupby(["budget", "confidence"], dropna=False)}
    third = rank_into_thirds(rows, reference[max(reference)])
    name, found = str(drawn["strategy"].iloc[0]), []
    groups: Any = rows.groupby(KEYS, sort=False, dropna=False)
    for (strategy, mode, *_), own in groups:
        others = {} if (strategy, mode) == (name, "sample") else reference
        row: dict[str, Any] = {"reference": name, **_gap("", own, others, float(own["patches"].mean()))}
        for part in THIRDS:
            here = own[third[own.index] == part]
            there = {n: other[third[other.index] == part] for n, other in others.items()}
            row[f"accuracy_{part}"] = None if here.empty else float((here["label"] == here["predicted"]).mean())
            row[f"patches_{part}"] = None if here.empty else float(here["patches"].mean())
            row.update(_gap(f"_{part}", here, there, float(own["patches"].mean())))
        found.append(row)
    return found


def _gap(part: str, own: pd.DataFrame, others: dict[float, pd.DataFrame], patches: float) -> dict[str, float | None]:
    found = equal_patches(own, others, patches) or (None,) * 3
    keys = (f"difference{part}", f"difference{part}_low", f"difference{part}_high")
    return dict(zip(keys, found, strict=True))
