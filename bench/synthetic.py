"""Made-up complete run directories in the real layout, to time `compare` and `report`. Never a result."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.rundir import RunKey

STRATEGIES = ("exhaustive", "jsma", "random", "search")
CLASSES = ("benign", "tumour")
SLIDES, EPOCHS = 20, 5
ENVIRONMENT = {"python": "synthetic", "platform": "synthetic", "cpu": "synthetic", "cores": 1, "versions": {}}


def write(n_runs: int, out: Path) -> None:
    """Write `n_runs` runs under `out`: the strategies take turns, a new seed after each round."""
    for number in range(n_runs):
        _write_one(number, out)


def _write_one(number: int, out: Path) -> None:
    strategy, seed = STRATEGIES[number % len(STRATEGIES)], number // len(STRATEGIES)
    key = RunKey("synthetic", "synthetic", strategy, 0, seed, {"n_folds": 5, "split": "synthetic"})
    folder = out / key.name
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    factor = 4.0 if strategy == "exhaustive" else 1.0
    seconds = factor * np.exp(rng.normal(0, 0.1, EPOCHS)).cumsum()
    curve = [{"epoch": e, "seconds": s, "rss_bytes": 1, "train_loss": 0.7 - 0.1 * e, "val_loss": 0.7 - 0.1 * e,
              "val_accuracy": 0.5 + 0.1 * e} for e, s in enumerate(seconds.tolist())]  # fmt: skip
    pd.DataFrame(_predictions(rng, factor)).to_parquet(folder / "predictions.parquet", index=False)
    pd.DataFrame(curve).to_parquet(folder / "curve.parquet", index=False)
    train = {"train_s": seconds[-1], "best_s": seconds[-1], "charged_s": 0.0, "val_loss": 0.3, "counters": {}}
    files = {"settings": asdict(key), "environment": ENVIRONMENT, "train": train,
             "status": {"status": "complete", "failed": {}}}  # fmt: skip
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1, sort_keys=True))


def _predictions(rng: np.random.Generator, factor: float) -> list[dict[str, Any]]:
    rows = []
    for slide in range(SLIDES):
        label = slide % 2
        score = float(np.clip(rng.normal(0.75 if label else 0.25, 0.25), 0.01, 0.99))
        read_s, encode_s = (factor * np.exp(rng.normal(-3, 0.2, 2))).tolist()
        patches = int(20 * factor)
        rows.append(
            {"slide": f"s{slide}", "patient": f"p{slide // 2}", "site": None, "label": CLASSES[label],
             "predicted": CLASSES[score > 0.5], "prob_benign": 1 - score, "prob_tumour": score,
             "patches": patches, "decoded_px": patches * 65536, "compressed_bytes": patches * 9000,
             "seconds": read_s + encode_s, "read_s": read_s, "encode_s": encode_s, "area0_px": 10**8,
             "cache": "warm", "tissue_cells": 400, "in_evidence": None, "turn": 0}
        )  # fmt: skip
    return rows
