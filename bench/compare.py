"""One table over finished runs, recomputed from their raw rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.datasets.panda import GRADES as PANDA_GRADES
from bench.errors import UsageError
from bench.metrics import accuracy_interval, auc, class_metrics
from bench.statistics.costs import ratio_interval

GRADES: dict[str, list[str]] = {"panda": list(PANDA_GRADES)}
"""Dataset -> its classes from the lowest to the highest grade, where quadratic kappa is the field's metric."""


@dataclass(frozen=True)
class FinishedRun:
    """A complete run directory, read back."""

    path: Path
    dataset: str
    strategy: str
    fold: int
    seed: int
    group: str  # runs of one group saw the same data, settings, fold and seed
    data_hash: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    train: dict[str, Any]
    predictions: pd.DataFrame

    @property
    def regime(self) -> str:
        """One of `bench.settings.REGIMES`."""
        return "frozen" if self.settings.get("encoder", {}).get("frozen", True) else "finetuned"


def load_runs(out: Path) -> list[FinishedRun]:
    """Every complete run under `out`; UsageError where there is none."""
    if not out.is_dir():
        raise UsageError(f"no results folder {out}; run `jsma-bench run --out {out}` first")
    runs = [
        _load(status.parent)
        for status in sorted(out.glob("*/status.json"))
        if not status.parent.name.endswith(".partial")
    ]
    if not runs:
        raise UsageError(f"no finished run in {out}; run `jsma-bench run --out {out}` first")
    return runs


def _load(path: Path) -> FinishedRun:
    try:
        key = json.loads((path / "settings.json").read_text())
        train = json.loads((path / "train.json").read_text())
        rows = pd.read_parquet(path / "predictions.parquet")
        environment = json.loads((path / "environment.json").read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: damaged run ({error}); delete this folder and run again") from error
    group = json.dumps([key["data_hash"], key["fold"], key["seed"], key["settings"]], sort_keys=True)
    return FinishedRun(
        path,
        key["dataset"],
        key["strategy"],
        key["fold"],
        key["seed"],
        group,
        key["data_hash"],
        key["settings"],
        environment,
        train,
        rows,
    )


def compare(runs: list[FinishedRun]) -> list[dict[str, Any]]:
    """One row per dataset, strategy and training regime.

    Speed-ups are geometric means of paired ratios: training by (data, fold, seed), inference by slide
    within the interleaved inference of one run. Null where the opponent was not run beside it.
    """
    rows = []
    for dataset in sorted({run.dataset for run in runs}):
        own = [run for run in runs if run.dataset == dataset]
        for strategy, regime in dict.fromkeys((run.strategy, run.regime) for run in own):
            rows.append({**_row(dataset, strategy, [run for run in own if run.regime == regime]), "regime": regime})
    return rows


def _row(dataset: str, strategy: str, runs: list[FinishedRun]) -> dict[str, Any]:
    own = [run for run in runs if run.strategy == strategy]
    rows = pd.concat([run.predictions for run in own], ignore_index=True)
    accuracy, low, high = accuracy_interval(rows)
    return {
        "dataset": dataset, "strategy": strategy, "runs": len(own), "slides": len(set(rows["slide"].tolist())),
        "accuracy": accuracy, "accuracy_low": low, "accuracy_high": high, "auc": auc(rows),
        "patches_per_slide": _mean(rows, "patches"),
        "megapixels_decoded_per_slide": (_mean(rows, "decoded_px") or 0.0) / 1e6,
        "megabytes_read_per_slide": (_mean(rows, "compressed_bytes") or 0.0) / 1e6,
        "train_s": float(np.mean([run.train["train_s"] for run in own])),
        "train_charged_s": float(np.mean([run.train["charged_s"] for run in own])),
        "inference_s_per_slide": _mean(rows, "seconds"),
        **_interval("train_speedup_vs_exhaustive", _training(runs, own, "exhaustive")),
        **_interval("train_speedup_vs_search", _training(runs, own, "search")),
        **_interval("inference_speedup_vs_exhaustive", _inference(runs, own, "exhaustive")),
        **class_metrics(rows, GRADES.get(dataset)),
        "in_evidence": _mean(rows, "in_evidence"),
        "uses_evidence": any(run.train.get("uses_evidence", False) for run in own),
        "bottleneck": bottleneck(rows),
    }  # fmt: skip


def _mean(rows: pd.DataFrame, column: str) -> float | None:
    """Mean of the values that are present; None where there is none."""
    values = np.array([v for v in rows[column].tolist() if v is not None and v == v] if column in rows else [], float)
    return float(values.mean()) if len(values) else None


Ratio = tuple[float, float, float] | None


def _interval(key: str, ratio: Ratio) -> dict[str, float | None]:
    """Value and 95 % interval; no interval where a single pair shows no spread."""
    value, low, high = ratio or (None, None, None)
    if high == float("inf"):
        low = high = None
    return {key: value, f"{key}_low": low, f"{key}_high": high}


def _training(runs: list[FinishedRun], own: list[FinishedRun], opponent: str) -> Ratio:
    reference = pd.Series({r.group: r.train["train_s"] for r in runs if r.strategy == opponent}, dtype=float)
    return ratio_interval(reference, pd.Series({r.group: r.train["train_s"] for r in own}, dtype=float))


def _inference(runs: list[FinishedRun], own: list[FinishedRun], opponent: str) -> Ratio:
    def seconds(some: list[FinishedRun]) -> pd.Series:
        found = {}
        for r in some:
            for slide, s in zip(r.predictions["slide"], r.predictions["seconds"], strict=True):
                found[r.group, slide] = s
        return pd.Series(found, dtype=float)

    return ratio_interval(seconds([r for r in runs if r.strategy == opponent]), seconds(own))


def bottleneck(rows: pd.DataFrame) -> str:
    """The stage with most inference seconds, with its share."""
    stages = {c[:-2]: float(np.sum(rows[c].to_numpy(float))) for c in rows.columns if c.endswith("_s")}
    name = max(stages, key=lambda key: stages[key])
    return f"{name} {stages[name] / max(sum(stages.values()), 1e-12):.0%}"


def magnification_by_class(runs: list[FinishedRun], strategy: str) -> pd.DataFrame:
    """Mean p(magnification) by label over the runs of `strategy`; columns p_m0 (finest) and up."""
    rows = pd.concat([r.predictions for r in runs if r.strategy == strategy], ignore_index=True)
    columns = [c for c in rows.columns if c.startswith("p_m") and c[3:].isdigit()]
    return pd.DataFrame(rows.groupby("label")[columns].mean())
