"""Metrics over stored predictions. Nothing here runs a model or prints."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

RESAMPLES = 2000


def accuracy_interval(rows: pd.DataFrame) -> tuple[float, float, float]:
    """Accuracy with a 95 % interval, over rows with slide, patient, label, predicted.

    One prediction a slide and no patients: Wilson. Otherwise the mean over all rows with a bootstrap
    that resamples clusters (patients where known, else slides), so that seeds are not taken for slides.
    """
    correct = (rows["label"] == rows["predicted"]).to_numpy(float)
    cluster = rows["patient"].where(rows["patient"].notna(), rows["slide"])
    if cluster.is_unique:
        interval = binomtest(int(correct.sum()), len(correct)).proportion_ci(method="wilson")
        return float(correct.mean()), float(interval.low), float(interval.high)
    by = pd.DataFrame({"c": cluster.to_numpy(), "k": correct}).groupby("c")["k"].agg(["sum", "count"]).to_numpy(float)
    draws = np.random.default_rng(0).integers(0, len(by), (RESAMPLES, len(by)))
    sums = by[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return float(correct.mean()), float(low), float(high)


def auc(rows: pd.DataFrame) -> float | None:
    """Area under the ROC curve, one-vs-rest macro over classes; None where a class is absent."""
    classes = sorted(rows["label"].unique())
    columns = [f"prob_{name}" for name in classes]
    if len(classes) < 2 or len(columns) < sum(c.startswith("prob_") for c in rows.columns):
        return None
    scores = rows[columns].to_numpy(float)
    if len(classes) == 2:
        return float(roc_auc_score(rows["label"] == classes[1], scores[:, 1]))
    total = scores.sum(axis=1, keepdims=True)
    return float(roc_auc_score(rows["label"], scores / np.maximum(total, 1e-12), multi_class="ovr", labels=classes))


def paired_ratio(reference: pd.Series, own: pd.Series) -> float | None:
    """Geometric mean of reference / own over the index they share; None where they share nothing."""
    both = pd.concat([reference, own], axis=1, join="inner").dropna()
    if both.empty:
        return None
    return math.exp(float(np.mean(np.log(both.iloc[:, 0].to_numpy(float) / both.iloc[:, 1].to_numpy(float)))))
