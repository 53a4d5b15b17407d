"""Train, validation and test parts: as given, or stratified and grouped by patient from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from bench.errors import UsageError

VAL_PARTS = 5  # a fifth of what is not tested validates, more where a class has fewer than five slides left


def three_parts(records: Sequence[Any], classes: tuple[str, ...], fold: int, n_folds: int,
                seed: int) -> dict[str, np.ndarray]:  # fmt: skip
    """Positions of "train", "val" and "test" among `records` (label, patient, id, split, fold)."""
    labels = np.array([classes.index(r.label) for r in records])
    if records and all(r.split for r in records):
        given = np.array([r.split for r in records])
        parts = {part: np.flatnonzero(given == part) for part in ("train", "val", "test")}
        if not len(parts["val"]):
            parts["train"], parts["val"] = _without(parts["train"], labels, records, seed)
        return parts
    if all(r.fold is not None for r in records):
        folds = np.array([r.fold for r in records])
        test = np.flatnonzero(folds == fold)
        if _fewest(labels[folds != fold]) < VAL_PARTS:  # too few to draw from: the next fold validates
            order = sorted(set(folds.tolist()))
            val = np.flatnonzero(folds == order[(order.index(fold) + 1) % len(order)]) if fold in order else test[:0]
            train = np.setdiff1d(np.arange(len(records)), np.concatenate([test, val]))
            return {"train": train, "val": val, "test": test}
    else:
        test = _part(labels, records, n_folds, fold, seed)
    train, val = _without(np.setdiff1d(np.arange(len(records)), test), labels, records, seed)
    return {"train": train, "val": val, "test": test}


def _without(rest: np.ndarray, labels: np.ndarray, records: Sequence[Any],
             seed: int) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """`rest` as training and validation parts."""
    some = [records[i] for i in rest]
    parts = max(2, min(VAL_PARTS, _fewest(labels[rest]), len({r.patient or r.id for r in some})))
    for number in range(parts):  # few patients may take a class along: the first part that leaves all of them
        val = rest[_part(labels[rest], some, parts, number, seed)]
        train = np.setdiff1d(rest, val)
        if len(val) and len(set(labels[train].tolist())) == len(set(labels[rest].tolist())):
            return train, val
    raise UsageError(
        "no validation part leaves every class for training: too few patients have one of the classes; add patients, "
        "or give a split column"
    )


def _part(labels: np.ndarray, records: Sequence[Any], n_parts: int, number: int, seed: int) -> np.ndarray:
    """Positions of one stratified part, grouped by patient where patients are known."""
    groups = [r.patient or r.id for r in records]
    fewest = _fewest(labels)
    if fewest < n_parts:
        raise UsageError(
            f"a class has only {fewest} slides, too few for {n_parts} parts; add slides, or give split or fold columns"
        )
    if len(set(groups)) < n_parts:
        raise UsageError(
            f"the slides come from only {len(set(groups))} patients, too few for {n_parts} parts; add patients, or "
            "give split or fold columns"
        )
    if len(set(groups)) < len(groups):
        splitter = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
        return np.sort(list(splitter.split(labels, labels, groups))[number][1])
    splitter = StratifiedKFold(n_parts, shuffle=True, random_state=seed)
    return np.sort(list(splitter.split(labels, labels))[number][1])


def _fewest(labels: np.ndarray) -> int:
    """Slides of the rarest class that is present."""
    present = np.bincount(labels) if len(labels) else np.zeros(1, int)
    return int(present[present > 0].min()) if present.any() else 0
