"""What a dataset is: labelled slides with a split for every fold."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from bench.errors import UsageError


@dataclass(frozen=True)
class SlideRecord:
    """One labelled slide. mpp: override in um per level-0 pixel, or None; mask: evidence mask or None."""

    path: str
    label: str
    patient: str | None = None
    split: str | None = None
    fold: int | None = None
    mpp: float | None = None
    mask: str | None = None

    @property
    def id(self) -> str:
        """Name of the slide in the records: its path."""
        return self.path


@dataclass(frozen=True)
class Dataset:
    """Labelled slides. classes: in the order of the logits."""

    name: str
    classes: tuple[str, ...]
    records: tuple[SlideRecord, ...]

    @property
    def fingerprint(self) -> str:
        """Content hash of ids, labels and splits."""
        text = json.dumps([asdict(r) for r in self.records], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def split(self, fold: int, n_folds: int, seed: int = 0) -> dict[str, list[SlideRecord]]:
        """Records of "train", "val" and "test".

        With a `split` column: that split. Else fold `fold` of `n_folds` is the test part (from the
        `fold` column, or stratified and grouped by patient), and a fifth of the rest is validation.
        """
        if all(r.split for r in self.records):
            return {part: [r for r in self.records if r.split == part] for part in ("train", "val", "test")}
        labels = np.array([self.classes.index(r.label) for r in self.records])
        if all(r.fold is not None for r in self.records):
            test = np.array([r.fold == fold for r in self.records])
        else:
            test = np.zeros(len(labels), bool)
            test[_part(labels, self.records, n_folds, fold, seed)] = True
        rest = np.flatnonzero(~test)
        val = rest[_part(labels[rest], [self.records[i] for i in rest], 5, 0, seed)]
        parts = {"test": np.flatnonzero(test), "val": val, "train": np.setdiff1d(rest, val)}
        return {name: [self.records[i] for i in index] for name, index in parts.items()}


def _part(labels: np.ndarray, records: Any, n_folds: int, fold: int, seed: int) -> np.ndarray:
    """Positions of one stratified fold, grouped by patient where patients are known."""
    groups = [r.patient or r.path for r in records]
    fewest = int(np.bincount(labels).min()) if len(labels) else 0
    if fewest < n_folds:
        raise UsageError(
            f"a class has only {fewest} slides, too few for {n_folds} parts; add slides, or give split or fold columns"
        )
    grouped = len(set(groups)) < len(groups)
    if grouped:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        return list(splitter.split(labels, labels, groups))[fold][1]
    return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(labels, labels))[fold][1]


def load_dataset(name: str, options: Any, folder: Path, progress: Any = None) -> Dataset:
    """The dataset called `name`; UsageError that lists what exists for an unknown one."""
    from bench.datasets import DATASETS

    if name not in DATASETS:
        raise UsageError(
            f"unknown dataset {name!r}; there are: {', '.join(DATASETS)}; for your own slides use --slides labels.csv"
        )
    module, function = DATASETS[name].split(":")
    return getattr(importlib.import_module(module), function)(options, folder, progress)
