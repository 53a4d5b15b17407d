"""Inference cost against the slide's size.

There is one generated slide a size, and strategies take turns on it, from the file. Time and counters do not depend on
what the networks have learnt, except where a trained attention draws. So untrained ones are timed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from baselines.contract import StrategySettings
from bench.datasets import Dataset, SlideRecord
from bench.datasets.generated.demo import CLASSES, DemoSettings, generate
from bench.datasets.generated.demo.write import slide_name
from bench.errors import UsageError
from bench.runs.context import Context
from bench.runs.infer import Contestant, infer
from bench.runs.kept.environment import environment
from bench.runs.layout import Provenance
from bench.runs.settings.settings import RunSettings
from bench.runs.settings.strategies import strategy_class
from jsma.encoders.encoder import build_encoder
from jsma.meter import Meter

WARM_UP0_PX = 2048
MEDIANS = ("patches", "tissue_cells", "decoded_px", "compressed_bytes", "seconds")


def one_slide(data: Path, side0_px: int) -> SlideRecord:
    """The generated slide of that side, made where it is missing."""
    folder = generate(DemoSettings(slides=1, side0_px=side0_px), data / f"scaling-{side0_px}")
    return SlideRecord(str(folder / slide_name(0)), "normal")


def measure(side0_px: int, names: Sequence[str], rounds: int, data: Path, settings: RunSettings) -> pd.DataFrame:
    """One row a strategy and round, on one slide of side0_px x side0_px: the rows of `bench.runs.infer`.

    Networks are warmed up on a small slide, since a pass over a large one takes many minutes.
    """
    small, record = (one_slide(data, side) for side in (WARM_UP0_PX, side0_px))
    dataset = Dataset("scaling", tuple(CLASSES["both"].values()), (record,))
    encoder = build_encoder(settings.encoder)
    contestants = {}
    for name in names:
        torch.manual_seed(0)
        strategy = strategy_class(name, "scaling")(StrategySettings(), encoder.dim, len(dataset.classes), Meter())
        contestants[name] = Contestant(strategy, encoder)
    records = [small, *[record] * rounds]
    found = infer(contestants, records, Context(dataset, settings, data), 0)
    incidents = found.incidents
    for reason in [
        *(f"{slide}: {why}" for slide, why in incidents.failed.items()),
        *map(str, incidents.ended.values()),
    ]:
        raise UsageError(reason)
    rows = [{"strategy": name, **row} for name, own in found.rows.items() for row in own[1:]]
    return pd.DataFrame(rows).assign(side0_px=side0_px)


def summary(rows: pd.DataFrame, reference: str) -> list[dict[str, Any]]:
    """Per size and strategy: medians over rounds; speed-up = median of the paired ratios, round by round."""
    table = []
    for side0_px in sorted(set(rows["side0_px"].tolist())):
        of_side = [row for row in rows.to_dict("records") if row["side0_px"] == side0_px]
        other = np.array([row["seconds"] for row in of_side if row["strategy"] == reference])
        for name in dict.fromkeys(row["strategy"] for row in of_side):
            own = [row for row in of_side if row["strategy"] == name]
            middle = {key: float(np.median([row[key] for row in own])) for key in MEDIANS}
            ratio = other / np.array([row["seconds"] for row in own])
            table.append(
                {
                    "side0_px": side0_px,
                    "strategy": name,
                    "rounds": len(own),
                    "patches": int(middle["patches"]),
                    "tissue_cells": int(middle["tissue_cells"]),
                    "megapixels_decoded": middle["decoded_px"] / 1e6,
                    "megabytes_read": middle["compressed_bytes"] / 1e6,
                    "seconds": middle["seconds"],
                    f"speedup_vs_{reference}": float(np.median(ratio)),
                    "speedup_low": float(ratio.min()),
                    "speedup_high": float(ratio.max()),
                }
            )
    return table


def split_rounds(text: str, sides: int) -> list[int]:
    """Rounds for each side."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts) or len(parts) not in (1, sides):
        raise UsageError(f"--rounds {text}; one whole number above 0, or {sides}, one a side")
    return [int(part) for part in parts] * (sides if len(parts) == 1 else 1)


def save(table: list[dict[str, Any]], about: Provenance, out: Path) -> None:
    """The table as CSV, and beside it how it was made."""
    out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(table).to_csv(out, index=False)
    out.with_suffix(".json").write_text(about.as_json())


def compare(sides: str, names: Sequence[str], rounds: str, data: Path, out: Path | None) -> Iterator[dict[str, Any]]:
    """Time inference on one generated slide of each size, strategies interleaved.

    Args:
        sides: sides in level-0 pixels, comma-separated.
        names: strategies; the last one is the reference.
        rounds: one number, or one a side, comma-separated.
        data: folder of the generated slides.
        out: CSV of the table, or None. It is written after every size, because the largest takes longest.

    Returns:
        Rows of `summary`, size by size.
    """
    rows, load = [], {}
    for side, number in zip(sides.split(","), split_rounds(rounds, len(sides.split(","))), strict=True):
        before = os.getloadavg()[0]
        rows.append(measure(int(side), names, number, data, RunSettings()))
        load[side] = [before, os.getloadavg()[0]]
        yield from summary(rows[-1], names[-1])
        if out is not None:
            command = f"study slide-size --sides {sides} --strategies {','.join(names)} --rounds {rounds}"
            about = Provenance(
                kind="study",
                command=f"jsma-bench {command}",
                environments=[environment()],
                settings=[asdict(RunSettings())],
                details={"load_average_before_and_after": load},
            )
            save(summary(pd.concat(rows), names[-1]), about, out)
