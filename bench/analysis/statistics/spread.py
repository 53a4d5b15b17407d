"""How much accuracy moves with the training seed, and with the sampling seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.entries import Entry
from bench.runs.layout import SWEEP


def compute_spreads(entry: Entry) -> dict[str, float | None]:
    """Standard deviations of the accuracy; null where they cannot be told.

    accuracy_sd_training: between runs of one fold that differ in their training seed, pooled over folds; each run has
    one draw a slide, so the spread of sampling is in it. accuracy_sd_sampling: between sampling seeds of one training,
    from a sweep at the number of patches of the run. accuracy_sd_training_alone: of training, without sampling
    (`components`), from the same sweep.
    """
    right = entry.rows["label"].to_numpy() == entry.rows["predicted"].to_numpy()
    run = entry.rows["run"].to_numpy(int)
    accuracy = np.bincount(run, right) / np.maximum(np.bincount(run), 1)
    sampling, alone = components(load_sweep(entry))
    return {
        "accuracy_sd_training": pooled_sd([run.fold for run in entry.runs], accuracy),
        "accuracy_sd_sampling": sampling,
        "accuracy_sd_training_alone": alone,
    }


def pooled_sd(groups: list[int], values: np.ndarray) -> float | None:
    """sqrt of sum of squares around the mean of each group / sum of (members - 1); None without two in a group."""
    squares, freedom = 0.0, 0
    for group in set(groups):
        own = values[np.array(groups) == group]
        squares, freedom = squares + float(((own - own.mean()) ** 2).sum()), freedom + len(own) - 1
    return math.sqrt(squares / freedom) if freedom else None


def components(rows: pd.DataFrame | None) -> tuple[float | None, float | None]:
    """(sd of sampling, sd of training) of the accuracy: one-way random effects, rows with fold, seed, draw, right.

    accuracy_tj = mu_fold + T_t + S_tj for training t and sampling seed j of J. Var S = MS_within, the variance between
    sampling seeds of one training; Var T = max(0, (MS_between - MS_within) / J), trainings compared within their fold
    (Searle, Casella & McCulloch, Variance Components, 1992, ch. 3). Where trainings have different J, J is their
    harmonic mean. The first is None without two sampling seeds, the second without two trainings of a fold as well.
    """
    if rows is None or rows.empty:
        return None, None
    by_draw: Any = rows.groupby(["fold", "seed", "draw"])["right"].mean()
    trainings: Any = by_draw.groupby(["fold", "seed"])
    sizes = trainings.size().to_numpy(float)
    freedom = float((sizes - 1).sum())
    if not freedom:
        return None, None
    within = float((trainings.var(ddof=0).to_numpy(float) * sizes).sum() / freedom)
    means = trainings.mean()
    between = pooled_sd(means.index.get_level_values("fold").tolist(), means.to_numpy(float))
    if between is None:
        return math.sqrt(within), None
    draws = len(sizes) / float((1 / sizes).sum())
    return math.sqrt(within), math.sqrt(max(0.0, between**2 - within / draws))


def load_sweep(entry: Entry) -> pd.DataFrame | None:
    """Rows of sweeps of these runs, at the run's own number of patches, drawn; None where there is none."""
    found = []
    for run in entry.runs:
        path = run.path / SWEEP
        if not path.is_file():
            continue
        rows: Any = pd.read_parquet(path)
        n_patches = run.settings["strategy"]["method"]["n_patches"]
        own = rows[(rows["mode"] == "sample") & (rows["budget"] == n_patches) & rows["confidence"].isna()]
        right = own["label"] == own["predicted"]
        found.append(pd.DataFrame({"fold": run.fold, "seed": run.seed, "draw": own["draw"], "right": right}))
    return pd.concat(found) if found else None
