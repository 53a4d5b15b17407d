"""Train, validation and test parts: as they are given, or drawn by class and patient from a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.errors import UsageError

FOLDS = 5  # that are drawn where the data give neither split nor fold
VAL_PARTS = 5  # a fifth of what is not tested validates, more where a class has fewer than five slides left


def fold_numbers(records: Sequence[Any], n_folds: int) -> tuple[int, ...]:
    """List the folds.

    Args:
        records: Slides with `split` and `fold`.
        n_folds: Number of folds where they are drawn.

    Returns:
        (0,) where the slides give a split; else the numbers that they give, or 0 to n_folds - 1.
    """
    if records and all(r.split for r in records):
        return (0,)
    if records and all(r.fold is not None for r in records):
        return tuple(sorted({r.fold for r in records}))
    return tuple(range(n_folds))


def folds_to_run(records: Sequence[Any], asked: int) -> tuple[int, ...]:
    """List the first `asked` folds by their numbers. UsageError where there are fewer."""
    numbers = fold_numbers(records, FOLDS)
    if asked <= len(numbers):
        return numbers[:asked]
    if records and all(r.split for r in records):
        raise UsageError(
            f"--folds {asked}: the data give a split, which is one fold, and would be trained {asked} times; leave "
            "--folds out, or the column split"
        )
    said = f", the data give folds {', '.join(map(str, numbers))}" if any(r.fold is not None for r in records) else ""
    raise UsageError(f"--folds {asked}{said}; allowed: 1 to {len(numbers)}")


def three_parts(
    records: Sequence[Any], classes: tuple[str, ...], fold: int, n_folds: int, seed: int
) -> dict[str, np.ndarray]:
    """Split slides into three parts.

    Args:
        records: Slides with label, patient, id, split and fold.
        classes: All labels.
        fold: Number of the fold to test.
        n_folds: Number of folds where they are drawn.
        seed: Of what is drawn.

    Returns:
        "train", "val" and "test" -> positions among `records`, int [n], ascending.

    Raises:
        UsageError: a class or the patients are too few.
    """
    labels = np.array([classes.index(r.label) for r in records])
    if records and all(r.split for r in records):
        given = np.array([r.split for r in records])
        parts = {part: np.flatnonzero(given == part) for part in ("train", "val", "test")}
        if not len(parts["val"]):
            parts["train"], parts["val"] = _split_off_validation(parts["train"], labels, records, seed)
        return parts
    _check_columns_complete(records)
    if all(r.fold is not None for r in records):
        folds = np.array([r.fold for r in records])
        test = np.flatnonzero(folds == fold)
        if _rarest_class_size(labels[folds != fold]) < VAL_PARTS:  # too few to draw from: the next fold validates
            order = sorted(set(folds.tolist()))
            val = np.flatnonzero(folds == order[(order.index(fold) + 1) % len(order)]) if fold in order else test[:0]
            train = np.setdiff1d(np.arange(len(records)), np.concatenate([test, val]))
            return {"train": train, "val": val, "test": test}
    else:
        test = _draw_part(labels, records, n_folds, fold, seed)
    train, val = _split_off_validation(np.setdiff1d(np.arange(len(records)), test), labels, records, seed)
    return {"train": train, "val": val, "test": test}


def _check_columns_complete(records: Sequence[Any]) -> None:
    """UsageError where some slides have a split or a fold and others have none."""
    for column, given in (("split", [r.split for r in records]), ("fold", [r.fold for r in records])):
        if any(v is not None for v in given) and any(v is None for v in given):
            raise UsageError(f"{records[given.index(None)].id} has no {column}, others have; give it to all or to none")


def _split_off_validation(
    rest: np.ndarray, labels: np.ndarray, records: Sequence[Any], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split positions `rest` into a training and a validation part."""
    some = [records[i] for i in rest]
    rare = Counter(r.label for r in some).most_common()[-1:]
    if not rare or rare[0][1] < 2:
        which = f"class {rare[0][0]!r} has one slide that is not tested" if rare else "no slide is left to train on"
        raise UsageError(
            f"{which}, and one must train and one validate; add slides, or mark some as val in column split"
        )
    parts = max(2, min(VAL_PARTS, rare[0][1], len({r.patient or r.id for r in some})))
    for number in range(parts):  # with few patients a part may hold all slides of a class: take one that does not
        val = rest[_draw_part(labels[rest], some, parts, number, seed)]
        train = np.setdiff1d(rest, val)
        if len(val) and len(set(labels[train].tolist())) == len(set(labels[rest].tolist())):
            return train, val
    patients = {label: {r.patient or r.id for r in some if r.label == label} for label in {r.label for r in some}}
    fewest = min(patients, key=lambda label: (len(patients[label]), label))
    raise UsageError(
        f"no validation part leaves every class for training: class {fewest!r} has slides of {len(patients[fewest])} "
        "patient(s) to train and validate with; add patients, or mark slides as val in column split"
    )


def _draw_part(labels: np.ndarray, records: Sequence[Any], n_parts: int, number: int, seed: int) -> np.ndarray:
    """Draw the positions of one stratified part, grouped by patient where patients are known."""
    groups = [r.patient or r.id for r in records]
    label, fewest = Counter(r.label for r in records).most_common()[-1]
    if fewest < n_parts:
        raise UsageError(
            f"class {label!r} has {fewest} slide(s), and {n_parts} parts are drawn, with each class in each: at least "
            f"{n_parts} of every class are needed; add slides, or give a column split (train, val, test) or fold"
        )
    if len(set(groups)) < n_parts:
        raise UsageError(
            f"the slides come from {len(set(groups))} patient(s), and {n_parts} parts are drawn, with no patient in "
            "two; add patients, or give a column split (train, val, test) or fold"
        )
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # a second to load, and `--help` waits

    if len(set(groups)) < len(groups):
        splitter = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
        return np.sort(list(splitter.split(labels, labels, groups))[number][1])
    splitter = StratifiedKFold(n_parts, shuffle=True, random_state=seed)
    return np.sort(list(splitter.split(labels, labels))[number][1])


def _rarest_class_size(labels: np.ndarray) -> int:
    """Count the slides of the rarest class that is present."""
    present = np.bincount(labels) if len(labels) else np.zeros(1, int)
    return int(present[present > 0].min()) if present.any() else 0
