"""Metrics over stored predictions. Nothing here runs a model or prints."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score, roc_auc_score

from bench.analysis.statistics.intervals import share_interval
from bench.runs.layout import class_of_column, is_magnification_column, probability_column


def accuracy_interval(rows: pd.DataFrame) -> tuple[float, float | None, float | None]:
    """(accuracy, low, high) with its 95 % interval over rows with slide, patient, label, predicted.

    The interval (`bench.analysis.statistics.intervals`) is over clusters: patients where known, else slides, so that
    seeds are not taken for slides; None, None for one cluster. NaN, None, None without rows.
    """
    correct: Any = (rows["label"] == rows["predicted"]).astype(float)
    if correct.empty:
        return math.nan, None, None
    cluster: Any = rows["patient"].where(rows["patient"].notna(), rows["slide"]).astype(str)
    low, high = share_interval(correct, cluster) or (None, None)
    return float(correct.mean()), low, high


def auc_or_reason(rows: pd.DataFrame) -> dict[str, Any]:
    """`auc`, and `auc_reason`: why it is None (a class without a test slide, probabilities that are no numbers).

    auc: area under the ROC curve, 0..1; of several classes the macro mean of one against the rest.
    """
    classes = sorted(rows["label"].unique())
    columns = [probability_column(name) for name in classes]
    there = [name for c in rows.columns if (name := class_of_column(c)) is not None]
    absent = sorted(name for name in there if name not in classes)
    if len(classes) < 2 or absent or not set(columns) <= set(rows.columns):
        return {"auc": None, "auc_reason": f"test slides of {', '.join(classes) or 'no class'} only"}
    scores = rows[columns].to_numpy(float)
    if not np.isfinite(scores).all():
        return {"auc": None, "auc_reason": "probabilities that are no numbers"}
    if len(classes) == 2:
        return {"auc": float(roc_auc_score(rows["label"] == classes[1], scores[:, 1])), "auc_reason": None}
    scores = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12)
    value = float(roc_auc_score(rows["label"], scores, multi_class="ovr", labels=classes))
    return {"auc": value, "auc_reason": None}


def class_metrics(rows: pd.DataFrame, order: list[str] | None = None) -> dict[str, Any]:
    """Counts and the metrics beside accuracy, over rows with label, predicted and prob_<class>.

    correct and predictions: integers (a slide counts once a seed); balanced_accuracy, macro_f1: scikit-learn's;
    kappa: quadratic, where `order` lists the classes from the lowest to the highest grade, else None; ece: expected
    calibration error, 10 bins of confidence.
    """
    both = pd.factorize(np.concatenate([rows["label"], rows["predicted"]]), sort=True)
    label, predicted = np.split(both[0], 2)  # numbers: text is slow to sort again and again
    kappa = None
    if order is not None and len(np.unique(label)) > 1 and set(both[1]) <= set(order):
        rank = np.array([order.index(name) for name in both[1]])
        kappa = float(
            cohen_kappa_score(rank[label], rank[predicted], weights="quadratic", labels=list(range(len(order))))
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that is predicted and absent from a small table
        balanced = float(balanced_accuracy_score(label, predicted))
    f1 = f1_score(label, predicted, average="macro", zero_division=0.0)  # pyright: ignore[reportArgumentType]
    return {
        "correct": int((label == predicted).sum()),
        "predictions": len(rows),
        "balanced_accuracy": balanced,
        "macro_f1": float(f1),
        "kappa": kappa,
        "ece": ece(rows),
    }


def ece(rows: pd.DataFrame, bins: int = 10) -> float | None:
    """Expected calibration error, 0..1: mean |accuracy - confidence| over equal bins of confidence, by their size.

    Guo et al., ICML 2017, eq. 5; None without columns prob_<class>, or where they are no numbers.
    """
    columns = [c for c in rows.columns if class_of_column(c) is not None]
    if not columns:
        return None
    confidence = rows[columns].to_numpy(float).max(axis=1)
    if not np.isfinite(confidence).all():
        return None
    right = (rows["label"] == rows["predicted"]).to_numpy(float)
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, right - confidence, bins)
    return float(np.abs(gaps).sum() / len(rows))


def magnification_by_class(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean p(magnification) by label; columns p_m0 (finest) and up, none where no magnification was drawn."""
    columns = [c for c in rows.columns if is_magnification_column(c)]
    return pd.DataFrame(rows.groupby("label")[columns].mean())
