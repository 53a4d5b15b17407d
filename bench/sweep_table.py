"""What a sweep says: one row a strategy and budget, from the raw predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bench.metrics import accuracy_interval

TRAINING = ["fold", "seed"]  # one trained strategy


def flip_rate(rows: pd.DataFrame) -> float:
    """Share of the slides whose prediction is not the same with every sampling seed, of one trained strategy."""
    said: dict[str, set[str]] = {}
    for slide, predicted in zip(rows["slide"].tolist(), rows["predicted"].tolist(), strict=True):
        said.setdefault(slide, set()).add(predicted)
    return float(np.mean([len(answers) > 1 for answers in said.values()]))


def sweep_table(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a strategy, mode, budget (null where the strategy knows none) and confidence (null but where swept).

    accuracy: mean over slides, sampling seeds and trainings, with a 95 % interval that resamples slides (patients
    where known). sd_sampling: standard deviation (n-1) of the accuracy over the sampling seeds of one training, mean
    over trainings. sd_training: of the mean accuracy over trainings. flip_rate: share of slides whose prediction is
    not the same with every sampling seed, mean over trainings. Null where there are fewer than two to compare.
    """
    keys = ["strategy", "mode", "budget", "confidence"]
    groups = rows.groupby(keys, sort=False, dropna=False)
    return [_row(dict(zip(keys, key, strict=True)), own) for key, own in groups]  # pyright: ignore


def _row(keys: dict[str, Any], own: pd.DataFrame) -> dict[str, Any]:
    trainings = [one for _, one in own.groupby(TRAINING)]
    draws = len(set(own["draw"].tolist()))
    right = [_by_draw(one) for one in trainings]  # accuracies of each training, one a sampling seed
    accuracy, low, high = accuracy_interval(own)
    return {
        "dataset": own["dataset"].iloc[0], **keys, "budget": int(keys["budget"]) or None,
        "confidence": None if keys["confidence"] != keys["confidence"] else keys["confidence"],  # NaN: not swept
        "trainings": len(trainings), "draws": draws, "slides": len(set(own["slide"].tolist())),
        "accuracy": accuracy, "accuracy_low": low, "accuracy_high": high,
        "sd_sampling": float(np.mean([r.std(ddof=1) for r in right])) if draws > 1 else None,
        "sd_training": float(np.std([r.mean() for r in right], ddof=1)) if len(right) > 1 else None,
        "flip_rate": float(np.mean([flip_rate(one) for one in trainings])) if draws > 1 else None,
        "patches_per_slide": _mean(own, "patches"),
        "megapixels_decoded_per_slide": _mean(own, "decoded_px") / 1e6,
        "megabytes_read_per_slide": _mean(own, "compressed_bytes") / 1e6,
        "seconds_per_slide": _mean(own, "seconds"),
    }  # fmt: skip


def _by_draw(rows: pd.DataFrame) -> np.ndarray:
    right = (rows["label"] == rows["predicted"]).to_numpy(float)
    draw = rows["draw"].to_numpy(int)
    return np.array([right[draw == d].mean() for d in np.unique(draw)])


def _mean(rows: pd.DataFrame, column: str) -> float:
    return float(rows[column].to_numpy(float).mean())
