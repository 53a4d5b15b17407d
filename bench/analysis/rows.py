"""One table over finished runs, recomputed from their raw rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.entries import Entry, find_beside, group_runs
from bench.analysis.metrics import accuracy_interval, auc_or_reason, class_metrics
from bench.analysis.opponents import choose_everything, find_search
from bench.analysis.statistics.costs import mark_fronts, ratio_interval
from bench.analysis.statistics.spread import compute_spreads
from bench.datasets.known.panda import GRADES as PANDA_GRADES
from bench.runs.kept.finished import FinishedRun, stacked
from bench.runs.observed.page_cache import COLD, UNVERIFIED, WARM
from bench.runs.observed.where_looked import LOOKED

_STATE = {WARM: 0, COLD: 1, UNVERIFIED: 2}
NO_ENERGY = {"joules": None, "source": None, "reason": "recorded before energy was"}
GRADES: dict[str, list[str]] = {"panda": list(PANDA_GRADES)}
"""Dataset -> its classes from the lowest to the highest grade, where quadratic kappa is the field's metric."""


def compare(runs: Sequence[FinishedRun]) -> list[dict[str, Any]]:
    """One row per dataset, strategy and settings (`bench.analysis.entries.group_runs`).

    Speed-ups are geometric means of paired ratios: training by (data, settings, fold, seed), inference by slide
    within the interleaved inference of one run. Null where the opponent was not run beside it.
    """
    return compute_rows(group_runs(runs))


def compute_rows(found: Sequence[Entry]) -> list[dict[str, Any]]:
    """`compare` of runs that are sorted into entries already."""
    rows = []
    for dataset in dict.fromkeys(entry.dataset for entry in found):
        own = [entry for entry in found if entry.dataset == dataset]
        times = _Times(own)
        rows += [_row(entry, times) for entry in own]
    mark_fronts(rows)
    return rows


def _row(entry: Entry, times: _Times) -> dict[str, Any]:
    rows: Any = entry.rows
    accuracy, low, high = accuracy_interval(rows)
    return {
        "dataset": entry.dataset,
        "strategy": entry.strategy,
        "reads": entry.reads,
        "settings": entry.differing,
        "regime": entry.runs[0].regime,
        "runs": len(entry.runs),
        "slides": int(rows["slide"].nunique()),
        "accuracy": accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        **auc_or_reason(rows),
        "patches_per_slide": _mean(rows, "patches"),
        "megapixels_decoded_per_slide": (_mean(rows, "decoded_px") or 0.0) / 1e6,
        "megabytes_read_per_slide": (_mean(rows, "compressed_bytes") or 0.0) / 1e6,
        "train_s": float(np.mean([run.train["train_s"] for run in entry.runs])),
        "train_charged_s": float(np.mean([run.train["charged_s"] for run in entry.runs])),
        "cache": (states := _states(rows)),
        "inference_s_per_slide": None if "," in states else _mean(rows, "seconds"),
        **_speedups(entry, times),
        **class_metrics(rows, GRADES.get(entry.dataset)),
        **compute_spreads(entry),
        **_energy(entry, rows),
        **{key: _mean(rows, key) for key in LOOKED},
        "uses_evidence": any(run.train.get("uses_evidence", False) for run in entry.runs),
        "told": entry.runs[0].train.get("told", ""),
        "bottleneck": bottleneck(rows),
    }


def _speedups(entry: Entry, times: _Times) -> dict[str, Any]:
    """Over what reads everything (`speedup_reference`), over the search, and over `exhaustive` as in older tables."""
    name = choose_everything(times.entries, entry.dataset)
    everything, exhaustive = (None if n is None else find_beside(entry, n, times.entries) for n in (name, "exhaustive"))
    return {
        "speedup_reference": None if everything is None else everything.shown,
        **_interval("train_speedup_vs_everything", times.training(entry, everything)),
        **_interval("train_speedup_vs_search", times.training(entry, find_search(entry, times.entries))),
        **_interval("inference_speedup_vs_everything", times.inference(entry, everything)),
        **_interval("train_speedup_vs_exhaustive", times.training(entry, exhaustive)),
        **_interval("inference_speedup_vs_exhaustive", times.inference(entry, exhaustive)),
    }


def _mean(rows: pd.DataFrame, column: str) -> float | None:
    """Mean of the values that are present; None where there is none."""
    if column not in rows:
        return None
    values = rows[column].to_numpy(float, na_value=np.nan)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None


def _states(rows: Any) -> str:
    """State of the page cache, with counts where predictions of a row met several."""
    counts = rows["cache"].value_counts() if "cache" in rows else {"warm": len(rows)}
    return ", ".join(f"{state} {n}" if len(counts) > 1 else str(state) for state, n in sorted(counts.items()))


def _energy(entry: Entry, rows: pd.DataFrame) -> dict[str, Any]:
    """Mean joules of a training and of a prediction; null, with the reason, where one run could not measure them."""
    training = [run.train.get("energy") or NO_ENERGY for run in entry.runs]
    inference = [run.environment.get("energy") or NO_ENERGY for run in entry.runs]
    lacking = [next((r["reason"] for r in records if r["reason"]), None) for records in (training, inference)]
    sources = sorted({str(record["source"]) for record in inference})
    return {
        "train_j": None if lacking[0] else float(np.mean([record["joules"] for record in training])),
        "train_j_reason": lacking[0],
        "inference_j_per_slide": None if lacking[1] else _mean(rows, "joules"),
        "inference_j_reason": lacking[1],
        "energy_source": None if lacking[1] else " / ".join(sources),
    }


Ratio = tuple[float, float | None, float | None] | None


def _interval(key: str, ratio: Ratio) -> dict[str, float | None]:
    """Value and 95 % interval; no interval where a single pair shows no spread."""
    value, low, high = ratio or (None, None, None)
    return {key: value, f"{key}_low": low, f"{key}_high": high}


class _Times:
    """Seconds of the entries of one dataset, indexed so that what ran beside each other is paired."""

    def __init__(self, own: list[Entry]):
        self.entries = own
        named: Any = pd.concat([entry.rows["slide"] for entry in own])
        slides = pd.Index(named.unique())
        groups = {g: i for i, g in enumerate(dict.fromkeys(run.group for entry in own for run in entry.runs))}
        self._seconds: dict[str, Any] = {}
        for entry in own:
            slide = slides.get_indexer(entry.rows["slide"].to_numpy())
            group = np.array([groups[run.group] for run in entry.runs])[entry.rows["run"].to_numpy(int)]
            # the state of the page cache is part of what is paired: warm is never set against cold
            rows: Any = entry.rows
            state = rows["cache"].map(_STATE).fillna(0).to_numpy(int) if "cache" in rows else 0
            index = (group * len(slides) + slide) * len(_STATE) + state
            frame: Any = pd.DataFrame({"seconds": entry.rows["seconds"].to_numpy(float), "slide": slide}, index=index)
            self._seconds[entry.name] = frame[~frame.index.duplicated(keep="last")]

    def training(self, entry: Entry, other: Entry | None) -> Ratio:
        """Training seconds of the other over those of the entry."""
        reference = {r.group: r.train["train_s"] for r in other.runs} if other else {}
        own = {r.group: r.train["train_s"] for r in entry.runs}
        return ratio_interval(pd.Series(reference, dtype=float), pd.Series(own, dtype=float))

    def inference(self, entry: Entry, other: Entry | None) -> Ratio:
        """Inference seconds a slide of the other over those of the entry; a slide keeps its seeds together."""
        if other is None:
            return None
        own = self._seconds[entry.name]
        return ratio_interval(self._seconds[other.name]["seconds"], own["seconds"], own["slide"])


def bottleneck(rows: pd.DataFrame) -> str:
    """The stage with most inference seconds, with its share."""
    stages = {c[:-2]: float(np.sum(rows[c].to_numpy(float))) for c in rows.columns if c.endswith("_s")}
    if not stages:
        return "-"
    name = max(stages, key=lambda key: stages[key])
    return f"{name} {stages[name] / max(sum(stages.values()), 1e-12):.0%}"


def magnification_by_class(runs: Sequence[FinishedRun], strategy: str) -> pd.DataFrame:
    """Mean p(magnification) by label over the runs of `strategy`; columns p_m0 (finest) and up."""
    rows = stacked([r for r in runs if r.strategy == strategy])
    columns = [c for c in rows.columns if c.startswith("p_m") and c[3:].isdigit()]
    return pd.DataFrame(rows.groupby("label")[columns].mean())
