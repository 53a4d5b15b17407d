"""Strategies against one of them at as many patches; over all slides, and over easy and hard ones apart."""

from __future__ import annotations

import math
import zlib
from typing import Any

import pandas as pd

from bench.analysis.columns.sweeps import THIRDS
from bench.analysis.statistics.intervals import difference_interval
from bench.analysis.statistics.pairs import correct_table

SAME = 1e-9  # budgets closer than this differ by rounding only


def equal_patches(
    own: pd.DataFrame, reference: dict[float, pd.DataFrame], patches: float
) -> tuple[float, float | None, float | None] | None:
    """Accuracy of a strategy minus the reference's at as many patches, with its 95 % interval.

    The reference's accuracy on a slide is taken as linear in log patches between its two budgets next to `patches`.
    The interval is over clusters (patients, else slides).

    Args:
        own: Predictions of the strategy, with slide, patient, label, predicted.
        reference: The same of each budget of the reference, by the patches that it then reads a slide.
        patches: Mean patches a slide of the strategy.

    Returns:
        (difference, low, high), the interval (None, None) for one cluster. None where `patches` lies outside the
        budgets of the reference, or where no slide is shared.
    """
    under = [n for n in reference if 0 < n <= patches * (1 + SAME)]
    over = [n for n in reference if n >= patches * (1 - SAME)]
    if not under or not over:
        return None
    low, high = max(under), min(over)
    share = math.log(patches / low) / math.log(high / low) if high > low else 0.0
    below, above = correct_table(reference[low]).add_suffix("_low"), correct_table(reference[high]).add_suffix("_high")
    both: Any = correct_table(own).join(below, how="inner").join(above, how="inner")
    if both.empty:
        return None
    gap = both["right"] - (1 - share) * both["right_low"] - share * both["right_high"]
    low, high = difference_interval(gap, both["cluster"]) or (None, None)
    return float(gap.mean()), low, high


def rank_into_thirds(rows: pd.DataFrame, judge: pd.DataFrame) -> pd.Series:
    """For every row of `rows`, whether its slide is "easy", "middle" or "hard"; "" where that cannot be told.

    judge: predictions of one strategy. The test slides of a training are ranked by how often the judge was wrong about
    them in the OTHER trainings of the fold, and cut into three of equal size; ties fall by a hash of the slide's name.
    So no prediction of a training decides how hard a slide is to it, and a slide that it had right by chance is not
    called easy. "" in a fold of one training.
    """
    keys = ["fold", "seed", "slide"]
    wrong = judge.assign(wrong=judge["label"] != judge["predicted"]).groupby(keys, sort=False)["wrong"]
    counted: Any = wrong.agg(["sum", "count"]).reset_index()
    total = counted.groupby(["fold", "slide"])[["sum", "count"]].transform("sum")
    left: Any = total - counted[["sum", "count"]]
    counted["rate"] = left["sum"] / left["count"].where(left["count"] > 0)
    lots = counted["slide"].map(lambda name: zlib.crc32(str(name).encode()))
    order = counted.assign(lots=lots).sort_values("lots").groupby(["fold", "seed"])["rate"].rank(method="first")
    size = counted.groupby(["fold", "seed"])["rate"].transform("count")
    third = ((order - 1) * len(THIRDS) // size).map(dict(enumerate(THIRDS)))
    named = pd.Series(third.fillna("").to_numpy(), index=pd.MultiIndex.from_frame(counted[keys]))
    asked: Any = rows[keys]
    found = named.reindex(pd.MultiIndex.from_frame(asked)).fillna("")
    return pd.Series(found.to_numpy(), index=rows.index)
