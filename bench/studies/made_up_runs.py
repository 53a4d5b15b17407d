"""Made-up complete run directories in the real layout. They are never a result.

They are for timing and testing what reads runs (`compare`, `report`). Nothing is trained, and there is no slide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.runs.kept.identity import RunKey
from bench.runs.layout import CURVE, PREDICTIONS, SNAPSHOTS, STATUS, TRAIN
from bench.runs.layout import ENVIRONMENT as ENVIRONMENT_FILE
from bench.runs.layout import SETTINGS as SETTINGS_FILE
from bench.runs.observed.snapshots import Snapshot, write_snapshots

STRATEGIES = ("exhaustive", "jsma", "random", "search")
CLASSES = ("benign", "tumour")
MPPS = (0.5, 1.0, 2.0)
SLIDES, EPOCHS, N_PATCHES = 20, 5, 8
SETTINGS = {"n_folds": 5, "split": "synthetic", "strategy": {"method": {"mpps": MPPS, "n_patches": N_PATCHES}}}
ENVIRONMENT = {
    "python": "synthetic",
    "platform": "synthetic",
    "cpu": "synthetic",
    "cores": 1,
    "versions": {"synthetic": "0"},
}


def write(n_runs: int, out: Path, settings: dict[str, Any] | None = None) -> None:
    """Write `n_runs` runs under `out`: the strategies take turns, a new seed after each round."""
    for number in range(n_runs):
        strategy, seed = STRATEGIES[number % len(STRATEGIES)], number // len(STRATEGIES)
        key = RunKey("synthetic", "synthetic", strategy, 0, seed, settings or SETTINGS)
        _write_one(key, out, np.random.default_rng(number))


def _write_one(key: RunKey, out: Path, rng: np.random.Generator) -> None:
    folder = out / key.name
    folder.mkdir(parents=True, exist_ok=True)
    factor = 4.0 if key.strategy == "exhaustive" else 1.0
    rows = _predictions(key.strategy, rng, factor)
    seconds = (factor * np.exp(rng.normal(0, 0.1, EPOCHS))).cumsum()
    losses = 0.7 - 0.1 * np.arange(EPOCHS)
    curve = {
        "epoch": np.arange(EPOCHS),
        "seconds": seconds,
        "rss_bytes": 1,
        "train_loss": losses,
        "val_loss": losses,
        "val_accuracy": 0.5 + 0.1 * np.arange(EPOCHS),
    }
    pd.DataFrame(rows).to_parquet(folder / PREDICTIONS, index=False)
    pd.DataFrame(curve).to_parquet(folder / CURVE, index=False)
    train = {
        "train_s": float(seconds[-1]),
        "best_s": float(seconds[-1]),
        "charged_s": 0.0,
        "val_loss": 0.3,
        "counters": {},
        "n_train": 60,
    }
    files = {
        SETTINGS_FILE: asdict(key),
        ENVIRONMENT_FILE: ENVIRONMENT,
        TRAIN: train,
        STATUS: {"status": "complete", "failed": {}},
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value, indent=1, sort_keys=True))
    if key.seed == 0:
        write_snapshots(_snapshots(key.strategy, rows, rng), folder / SNAPSHOTS)


def _predictions(strategy: str, rng: np.random.Generator, factor: float) -> list[dict[str, Any]]:
    rows = []
    for slide in range(SLIDES):
        label, area = slide % 2, float(2 ** (slide % 5))
        score = float(np.clip(rng.normal(0.75 if label else 0.25, 0.25), 0.01, 0.99))
        read_s, encode_s = (factor * area * np.exp(rng.normal(-3, 0.2, 2))).tolist()
        patches = 400 if strategy == "exhaustive" else N_PATCHES
        share = rng.dirichlet([1 + 4 * label, 2, 5 - 4 * label])
        drawn = {} if strategy == "exhaustive" else {f"p_m{m}": float(p) for m, p in enumerate(share)}
        rows.append(
            {
                "slide": f"s{slide}",
                "patient": f"p{slide // 2}",
                "site": None,
                "label": CLASSES[label],
                "predicted": CLASSES[score > 0.5],
                "prob_benign": 1 - score,
                "prob_tumour": score,
                "patches": patches,
                "decoded_px": int(patches * 65536 * area),
                "compressed_bytes": patches * 9000,
                "seconds": read_s + encode_s,
                "read_s": read_s,
                "encode_s": encode_s,
                "area0_px": int(1e8 * area),
                "cache": "warm",
                "tissue_cells": 400,
                "in_evidence": None,
                "turn": 0,
                **drawn,
            }
        )
    return rows


def _snapshots(strategy: str, rows: Sequence[dict[str, Any]], rng: np.random.Generator) -> list[Snapshot]:
    """Two slides of noise, 512 x 384 level-0 pixels at 0.5 um/px, patches of 32 px."""
    overview = rng.integers(120, 255, (12, 16, 3)).astype(np.uint8)
    thumbnail = overview.repeat(16, 0).repeat(16, 1)
    n, drawn = rows[0]["patches"], strategy != "exhaustive"
    side0 = 64.0 * 2.0 ** rng.integers(-1, 2, n)
    corner0 = rng.random((n, 2)) * (np.array([[512, 384]]) - side0[:, None])
    maps = [rng.random((12 // k, 16 // k)) for k in (1, 2, 4)]
    total = sum(float(m.sum()) for m in maps)
    return [
        Snapshot(
            row["slide"],
            row["label"],
            row["predicted"],
            {name: row[f"prob_{name}"] for name in CLASSES},
            MPPS,
            n,
            (512, 384),
            overview,
            thumbnail,
            np.column_stack([corner0, side0, side0]),
            side0 / 64,
            rng.integers(0, 255, (8, 32, 32, 3)).astype(np.uint8),
            tuple((m / total).astype(np.float32) for m in maps) if drawn else (),
            ((512.0, 384.0),) * 3 if drawn else (),
        )
        for row in rows[:2]
    ]
