"""The one home of 95 % intervals: of an accuracy, of a paired difference of accuracies, of a mean of logarithms.

What is independent is a cluster: a patient, or a slide where patients are not known; slides of a patient and training
seeds of a slide are alike and lie within it. One cluster shows no spread: no interval (None). How often these intervals
hold the truth, for 3 slides and for accuracies near 1 too: `jsma-bench study interval-coverage`.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import beta
from scipy.stats import t as student

TAIL = 0.025  # on each side
SHRINK = 3.0  # clusters' worth of "all or nothing" that the variance between clusters is mixed with (simulation)
NOTHING = 1e-12  # a share this close to 0 or 1 is 0 or 1: what is left is rounding

Bounds = tuple[float, float] | None


def share_interval(values: pd.Series, clusters: pd.Series) -> Bounds:
    """95 % interval of the mean of `values` (0..1, such as right predictions), inside 0..1; None for one cluster.

    Exact (Clopper & Pearson, 1934) where each cluster has one value of 0 or 1. Otherwise the same at the effective
    number of clusters (Korn & Graubard, Survey Methodology 24, 1998), see `effective_clusters`.
    """
    sums, counts = _by_cluster(values, clusters)
    if len(counts) < 2:
        return None
    low, high = share_bounds(sums, counts)
    return float(low), float(high)


def difference_interval(values: pd.Series, clusters: pd.Series) -> Bounds:
    """95 % interval of a mean difference, inside -1..1; None for one cluster. `difference_bounds` says how.

    values: -1..1, a right prediction of the one (0 or 1) minus the same of the other.
    """
    gains, counts = _by_cluster(values.clip(lower=0), clusters)
    losses, _ = _by_cluster((-values).clip(lower=0), clusters)
    if len(counts) < 2:
        return None
    low, high = difference_bounds(gains, losses, counts)
    return float(low), float(high)


def mean_interval(values: pd.Series, clusters: pd.Series) -> Bounds:
    """95 % interval of the mean of `values` of any size, such as logarithms of ratios; None for one cluster.

    Student's t over clusters, with the linearised variance of a ratio of sums.
    """
    sums, counts = _by_cluster(values, clusters)
    n = len(counts)
    if n < 2:
        return None
    centre = sums.sum() / counts.sum()
    error = math.sqrt(n / (n - 1) * float(((sums - centre * counts) ** 2).sum())) / counts.sum()
    half = float(student.isf(TAIL, n - 1)) * error
    return float(centre - half), float(centre + half)


def least_clusters(margin: float) -> int:
    """The fewest clusters of equal size for which `difference_interval` of values that are all 0 lies above -margin.

    With no discordant cluster its lower end is .025 ** (1 / n) - 1. margin: above 0 and below 1.
    """
    n = max(2, math.floor(math.log(TAIL) / math.log1p(-margin)))
    return n if 1 - TAIL ** (1 / n) < margin else n + 1


def clusters_by_size(clusters: pd.Series) -> float:
    """Number of clusters, those of unequal size counted by Kish: (sum of sizes)^2 / sum of squared sizes."""
    sizes = clusters.value_counts().to_numpy(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def share_bounds(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) [...] of the share sum(sums) / sum(counts); both [..., clusters], at least two clusters."""
    share, n = effective_clusters(sums, counts)
    return clopper_pearson(share, n)


def difference_bounds(gains: np.ndarray, losses: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) [...] of (sum(gains) - sum(losses)) / sum(counts); all [..., clusters], at least two clusters.

    gains: what one is right and the other wrong of, losses: the reverse, so that what both have right or wrong widens
    nothing, and no discordant slide is no proof. Each share has its interval as in `share_bounds`; they are put
    together by the square-and-add rule with the correlation of gains and losses, 0 at most (MOVER: Newcombe, Statistics
    in Medicine 17, 1998; Zou & Donner, 2008). With nothing discordant: -+ (1 - .025 ** (1 / n)).
    """
    p, n_gain = effective_clusters(gains, counts)
    q, n_loss = effective_clusters(losses, counts)
    (p_low, p_high), (q_low, q_high) = clopper_pearson(p, n_gain), clopper_pearson(q, n_loss)
    rho = np.minimum(_correlation(gains - p[..., None] * counts, losses - q[..., None] * counts), 0.0)

    def half(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.sqrt(one**2 - 2 * rho * one * other + other**2)

    low = p - q - half(p - p_low, q_high - q)
    high = p - q + half(p_high - p, q - q_low)
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


def effective_clusters(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(share, n) [...]: as many independent trials of 0 or 1 would tell the share as surely as these clusters do.

    n = share (1 - share) / variance of the share, of which the variance between clusters is mixed with that of SHRINK
    clusters that are right or wrong as a whole: a variance from three clusters is often near 0 by luck. At 0 and 1 n is
    the number of clusters (Kish's where they are of unequal size), however many values each has.
    """
    clusters = counts.shape[-1]
    weights = counts / counts.mean(-1, keepdims=True)
    share = np.clip(sums.sum(-1) / counts.sum(-1), 0.0, 1.0)
    whole = (weights**2).mean(-1)  # variance of one cluster that is right or wrong as a whole, over share (1 - share)
    spread = share * (1 - share)
    residual = sums / counts.mean(-1, keepdims=True) - share[..., None] * weights
    variance = ((residual**2).sum(-1) + SHRINK * spread * whole) / (clusters + SHRINK)
    inside = spread > NOTHING
    n = np.where(inside, spread / np.where(inside, variance, 1.0), 1 / whole) * clusters
    return share, n


def clopper_pearson(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact bounds of a binomial share of n trials (which need not be whole numbers); exactly 0 and 1 at its ends."""
    right = share * n
    none, all_ = share < NOTHING, share > 1 - NOTHING
    low = np.where(none, 0.0, beta.ppf(TAIL, np.where(none, 1.0, right), n - right + 1))
    high = np.where(all_, 1.0, beta.ppf(1 - TAIL, right + 1, np.where(all_, 1.0, n - right)))
    return low, high


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return np.where(size > NOTHING, (a * b).sum(-1) / np.where(size > NOTHING, size, 1.0), 0.0)


def _by_cluster(values: pd.Series, clusters: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """(sum, count) of the values in each cluster."""
    member, names = pd.factorize(clusters.to_numpy())
    return np.bincount(member, values.to_numpy(float), len(names)), np.bincount(member, minlength=len(names)) * 1.0
