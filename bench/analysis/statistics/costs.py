"""Ratios of costs, with their interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.statistics.intervals import mean_interval


def ratio_interval(
    reference: pd.Series, own: pd.Series, cluster: pd.Series | None = None
) -> tuple[float, float | None, float | None] | None:
    """Geometric mean of reference / own over the index they share, with its 95 % interval; None where none is shared.

    Student's t of the paired log ratios, for both were measured in turns on the same slide or the same training.
    cluster: with the index of `own`, what belongs together (the slide, whose seeds are no new slides); None: each
    pair alone. With one cluster there is no spread to see: no interval.
    """
    both: Any = pd.concat([reference, own], axis=1, join="inner").dropna()
    both = both[(both > 0).all(axis=1)]  # a clock that did not move gives no ratio
    if both.empty:
        return None
    logs = np.log(both.iloc[:, 0].to_numpy(float) / both.iloc[:, 1].to_numpy(float))
    found = mean_interval(
        pd.Series(logs), pd.Series(np.arange(len(logs)) if cluster is None else cluster.loc[both.index])
    )
    low, high = (None, None) if found is None else (_exp(end) for end in found)
    return math.exp(float(logs.mean())), low, high


def _exp(value: float) -> float:
    return math.exp(min(value, MOST_LOG))  # two trainings can leave a ratio open over hundreds of decades


MOST_LOG = 700.0
