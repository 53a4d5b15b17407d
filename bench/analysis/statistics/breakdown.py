"""Where the seconds go: by stage, by the size of the slide, and along training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import linregress
from scipy.stats import t as student

from bench.runs.layout import AREA0_PX, DECODED_PX, SECONDS, VAL_ACCURACY, is_stage_column, stage_column
from jsma.meter import STAGES

LEAST_SPREAD = 2.0  # largest area / smallest: below, a slope would be noise


def stage_seconds(predictions: pd.DataFrame) -> dict[str, float]:
    """Stage -> mean seconds a slide at inference, in the order of the stages; those that took no time are left out.

    The stages are exclusive: they sum to the mean of `seconds`.
    """
    rows: Any = predictions
    means = {stage: float(rows[stage_column(stage)].mean()) for stage in STAGES if stage_column(stage) in rows}
    return {stage: value for stage, value in means.items() if value > 0}


def find_bottleneck(predictions: pd.DataFrame) -> str:
    """The stage with most inference seconds, with its share, as `read 41%`; "-" where no stage was timed."""
    rows: Any = predictions
    columns = [c for c in rows.columns if is_stage_column(c)]
    stages = {c.removesuffix(stage_column("")): float(np.sum(rows[c].to_numpy(float))) for c in columns}
    if not stages:
        return "-"
    name = max(stages, key=lambda key: stages[key])
    return f"{name} {stages[name] / max(sum(stages.values()), 1e-12):.0%}"


@dataclass(frozen=True)
class Slope:
    """cost = factor * area ** exponent, least squares on logarithms.

    Attributes:
        exponent: 1 where the cost grows as the slide does, 0 where it does not grow.
        low: Lower end of its 95 % interval (Student).
        high: Upper end.
        factor: Cost at area 1.
        n: How many slides.
        sizes: How many different areas.
    """

    exponent: float
    low: float
    high: float
    factor: float
    n: int
    sizes: int

    def at(self, area: np.ndarray) -> np.ndarray:
        """The fitted cost at these areas."""
        return self.factor * np.asarray(area, float) ** self.exponent


def area_slope(area: np.ndarray, cost: np.ndarray) -> Slope | None:
    """The line fitted to the logarithms of cost [n] over area [n] of slides; only values above 0 are used.

    None where there are fewer than 3 sizes, or where the largest is less than `LEAST_SPREAD` times the smallest.
    """
    use = (np.asarray(area) > 0) & (np.asarray(cost) > 0)
    x, y = np.asarray(area, float)[use], np.asarray(cost, float)[use]
    sizes = len(np.unique(x))
    if sizes < 3 or x.max() < LEAST_SPREAD * x.min():
        return None
    fit: Any = linregress(np.log(x), np.log(y))
    half = float(student.ppf(0.975, len(x) - 2)) * float(fit.stderr)
    exponent = float(fit.slope)
    return Slope(exponent, exponent - half, exponent + half, float(np.exp(fit.intercept)), len(x), sizes)


def by_slide(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row a slide: area0_px, and the means over its predictions of seconds and decoded_px."""
    columns = [c for c in (AREA0_PX, SECONDS, DECODED_PX) if c in predictions]
    return pd.DataFrame(predictions.groupby("slide", sort=False)[columns].mean())


def mean_curve(curves: Sequence[pd.DataFrame], points: int = 60) -> pd.DataFrame:
    """Validation accuracy along the clock of training: mean, lowest and highest over trainings.

    curves: with seconds (rising) and val_accuracy. A training's value at a time is that of its last finished epoch,
    held after its end. Times: evenly spaced logarithms from where every training has finished an epoch to the end of
    the longest. Columns seconds, mean, low, high; empty where there is no curve.
    """
    known: list[Any] = [c for c in curves if len(c)]
    if not known:
        return pd.DataFrame(columns=["seconds", "mean", "low", "high"])
    start, end = max(float(c[SECONDS].min()) for c in known), max(float(c[SECONDS].max()) for c in known)
    seconds = np.geomspace(start, max(end, start), points)
    seconds[0], seconds[-1] = start, max(end, start)  # exact: rounding would miss the epoch that ends there
    held = np.stack(
        [
            c[VAL_ACCURACY].to_numpy(float)[np.searchsorted(c[SECONDS].to_numpy(float), seconds, side="right") - 1]
            for c in known
        ]
    )
    return pd.DataFrame({"seconds": seconds, "mean": held.mean(0), "low": held.min(0), "high": held.max(0)})
