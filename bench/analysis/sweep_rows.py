"""What a sweep says: one row a strategy and budget, from the raw predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.metrics import accuracy_interval
from bench.analysis.statistics.equal_patches import THIRDS, equal_patches, rank_into_thirds

KEYS = ["strategy", "mode", "budget", "confidence"]  # one row of the table
TRAINING = ["fold", "seed"]  # one trained strategy


def flip_rate(rows: pd.DataFrame) -> float:
    """Share of the slides whose prediction is not the same with every sampling seed, of one trained strategy."""
    different: Any = rows.groupby("slide")["predicted"].nunique() > 1
    return float(different.mean())


def compute_sweep_rows(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a strategy, mode, budget (null where the strategy knows none) and confidence (null but where swept).

    accuracy: mean over slides, sampling seeds and trainings, with a 95 % interval over slides (patients where known;
    null for one). sd_sampling: standard deviation (n-1) of the accuracy over the sampling seeds of one training, mean
    over trainings. sd_training: of the mean accuracy over trainings. flip_rate: share of slides whose prediction is
    not the same with every sampling seed, mean over trainings. Null where there are fewer than two to compare.
    difference: see `against`.
    """
    groups: Any = rows.groupby(KEYS, sort=False, dropna=False)
    table = [_row(dict(zip(KEYS, key, strict=True)), own) for key, own in groups]
    return [{**row, **more} for row, more in zip(table, compare_at_equal_patches(rows), strict=True)]


def compare_at_equal_patches(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Of each row of the table, how it does against the first strategy of the sweep at as many patches.

    reference: that strategy, drawn; difference, difference_low, difference_high: `equal_patches` at the row's mean
    patches; null for the reference itself and outside its budgets. The same, and accuracy and patches, over the thirds
    of the slides by how hard they are to the reference where it reads most (`rank_into_thirds`): *_easy, *_middle,
    *_hard, null with one training. The reference reads as many patches on easy slides as on hard ones, unless it stops
    when certain.
    """
    drawn: Any = rows[(rows["strategy"] == rows["strategy"].iloc[0]) & (rows["mode"] == "sample")]
    reference = {float(own["patches"].mean()): own for _, own in drawn.groupby(["budget", "confidence"], dropna=False)}
    third = rank_into_thirds(rows, reference[max(reference)])
    name, found = str(drawn["strategy"].iloc[0]), []
    groups: Any = rows.groupby(KEYS, sort=False, dropna=False)
    for (strategy, mode, *_), own in groups:
        others = {} if (strategy, mode) == (name, "sample") else reference
        row: dict[str, Any] = {"reference": name, **_gap("", own, others, float(own["patches"].mean()))}
        for part in THIRDS:
            here = own[third[own.index] == part]
            there = {n: other[third[other.index] == part] for n, other in others.items()}
            row[f"accuracy_{part}"] = None if here.empty else float((here["label"] == here["predicted"]).mean())
            row[f"patches_{part}"] = None if here.empty else float(here["patches"].mean())
            row.update(_gap(f"_{part}", here, there, float(own["patches"].mean())))
        found.append(row)
    return found


def _gap(part: str, own: pd.DataFrame, others: dict[float, pd.DataFrame], patches: float) -> dict[str, float | None]:
    found = equal_patches(own, others, patches) or (None,) * 3
    keys = (f"difference{part}", f"difference{part}_low", f"difference{part}_high")
    return dict(zip(keys, found, strict=True))


def _row(keys: dict[str, Any], own: Any) -> dict[str, Any]:
    right = own.assign(right=(own["label"] == own["predicted"]).astype(float))
    by_draw = right.groupby([*TRAINING, "draw"])["right"].mean()
    trainings = by_draw.groupby(TRAINING)
    draws = int(own["draw"].nunique())
    accuracy, low, high = accuracy_interval(own)
    flips = [flip_rate(one) for _, one in own.groupby(TRAINING)]
    return {
        "dataset": own["dataset"].iloc[0],
        **keys,
        "uses_evidence": bool(own["uses_evidence"].any()),
        "told": own["told"].iloc[0] if "told" in own else "",
        "budget": int(keys["budget"]) or None,
        "confidence": None if pd.isna(keys["confidence"]) else float(keys["confidence"]),
        "trainings": len(flips),
        "draws": draws,
        "slides": int(own["slide"].nunique()),
        "accuracy": accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "sd_sampling": float(np.mean(trainings.std(ddof=1))) if draws > 1 else None,
        "sd_training": float(np.std(trainings.mean(), ddof=1)) if len(flips) > 1 else None,
        "flip_rate": float(np.mean(flips)) if draws > 1 else None,
        "patches_per_slide": float(own["patches"].mean()),
        "megapixels_decoded_per_slide": float(own["decoded_px"].mean() / 1e6),
        "megabytes_read_per_slide": float(own["compressed_bytes"].mean() / 1e6),
        "seconds_per_slide": float(own["seconds"].mean()),
    }
