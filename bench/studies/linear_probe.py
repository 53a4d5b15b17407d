"""What the encoder tells at each magnification by itself.

A logistic regression (scikit-learn) takes the mean feature of random tissue patches of one magnification. It is fitted
on the training part and asked on the test part of the same split, with the encoder and the scale of the runs. Its table
stands beside p(magnification) by class: one says where there is something to see, the other where the sampler looks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression

from bench.analysis.metrics import accuracy_interval
from bench.analysis.probe_record import FILE
from bench.datasets import SlideRecord
from bench.progress import Report
from bench.report.tables.probe_table import markdown as markdown
from bench.runs.feature_scale import some_cells
from bench.runs.plan import Request, planned
from bench.runs.runner import Plan, Runner
from jsma.encoders.encoder import build_encoder
from jsma.meter import Counters, Meter
from jsma.metered import Desk, MeteredSlide
from jsma.slides import SlideError


def probe(runner: Runner, plan: Plan, patches: int) -> dict[str, Any]:
    """Probe every magnification, with the first fold and seed of the plan.

    Args:
        runner: has the dataset and the settings.
        plan: has the folds and seeds.
        patches: patches at most, a slide and magnification.

    Returns:
        {dataset, data_hash, fold, seed, patches, rows, cost}. A row has mpp, accuracy with its 95 % interval, n (test
        slides with tissue at this magnification) and n_train. cost: exact counters, and seconds of reading and
        encoding.
    """
    fold, seed = plan.folds[0], plan.seeds[0]
    parts = runner.context.dataset.split(fold, plan.n_folds)
    device, view = torch.device(runner.context.settings.device), runner.context.settings.view
    encoder = build_encoder(runner.context.settings.encoder, seed).to(device)
    calibration = runner.trainer.calibrations.of(encoder, parts["train"], runner.context)
    meter = Meter()
    desk = Desk(meter, encoder, view, None, None if calibration is None else calibration.scale, device)
    started = time.perf_counter()
    means = {part: _means(runner, desk, parts[part], patches) for part in ("train", "test")}
    spent = Counters() if calibration is None else calibration.counters
    return {
        "dataset": runner.context.dataset.name,
        "data_hash": runner.context.dataset.fingerprint,
        "fold": fold,
        "seed": seed,
        "patches": patches,
        "rows": [_row(means, m, mpp) for m, mpp in enumerate(view.mpps)],
        "cost": {"seconds": time.perf_counter() - started, **asdict(meter.total() + spent)},
    }


Mean = tuple[SlideRecord, list[np.ndarray | None]]


@torch.no_grad()
def _means(runner: Runner, desk: Desk, records: Sequence[SlideRecord], patches: int) -> list[Mean]:
    """Mean feature [dim] of each readable slide at each magnification, None without tissue there."""
    generator = torch.Generator().manual_seed(0)
    found: list[Mean] = []
    for number, record in enumerate(records):
        slide = MeteredSlide(record.id, lambda r=record: runner.context.open_record(r), desk)
        try:
            cells = [some_cells(slide, part, generator, patches) for part in slide.view.grid.slices]
            features = slide.features(torch.cat(cells)).split([len(own) for own in cells])
            found.append((record, [f.mean(0).cpu().numpy() if len(f) else None for f in features]))
        except (SlideError, OSError) as error:
            runner.context.say(f"failed: {record.id}: {error}")
        finally:
            slide.close()
        runner.context.report("probe: reading", number + 1, len(records))
    return found


def _row(means: dict[str, list[Mean]], m: int, mpp: float) -> dict[str, Any]:
    kept = {part: [(r, f) for r, fs in own if (f := fs[m]) is not None] for part, own in means.items()}
    row = {
        "mpp": mpp,
        "accuracy": None,
        "accuracy_low": None,
        "accuracy_high": None,
        "n": len(kept["test"]),
        "n_train": len(kept["train"]),
    }
    if not kept["test"] or len({record.label for record, _ in kept["train"]}) < 2:
        return row
    x = {part: np.stack([f for _, f in own]) for part, own in kept.items()}
    model = LogisticRegression(max_iter=2000).fit(
        x["train"] * x["train"].shape[1] ** 0.5, [record.label for record, _ in kept["train"]]
    )
    said = model.predict(x["test"] * x["test"].shape[1] ** 0.5)
    table = pd.DataFrame(
        {
            "slide": [r.id for r, _ in kept["test"]],
            "patient": [r.patient for r, _ in kept["test"]],
            "label": [r.label for r, _ in kept["test"]],
            "predicted": said,
        }
    )
    return {**row, **dict(zip(("accuracy", "accuracy_low", "accuracy_high"), accuracy_interval(table), strict=True))}


def probe_and_save(request: Request, report: Report, patches: int) -> dict[str, Any]:
    """What `probe` finds for the request, which is also written to its folder of runs."""
    found = probe(*planned(request, report), patches)
    (request.out / FILE).write_text(json.dumps(found, indent=1) + "\n")
    return found
