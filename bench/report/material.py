"""What a report is made of: finished runs by dataset and settings, their rows, sweeps, looks and failures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.compare import FinishedRun, compare, load_runs
from bench.errors import NotComparableError, UsageError
from bench.statistics.tables import SECONDS, against, check_comparable

NOT_SETTINGS = ("split",)  # differs from fold to fold


@dataclass(frozen=True)
class Part:
    """Runs of one dataset with the same settings. settings: those in which the parts of a dataset differ, or None.

    rows: `bench.compare.compare` of these runs; against: each strategy beside the reference, empty without one.
    """

    dataset: str
    settings: str | None
    runs: list[FinishedRun]
    rows: list[dict[str, Any]]
    against: list[dict[str, Any]]

    def label(self, strategy: str) -> str:
        """What the strategy is called in figures."""
        return strategy if self.settings is None else f"{strategy} [{self.settings}]"

    @cached_property
    def by_strategy(self) -> dict[str, list[FinishedRun]]:
        """Runs of each strategy, strategies in the order of the rows."""
        found: dict[str, list[FinishedRun]] = {row["strategy"]: [] for row in self.rows}
        for run in self.runs:
            found[run.strategy].append(run)
        return found

    @cached_property
    def predictions(self) -> dict[str, pd.DataFrame]:
        """All predictions of each strategy."""
        return {
            name: pd.concat([run.predictions for run in own], ignore_index=True)
            for name, own in self.by_strategy.items()
        }

    @cached_property
    def n(self) -> str:
        """How many slides and trainings the figures of this part are over, in words."""
        slides, runs = (_span([row[key] for row in self.rows]) for key in ("slides", "runs"))
        return f"n = {slides} test slides, {runs} training{'' if runs == '1' else 's'} a strategy"


@dataclass(frozen=True)
class Material:
    """All that goes into a report. note: why seconds are not compared, or None; sweeps: dataset -> rows of a sweep's
    table; failed: slide -> reason; unfinished: folders of runs that are not complete; left_out: what was found and not
    used, with the reason."""

    parts: list[Part]
    reference: str | None
    note: str | None
    sweeps: dict[str, pd.DataFrame]
    failed: dict[str, str]
    unfinished: list[str]
    left_out: list[str]

    @property
    def runs(self) -> list[FinishedRun]:
        """Every run."""
        return [run for part in self.parts for run in part.runs]

    @property
    def datasets(self) -> dict[str, list[Part]]:
        """The parts of each dataset."""
        found: dict[str, list[Part]] = {}
        for part in self.parts:
            found.setdefault(part.dataset, []).append(part)
        return found


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def gather(folders: Sequence[Path], reference: str | None, margin: float) -> Material:
    """Load and compare. UsageError: no runs, an unknown reference; NotComparableError: runs that must not be."""
    runs = list({run.path.resolve(): run for folder in folders for run in load_runs(folder)}.values())
    note = check_comparable(runs)
    known = list(dict.fromkeys(run.strategy for run in runs))
    if reference is not None and reference not in known:
        raise UsageError(f"--reference {reference!r}: no finished run of it; there are: {', '.join(known)}")
    asked = reference or ("exhaustive" if "exhaustive" in known else None)
    parts = [_part(dataset, text, own, asked, margin, note) for dataset, text, own in _parts(runs)]
    sweeps, left_out = _sweeps(folders, runs)
    unfinished = [p.name for folder in folders for p in sorted(folder.glob("*.partial")) if p.is_dir()]
    return Material(parts, asked, note, sweeps, _failed(runs), unfinished, left_out)


def _part(
    dataset: str, settings: str | None, runs: list[FinishedRun], reference: str | None, margin: float, note: str | None
) -> Part:
    _check_once(runs)
    rows = compare(runs)
    for row in rows:
        row["settings"] = settings
        if note:
            row.update({key: None for key in row if key in SECONDS or "speedup" in key})
    beside = against(runs, reference, margin) if any(run.strategy == reference for run in runs) and reference else []
    return Part(dataset, settings, runs, rows, [{**row, "settings": settings} for row in beside])


def _check_once(runs: list[FinishedRun]) -> None:
    seen: dict[tuple[str, int, int], FinishedRun] = {}
    for run in runs:
        other = seen.setdefault((run.strategy, run.fold, run.seed), run)
        if other is not run:
            raise NotComparableError(
                f"{other.path.name} and {run.path.name} are of one strategy, fold, seed and settings (a copy, or "
                "another version of its code) and must not be counted as two; give one of them"
            )


def _parts(runs: list[FinishedRun]) -> Iterator[tuple[str, str | None, list[FinishedRun]]]:
    """(dataset, settings in which its parts differ, runs), in order of appearance."""
    for dataset in sorted({run.dataset for run in runs}):
        groups: dict[str, list[FinishedRun]] = {}
        for run in runs:
            if run.dataset == dataset:
                kept = {k: v for k, v in run.settings.items() if k not in NOT_SETTINGS}
                groups.setdefault(json.dumps(kept, sort_keys=True), []).append(run)
        flat = [dict(_flat(json.loads(text))) for text in groups]
        differ = [key for key in dict.fromkeys(k for one in flat for k in one) if len({o.get(key) for o in flat}) > 1]
        for own, settings in zip(groups.values(), flat, strict=True):
            text = ", ".join(f"{key.rsplit('.', 1)[-1]}={settings.get(key, 'unset')}" for key in differ)
            yield dataset, text or None, own


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, json.dumps(value)


def _failed(runs: list[FinishedRun]) -> dict[str, str]:
    failed: dict[str, str] = {}
    for run in runs:
        try:
            failed.update(json.loads((run.path / "status.json").read_bytes()).get("failed", {}))
        except (OSError, ValueError) as error:
            failed[run.path.name] = f"its status cannot be read ({error})"
    return failed


SWEEP_COLUMNS = {"dataset", "strategy", "mode", "budget", "accuracy", "sd_sampling", "patches_per_slide"}


def _sweeps(folders: Sequence[Path], runs: list[FinishedRun]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Tables that `jsma-bench sweep --save` wrote into the folders, of the same data as the runs; and what was not."""
    found: dict[str, pd.DataFrame] = {}
    left_out: list[str] = []
    hashes = {run.dataset: run.data_hash for run in runs}
    for path in sorted(p for folder in dict.fromkeys(folders) for p in folder.glob("*.csv")):
        try:
            table = pd.read_csv(path)
            if not set(table.columns) >= SWEEP_COLUMNS or table.empty:
                continue
            data_hash = json.loads(path.with_suffix(".json").read_text())["data_hash"]
        except (OSError, ValueError, KeyError) as error:
            left_out.append(f"sweep {path.name}: it or its .json cannot be read ({error})")
            continue
        dataset = str(table["dataset"].iloc[0])
        if hashes.get(dataset) != data_hash:
            left_out.append(f"sweep {path.name}: made on other data than the runs")
        elif dataset in found:
            left_out.append(f"sweep {path.name}: one sweep of {dataset} is shown, the first by name")
        else:
            found[dataset] = table
    return found, left_out
