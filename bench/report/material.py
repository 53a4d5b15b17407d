"""What a report is made of: finished runs by dataset, their rows, sweeps, looks and failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.comparison import compare_folders
from bench.analysis.entries import Entry
from bench.analysis.leaders import Leader
from bench.analysis.opponents import describe_everything
from bench.runs.kept.choice import EVERY, Choice
from bench.runs.kept.finished import FinishedRun
from bench.runs.layout import read_provenance


@dataclass(frozen=True)
class Part:
    """Runs of one dataset.

    Attributes:
        dataset: Its name.
        entries: Runs of one strategy and settings each.
        rows: Theirs of `bench.analysis.rows`, in the same order.
        against: Rows beside the reference, empty without one.
        leader: Who is most accurate; None for a single row.
    """

    dataset: str
    entries: list[Entry]
    rows: list[dict[str, Any]]
    against: list[dict[str, Any]]
    leader: Leader | None = None

    @property
    def pairs(self) -> list[tuple[Entry, dict[str, Any]]]:
        """Each entry with its row."""
        return list(zip(self.entries, self.rows, strict=True))

    @property
    def runs(self) -> list[FinishedRun]:
        """Every run of the dataset."""
        return [run for entry in self.entries for run in entry.runs]

    @property
    def settings(self) -> list[str]:
        """The different settings, empty where all agree."""
        return list(dict.fromkeys(entry.differing for entry in self.entries if entry.differing is not None))

    @cached_property
    def n(self) -> str:
        """How many slides and trainings the figures of this part are over, in words."""
        slides, runs = (_span([row[key] for row in self.rows]) for key in ("slides", "runs"))
        return f"n = {slides} test slides, {runs} training{'' if runs == '1' else 's'} a row"


@dataclass(frozen=True)
class Material:
    """All that goes into a report.

    Attributes:
        parts: The runs, by dataset.
        reference: What others are set against; None without one.
        notes: What was not compared and why.
        no_seconds: Whether the runs are of several machines, whose seconds are not compared.
        sweeps: Dataset -> rows of a sweep's table.
        failed: Slide -> why it could not be read.
        unfinished: Folders of runs that are not complete.
        left_out: What was found and not used, with the reason.
        damaged: One line a damaged run.
    """

    parts: list[Part]
    reference: str | None
    notes: list[str]
    no_seconds: bool
    sweeps: dict[str, pd.DataFrame]
    failed: dict[str, str]
    unfinished: list[str]
    left_out: list[str]
    damaged: list[str]

    @property
    def runs(self) -> list[FinishedRun]:
        """Every run."""
        return [run for part in self.parts for run in part.runs]


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def gather(folders: Sequence[Path], reference: str | None, margin: float, choice: Choice = EVERY) -> Material:
    """Load finished runs and compare them.

    Args:
        folders: runs, or folders of them.
        reference: the strategy that all are set against; None: what reads everything.
        margin: accuracy by which a strategy may be worse and still count as non-inferior, 0 to 1.
        choice: which of the runs are taken.

    Raises:
        UsageError: there are no runs, or no such reference.
        NotComparableError: the runs must not be set beside each other.
    """
    found = compare_folders(list(folders), reference, margin, choice=choice)
    by_dataset: dict[str, list[tuple[Entry, dict[str, Any]]]] = {}
    for entry, row in zip(found.entries, found.rows, strict=True):
        by_dataset.setdefault(entry.dataset, []).append((entry, row))
    parts = [
        Part(
            name,
            [a for a, _ in pairs],
            [r for _, r in pairs],
            [r for r in found.against if r["dataset"] == name],
            next((leader for leader in found.leaders if leader.dataset == name), None),
        )
        for name, pairs in by_dataset.items()
    ]
    sweeps, left_out = _sweeps(folders, found.runs)
    unfinished = [p.name for folder in folders for p in sorted(folder.glob("*.partial")) if p.is_dir()]
    failed = {slide: reason for run in found.runs for slide, reason in run.failed.items()}
    asked = ", ".join(dict.fromkeys(found.reference.values())) or None
    no_seconds = all(row["inference_s_per_slide"] is None for row in found.rows)
    return Material(
        parts,
        asked,
        [*describe_everything(found.entries), *found.notes],
        no_seconds,
        sweeps,
        failed,
        unfinished,
        left_out + found.damaged,
        found.damaged,
    )


def _sweeps(folders: Sequence[Path], runs: list[FinishedRun]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Tables that `jsma-bench sweep --save` wrote into the folders, of the same data as the runs; and what was not."""
    found: dict[str, pd.DataFrame] = {}
    left_out: list[str] = []
    hashes = {run.dataset: run.data_hash for run in runs}
    for path in sorted(p for folder in dict.fromkeys(folders) for p in folder.glob("*.csv")):
        record = path.with_suffix(".json")
        if not record.is_file():
            continue  # nothing says what it is
        try:
            about = read_provenance(record)
            if about.kind != "sweep":
                continue
            table = pd.read_csv(path)
            dataset = str(table["dataset"].iloc[0])
        except (OSError, ValueError, KeyError, IndexError) as error:
            left_out.append(f"{path.name}: it or its .json cannot be read ({error})")
            continue
        if about.data_hashes != [hashes.get(dataset)]:
            left_out.append(f"sweep {path.name}: made on other data than the runs")
        elif dataset in found:
            left_out.append(f"sweep {path.name}: one sweep of {dataset} is shown, the first by name")
        else:
            found[dataset] = table
    return found, left_out
