"""Two strategies on the same slides: how large is the difference, and how sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom
from scipy.stats import t as student

from bench.analysis.statistics.intervals import clusters_by_size, difference_interval, least_clusters

SAME_ACCURACY = 1e-9  # differences closer than this differ by rounding only


@dataclass(frozen=True)
class Difference:
    """Accuracy of a strategy minus the reference's over shared slides.

    Attributes:
        value: The difference, -1..1.
        low: Lower end of its 95 % interval (`bench.analysis.statistics.intervals`); None for one cluster.
        high: Upper end.
        only_own: Slides that this one has right in most of its seeds, and the reference wrong in most.
        only_reference: The reverse.
        mcnemar_p: Exact, two-sided.
        clusters: How many patients or slides there are.
        effective: The same; patients of unequal numbers of slides are counted by Kish.
        unit: patients or slides.
    """

    value: float
    low: float | None
    high: float | None
    only_own: int
    only_reference: int
    mcnemar_p: float
    clusters: int
    effective: float
    unit: str

    def non_inferior(self, margin: float) -> bool:
        """Whether the difference is above -margin with one-sided confidence of 97.5 %; margin > 0 in accuracy."""
        return self.low is not None and self.low > -margin

    def verdict(self, margin: float) -> str:
        """`non_inferior` in words: yes; no; or that so few clusters could not show it, had they all been concordant."""
        if self.non_inferior(margin):
            return "yes"
        least = least_clusters(margin)
        inferior = self.high is not None and self.high < -margin
        return "no" if inferior or self.effective >= least - SAME_ACCURACY else f"too few {self.unit} (n < {least})"


def correct_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Index slide; columns cluster (patient where known) and right (mean over seeds of a right prediction, 0..1)."""
    cluster = rows["patient"].where(rows["patient"].notna(), rows["slide"]).astype(str)
    right = (rows["label"] == rows["predicted"]).astype(float)
    table = pd.DataFrame({"slide": rows["slide"], "cluster": cluster, "right": right})
    return table.groupby("slide").agg(cluster=("cluster", "first"), right=("right", "mean"))


def difference(own: pd.DataFrame, reference: pd.DataFrame) -> Difference | None:
    """Paired difference of two tables of predictions; None where they share no slide.

    The interval is over clusters (patients, else slides); a slide keeps its seeds together, so training seeds are not
    taken for slides. McNemar: exact binomial on discordant slides: right where most seeds are, wrong where most
    are wrong; a slide with as many right as wrong is neither and says nothing.
    """
    both: Any = correct_table(own).join(correct_table(reference).add_suffix("_reference"), how="inner")
    if both.empty:
        return None
    gap = both["right"] - both["right_reference"]
    low, high = difference_interval(gap, both["cluster"]) or (None, None)
    own, other = both["right"], both["right_reference"]
    b, c = int(((own > 0.5) & (other < 0.5)).sum()), int(((own < 0.5) & (other > 0.5)).sum())
    p = min(1.0, 2 * float(binom.cdf(min(b, c), b + c, 0.5))) if b + c else 1.0
    unit = "slides" if both["cluster"].equals(pd.Series(both.index.astype(str), both.index)) else "patients"
    clusters = both["cluster"]
    return Difference(float(gap.mean()), low, high, b, c, p, int(clusters.nunique()), clusters_by_size(clusters), unit)


def corrected_t(gaps: np.ndarray, n_train: int, n_test: int) -> tuple[float, float] | None:
    """(t, two-sided p) of differences over k resampled trainings: Nadeau & Bengio, Machine Learning 52 (2003), eq. 9.

    The variance is scaled by 1/k + n_test/n_train, for the trainings share their slides. (0, 1) where all differences
    are 0; None where k < 2, or where they are equal without being 0: no spread to measure the difference by, and few
    equal trainings are no proof that there is none.
    """
    k = len(gaps)
    if k > 1 and not np.any(gaps):
        return 0.0, 1.0
    if k < 2 or float(np.ptp(gaps)) < SAME_ACCURACY:
        return None
    t = float(np.mean(gaps)) / math.sqrt((1 / k + n_test / n_train) * float(np.var(gaps, ddof=1)))
    return t, float(2 * student.sf(abs(t), k - 1))


def holm(p: list[float]) -> list[float]:
    """Holm's step-down correction of p values, for all pairs that are tested together (Holm, 1979).

    The same as statsmodels' multipletests(method="holm"), which collects garbage each time: seconds for many runs.
    """
    if not p:
        return []
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p, float)[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected.tolist()
