"""One entry of a table beside the others of its dataset: what the columns of the table are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.entries import Entry, find_beside
from bench.analysis.metrics import accuracy_interval, auc_or_reason, class_metrics
from bench.analysis.opponents import choose_everything, find_search
from bench.analysis.statistics.breakdown import find_bottleneck
from bench.analysis.statistics.costs import ratio_interval
from bench.analysis.statistics.spread import compute_spreads
from bench.runs.kept.finished import FinishedRun
from bench.runs.layout import CACHE, JOULES, SECONDS
from bench.runs.observed.page_cache import COLD, UNVERIFIED, WARM

_STATE = {WARM: 0, COLD: 1, UNVERIFIED: 2}
NO_ENERGY = {"joules": None, "source": None, "reason": "recorded before energy was"}
Ratio = tuple[float, float | None, float | None] | None
"""A speed-up with its 95 % interval; no interval where a single pair shows no spread."""


class Measured:
    """An entry beside the others of its dataset.

    Each property is computed once, when a column asks for it.

    Attributes:
        entry: The runs of one row.
        rows: Their predictions, with `run`: the index in `runs`.
    """

    def __init__(self, entry: Entry, times: Times):
        self.entry = entry
        self.rows: Any = entry.rows
        self._times = times

    @property
    def runs(self) -> tuple[FinishedRun, ...]:
        """The runs of the row."""
        return self.entry.runs

    def mean(self, column: str) -> float | None:
        """Mean of the values of a column of the predictions that are present; None where there is none."""
        if column not in self.rows:
            return None
        values = self.rows[column].to_numpy(float, na_value=np.nan)
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else None

    def mean_of_training(self, key: str) -> float:
        """Mean over the runs of a figure of their training."""
        return float(np.mean([run.train[key] for run in self.runs]))

    @property
    def storage_mb(self) -> float | None:
        """Mean over the runs of what the features they paid for take where they are kept; None where none are."""
        kept = [run.train.get("features") or {} for run in self.runs]
        sizes = [record["bytes"] / 1e6 for record in kept if record.get("kept", "fresh") != "fresh"]
        return float(np.mean(sizes)) if sizes else None

    @cached_property
    def accuracy(self) -> tuple[float, float | None, float | None]:
        """(accuracy, low, high) with its 95 % interval."""
        return accuracy_interval(self.rows)

    @cached_property
    def auc(self) -> dict[str, Any]:
        """`auc`, and `auc_reason`: why it is None."""
        return auc_or_reason(self.rows)

    @cached_property
    def by_class(self) -> dict[str, Any]:
        """Counts and the metrics beside accuracy (`bench.analysis.metrics.class_metrics`)."""
        return class_metrics(self.rows, list(self.runs[0].class_order) or None)

    @cached_property
    def spreads(self) -> dict[str, float | None]:
        """Standard deviations of the accuracy (`bench.analysis.statistics.spread`)."""
        return compute_spreads(self.entry)

    @cached_property
    def cache(self) -> str:
        """State of the page cache, with counts where predictions met several states."""
        counts = self.rows[CACHE].value_counts() if CACHE in self.rows else {"warm": len(self.rows)}
        return ", ".join(f"{state} {n}" if len(counts) > 1 else str(state) for state, n in sorted(counts.items()))

    @cached_property
    def bottleneck(self) -> str:
        """The stage with most inference seconds, with its share."""
        return find_bottleneck(self.rows)

    @cached_property
    def energy(self) -> dict[str, Any]:
        """Mean joules of a training and of a prediction; null, with the reason, where one run could not measure."""
        training = [run.train.get("energy") or NO_ENERGY for run in self.runs]
        inference = [run.environment.get("energy") or NO_ENERGY for run in self.runs]
        lacking = [next((r["reason"] for r in records if r["reason"]), None) for records in (training, inference)]
        sources = sorted({str(record["source"]) for record in inference})
        return {
            "train_j": None if lacking[0] else float(np.mean([record["joules"] for record in training])),
            "train_j_reason": lacking[0],
            "inference_j_per_slide": None if lacking[1] else self.mean(JOULES),
            "inference_j_reason": lacking[1],
            "energy_source": None if lacking[1] else " / ".join(sources),
        }

    @cached_property
    def everything(self) -> Entry | None:
        """What reads everything, in the same settings; None where it was not run."""
        name = choose_everything(self._times.entries, self.entry.dataset)
        return None if name is None else find_beside(self.entry, name, self._times.entries)

    @cached_property
    def exhaustive(self) -> Entry | None:
        """The strategy `exhaustive` in the same settings."""
        return find_beside(self.entry, "exhaustive", self._times.entries)

    @cached_property
    def search(self) -> Entry | None:
        """The search over magnifications, where it drew as this strategy does."""
        return find_search(self.entry, self._times.entries)

    def training_speedup(self, other: Entry | None) -> Ratio:
        """Training seconds of `other` over those of the entry, paired by (data, settings, fold, seed)."""
        return self._times.pair_training(self.entry, other)

    def inference_speedup(self, other: Entry | None) -> Ratio:
        """Inference seconds a slide of `other` over those of the entry, paired within one interleaved inference."""
        return self._times.pair_inference(self.entry, other)


class Times:
    """Seconds of the entries of one dataset, indexed so that what ran beside each other is paired."""

    def __init__(self, own: Sequence[Entry]):
        self.entries = own
        named: Any = pd.concat([entry.rows["slide"] for entry in own])
        slides = pd.Index(named.unique())
        groups = {g: i for i, g in enumerate(dict.fromkeys(run.group for entry in own for run in entry.runs))}
        self._seconds: dict[str, Any] = {}
        for entry in own:
            rows: Any = entry.rows
            slide = slides.get_indexer(rows["slide"].to_numpy())
            group = np.array([groups[run.group] for run in entry.runs])[rows["run"].to_numpy(int)]
            # the state of the page cache is part of what is paired: warm is never set against cold
            state = rows[CACHE].map(_STATE).fillna(0).to_numpy(int) if CACHE in rows else 0
            index = (group * len(slides) + slide) * len(_STATE) + state
            frame: Any = pd.DataFrame({"seconds": rows[SECONDS].to_numpy(float), "slide": slide}, index=index)
            self._seconds[entry.name] = frame[~frame.index.duplicated(keep="last")]

    def pair_training(self, entry: Entry, other: Entry | None) -> Ratio:
        """Training seconds of the other over those of the entry."""
        reference = {run.group: run.train["train_s"] for run in other.runs} if other else {}
        own = {run.group: run.train["train_s"] for run in entry.runs}
        return ratio_interval(pd.Series(reference, dtype=float), pd.Series(own, dtype=float))

    def pair_inference(self, entry: Entry, other: Entry | None) -> Ratio:
        """Inference seconds a slide of the other over those of the entry; a slide keeps its seeds together."""
        if other is None:
            return None
        own = self._seconds[entry.name]
        return ratio_interval(self._seconds[other.name]["seconds"], own["seconds"], own["slide"])
