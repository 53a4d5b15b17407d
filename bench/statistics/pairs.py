"""Two strategies on the same slides: how large is the difference, and how sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from statsmodels.stats.contingency_tables import mcnemar

RESAMPLES = 2000
SAME_ACCURACY = 1e-9  # differences closer than this differ by rounding only


@dataclass(frozen=True)
class Difference:
    """Accuracy of a strategy minus the reference's over shared slides.

    value, low, high: the difference and its 95 % interval (clusters resampled); only_own, only_reference: slides that
    one of the two has right in most of its seeds and the other wrong in most; mcnemar_p: exact, two-sided; clusters:
    how many there are to resample.
    """

    value: float
    low: float
    high: float
    only_own: int
    only_reference: int
    mcnemar_p: float
    clusters: int

    def non_inferior(self, margin: float) -> bool:
        """Whether the difference is above -margin with one-sided confidence of 97.5 %; margin > 0 in accuracy."""
        return self.low > -margin


def correct_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Index slide; columns cluster (patient where known) and right (mean over seeds of a right prediction, 0..1)."""
    cluster = rows["patient"].where(rows["patient"].notna(), rows["slide"]).astype(str)
    right = (rows["label"] == rows["predicted"]).astype(float)
    table = pd.DataFrame({"slide": rows["slide"], "cluster": cluster, "right": right})
    return table.groupby("slide").agg(cluster=("cluster", "first"), right=("right", "mean"))


def difference(own: pd.DataFrame, reference: pd.DataFrame) -> Difference | None:
    """Paired difference of two tables of predictions; None where they share no slide.

    The bootstrap resamples clusters (patients, else slides); a slide keeps its seeds together, so training seeds are
    not taken for slides. McNemar: exact binomial on discordant slides: right where most seeds are, wrong where most
    are wrong; a slide with as many right as wrong is neither and says nothing.
    """
    both: Any = correct_table(own).join(correct_table(reference), how="inner", rsuffix="_reference")
    if both.empty:
        return None
    gap = both["right"] - both["right_reference"]
    by = by_cluster(gap, both["cluster"])
    low, high = cluster_interval(by)
    own, other = both["right"], both["right_reference"]
    b, c = int(((own > 0.5) & (other < 0.5)).sum()), int(((own < 0.5) & (other > 0.5)).sum())
    p = float(mcnemar([[0, b], [c, 0]], exact=True).pvalue) if b + c else 1.0  # pyright: ignore
    return Difference(float(gap.mean()), low, high, b, c, p, len(by))


def by_cluster(values: pd.Series, clusters: pd.Series) -> np.ndarray:
    """(sum, count) of `values` in each cluster, [n, 2]."""
    return pd.DataFrame({"c": clusters, "d": values}).groupby("c")["d"].agg(["sum", "count"]).to_numpy(float)


def cluster_interval(by: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean over members of clusters; by [n, 2] = (sum, count) of each cluster.

    Drawn by multinomial counts of clusters: the same as resampling rows, in memory that does not grow with them.
    The width is scaled by sqrt(n / (n - 1)): percentile intervals of few clusters are too short.
    """
    n = len(by)
    if n < 2:
        return float("-inf"), float("inf")
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    means = (counts @ by[:, 0]) / np.maximum(counts @ by[:, 1], 1e-12)
    centre = by[:, 0].sum() / by[:, 1].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    factor = math.sqrt(n / (n - 1))
    return float(centre + (low - centre) * factor), float(centre + (high - centre) * factor)


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
