"""Finished runs, read back from their directories."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.errors import DamagedRunError, UsageError
from bench.runs.kept.choice import EVERY, Choice, select_runs
from bench.runs.kept.identity import fill, group_of, in_force, known_defaults
from bench.runs.kept.record import Stored, find_finish_time, read_run
from bench.runs.layout import DAMAGED, PARTIAL, PREDICTIONS, SETTINGS, STATUS

THREADS = 8  # reading many small files waits more than it computes
OLDER_CLASS_ORDER = {"panda": tuple(f"ISUP {grade}" for grade in range(6))}
"""Dataset -> order of its classes, for runs that were made before the order was recorded."""


@dataclass(frozen=True)
class FinishedRun:
    """A complete run directory, read back.

    Attributes:
        path: The directory.
        dataset: Name of the dataset.
        strategy: Name of the strategy.
        fold: Number of the fold, from 0.
        seed: Seed of the training.
        group: Runs of one group saw the same data, settings, fold and seed.
        data_hash: Hash of the data.
        settings: Those in force, as plain data.
        environment: Code, machine and versions.
        train: What training cost and chose.
        table: The predictions as they were stored.
        code: Source of a strategy that is not in the registry, "" for one that is.
        failed: Slide -> why no run of its time could read it.
        findings: What was wrong with the data, and accepted.
        made: When it was finished, in seconds since 1970.
        class_order: Classes from the lowest to the highest grade; empty where they have no order.
    """

    path: Path
    dataset: str
    strategy: str
    fold: int
    seed: int
    group: str
    data_hash: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    train: dict[str, Any]
    table: pa.Table
    code: str = ""
    failed: dict[str, str] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    made: float = 0.0
    class_order: tuple[str, ...] = ()

    @property
    def tuned(self) -> dict[str, Any]:
        """Name -> value of the settings that were set for this strategy alone."""
        return self.settings.get("tuned", {})

    @property
    def regime(self) -> str:
        """One of `bench.runs.settings.settings.REGIMES`."""
        return "frozen" if self.settings.get("encoder", {}).get("frozen", True) else "finetuned"

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row a test slide."""
        return self.table.to_pandas()


@dataclass(frozen=True)
class Loaded:
    """Runs that were read back, and one line for each that is damaged."""

    runs: list[FinishedRun]
    damaged: list[str]


def load_runs(out: Path) -> list[FinishedRun]:
    """Every sound run under `out`; UsageError where there is none."""
    return load_all([out]).runs


def load_all(folders: Sequence[Path], choice: Choice = EVERY) -> Loaded:
    """Every complete run of the folders, each a folder of run directories or one run directory.

    Those that are damaged are named and left out. UsageError where no sound run is left.
    """
    found = list({path.resolve(): path for folder in folders for path in _find_directories(folder)}.values())
    with ThreadPoolExecutor(THREADS) as pool:
        read = list(pool.map(read_run, found))
    damaged = [str(one) for one in read if isinstance(one, DamagedRunError)]
    stored = [one for one in read if not isinstance(one, DamagedRunError)]
    if not stored:
        raise UsageError(f"no run can be used; the first of {len(damaged)}: {damaged[0]}")
    defaults = known_defaults(one.key for one in stored)
    return Loaded(select_runs([_finished_run(one, defaults) for one in stored], choice), damaged)


def _find_directories(folder: Path) -> list[Path]:
    """The run directories that `folder` is or holds; UsageError where there is none."""
    if not folder.is_dir():
        raise UsageError(f"no results folder {folder}; run `jsma-bench run --out {folder}` first")
    if is_run(folder):
        return [folder]
    found = [path for path in sorted(folder.iterdir()) if is_run(path)]
    if not found:
        raise UsageError(f"no finished run in {folder}; run `jsma-bench run --out {folder}` first")
    return found


def is_run(path: Path) -> bool:
    """Whether `path` is the folder of a run that was finished, sound or not."""
    aside = path.suffix == PARTIAL or path.suffix.startswith(DAMAGED)
    return not aside and any((path / name).is_file() for name in (STATUS, PREDICTIONS, SETTINGS))


def _finished_run(stored: Stored, defaults: dict[tuple[str, ...], Any]) -> FinishedRun:
    """The run with its settings as they were in force; `defaults` are of settings that it is too old to have."""
    key, status, settings = stored.key, stored.status, fill(in_force(stored.key), defaults, stored.key["strategy"])
    return FinishedRun(
        path=stored.path,
        dataset=key["dataset"],
        strategy=key["strategy"],
        fold=key["fold"],
        seed=key["seed"],
        group=group_of(key, settings),
        data_hash=key["data_hash"],
        settings=settings,
        environment=stored.environment,
        train=stored.train,
        table=stored.table,
        code=key.get("code", ""),
        failed=status.get("failed", {}),
        findings=tuple(status.get("findings", ())),
        made=find_finish_time(stored),
        class_order=tuple(status.get("class_order", OLDER_CLASS_ORDER.get(key["dataset"], ()))),
    )


def stack_predictions(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """All predictions of `runs` below each other, with `run`: the index in `runs`. Absent columns are null."""
    run = np.repeat(np.arange(len(runs)), [r.table.num_rows for r in runs])
    try:
        table = pa.concat_tables([r.table for r in runs], promote_options="permissive")
    except pa.ArrowException:  # one column, types that do not go together: as pandas mixes them
        return pd.concat([r.predictions for r in runs], ignore_index=True).assign(run=run)
    return table.replace_schema_metadata(None).to_pandas().assign(run=run)
