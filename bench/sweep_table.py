"""What a sweep says: one row a strategy and budget, from the raw predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bench.metrics import accuracy_interval

TRAINING = ["fold", "seed"]  # one trained strategy


def flip_rate(rows: pd.DataFrame) -> float:
    """Share of the slides whose prediction is not the same with every sampling seed, of one trained strategy."""
    different: Any = rows.groupby("slide")["predicted"].nunique() > 1
    return float(different.mean())


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


def _row(keys: dict[str, Any], own: Any) -> dict[str, Any]:
    right = own.assign(right=(own["label"] == own["predicted"]).astype(float))
    by_draw = right.groupby([*TRAINING, "draw"])["right"].mean()
    trainings = by_draw.groupby(TRAINING)
    draws = int(own["draw"].nunique())
    accuracy, low, high = accuracy_interval(own)
    flips = [flip_rate(one) for _, one in own.groupby(TRAINING)]
    return {
        "dataset": own["dataset"].iloc[0], **keys, "uses_evidence": bool(own["uses_evidence"].any()),
        "budget": int(keys["budget"]) or None,
        "confidence": None if pd.isna(keys["confidence"]) else float(keys["confidence"]),
        "trainings": len(flips), "draws": draws, "slides": int(own["slide"].nunique()),
        "accuracy": accuracy, "accuracy_low": low, "accuracy_high": high,
        "sd_sampling": float(np.mean(trainings.std(ddof=1))) if draws > 1 else None,
        "sd_training": float(np.std(trainings.mean(), ddof=1)) if len(flips) > 1 else None,
        "flip_rate": float(np.mean(flips)) if draws > 1 else None,
        "patches_per_slide": float(own["patches"].mean()),
        "megapixels_decoded_per_slide": float(own["decoded_px"].mean() / 1e6),
        "megabytes_read_per_slide": float(own["compressed_bytes"].mean() / 1e6),
        "seconds_per_slide": float(own["seconds"].mean()),
    }  # fmt: skip
