"""The statistics of a change. Nothing here measures.

The time of an operation in a block is the lower quartile of its samples, because whatever else the machine does only
adds time. A change is the trimmed mean over blocks of the log-ratio of the two sides' times, with Yuen's interval
(Biometrika 61, 1974). One or two spoilt blocks cannot move it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

TRIM = 0.2  # share of the blocks left out at either end
ALPHA = 0.01  # of the one-sided bounds, and the p below which a slowdown counts


@dataclass(frozen=True)
class Change:
    """By how much the time changed.

    Attributes:
        ratio: seconds of the head over seconds of the base.
        low: one-sided 99 % lower bound of the ratio.
        high: one-sided 99 % upper bound of the ratio.
        blocks: how many blocks it is estimated from.
        p: probability of such a slowdown where the head is not slower.
    """

    ratio: float
    low: float
    high: float
    blocks: int
    p: float


def block_seconds(samples: Sequence[float]) -> float:
    """The lower quartile of the samples of one block."""
    return float(sorted(samples)[(len(samples) - 1) // 4])


def log_ratios(base: Sequence[Sequence[float]], head: Sequence[Sequence[float]]) -> np.ndarray:
    """log(head / base), block by block [blocks]."""
    return np.log([block_seconds(h) / block_seconds(b) for b, h in zip(base, head, strict=True)])


def compare_paired(values: Sequence[float] | np.ndarray) -> Change:
    """The change over blocks in which both sides took turns; `values`: log-ratios, one a block, at least 3."""
    values = np.asarray(values, float)
    if len(values) < 3:
        raise ValueError(f"{len(values)} blocks; an interval needs at least 3")
    if np.ptp(values) == 0:  # no spread at all: only made-up numbers have that
        same = math.exp(float(values[0]))
        return Change(same, same, same, len(values), 0.0 if values[0] > 0 else 1.0)
    centre, error, df = _yuen(values)
    half = error * float(stats.t.isf(ALPHA, df))
    p = float(stats.t.sf(centre / error, df)) if error else float(centre <= 0)
    return Change(math.exp(centre), math.exp(centre - half), math.exp(centre + half), len(values), p)


def _yuen(values: np.ndarray) -> tuple[float, float, int]:
    """Trimmed mean, its standard error, and degrees of freedom."""
    n, cut, ordered = len(values), int(TRIM * len(values)), np.sort(values)
    kept, winsorised = n - 2 * cut, np.clip(values, ordered[cut], ordered[n - 1 - cut])
    error = math.sqrt(float(np.var(winsorised, ddof=1)) * (n - 1) / (kept * (kept - 1)))
    return float(stats.trim_mean(values, TRIM)), error, kept - 1


def compare_unpaired(base: Sequence[float], head: Sequence[float]) -> Change:
    """The change between values that were not measured together, such as stored ones (Yuen's two-sample test)."""
    old, new = np.log(np.asarray(base, float)), np.log(np.asarray(head, float))
    found: Any = stats.ttest_ind(new, old, equal_var=False, trim=TRIM)  # pyright: ignore[reportArgumentType]
    low, high = found.confidence_interval(1 - 2 * ALPHA)
    p = float(stats.t.sf(found.statistic, found.df))
    centre = float(stats.trim_mean(new, TRIM) - stats.trim_mean(old, TRIM))
    return Change(math.exp(centre), math.exp(float(low)), math.exp(float(high)), min(len(old), len(new)), p)


def is_suspect(change: Change, tolerance: float) -> bool:
    """Whether it is worth a second look: the estimate passes the tolerance (0.05 = 5 % slower)."""
    return change.ratio > 1 + tolerance


def is_slower(change: Change, tolerance: float) -> bool:
    """Whether it is slower for certain: the lower bound passes the tolerance, and p < .01."""
    return change.low > 1 + tolerance and change.p < ALPHA


def noise_floor(values: Sequence[float] | np.ndarray, blocks: int) -> float:
    """How far from 0 `blocks` blocks of an A/A run stray: 99 % of their estimates lie within +- this (0.03 = 3 %).

    values: log-ratios of an A/A run, one a block.
    """
    values = np.asarray(values, float)
    spread = _yuen(values)[1] * math.sqrt(len(values))
    return math.expm1(float(stats.norm.isf(0.005)) * spread / math.sqrt(blocks))
