"""Finished runs read back from their directories, and which of them are one row of a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import UsageError

THREADS = 8  # reading many small files waits more than it computes
_NOT_SETTINGS = ("split",)  # of the fold, see `check_comparable`


@dataclass(frozen=True)
class FinishedRun:
    """A complete run directory, read back.

    table: its predictions as they were stored; failed: slide -> why no run of its time could read it; findings: what
    was found wrong with the data, and accepted.
    """

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
    table: pa.Table
    code: str = ""  # of a strategy that is not in the registry
    failed: dict[str, str] = field(default_factory=dict)
    findings: tuple[str, ...] = ()

    @property
    def regime(self) -> str:
        """One of `bench.settings.REGIMES`."""
        return "frozen" if self.settings.get("encoder", {}).get("frozen", True) else "finetuned"

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row a test slide."""
        return self.table.to_pandas()


def load_runs(out: Path) -> list[FinishedRun]:
    """Every complete run under `out`; UsageError where there is none."""
    if not out.is_dir():
        raise UsageError(f"no results folder {out}; run `jsma-bench run --out {out}` first")
    found = [s.parent for s in sorted(out.glob("*/status.json")) if not s.parent.name.endswith(".partial")]
    if not found:
        raise UsageError(f"no finished run in {out}; run `jsma-bench run --out {out}` first")
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_load, found))


def _load(path: Path) -> FinishedRun:
    try:
        key = json.loads((path / "settings.json").read_bytes())
        train = json.loads((path / "train.json").read_bytes())
        with pq.ParquetFile(path / "predictions.parquet") as file:
            table = file.read(use_threads=False)
        environment = json.loads((path / "environment.json").read_bytes())
        status = json.loads((path / "status.json").read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: damaged run ({error}); delete this folder and run again") from error
    group = json.dumps([key["data_hash"], key["fold"], key["seed"], key["settings"]], sort_keys=True)
    return FinishedRun(
        path, key["dataset"], key["strategy"], key["fold"], key["seed"], group, key["data_hash"], key["settings"],
        environment, train, table, key.get("code", ""), status.get("failed", {}), tuple(status.get("findings", ())),
    )  # fmt: skip


def stacked(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """All predictions of `runs` below each other, with `run`: the index in `runs`. Absent columns are null."""
    run = np.repeat(np.arange(len(runs)), [r.table.num_rows for r in runs])
    try:
        table = pa.concat_tables([r.table for r in runs], promote_options="permissive")
    except pa.ArrowException:  # one column, types that do not go together: as pandas mixes them
        return pd.concat([r.predictions for r in runs], ignore_index=True).assign(run=run)
    return table.replace_schema_metadata(None).to_pandas().assign(run=run)


@dataclass(frozen=True)
class Arm:
    """Runs that are one row: of one dataset, strategy and settings.

    differing: the settings in which runs of the dataset differ, as `n_patches=16 epochs=80`; None where all agree.
    """

    dataset: str
    strategy: str
    differing: str | None
    runs: tuple[FinishedRun, ...]

    @property
    def name(self) -> str:
        """Strategy, with what differs in brackets."""
        return self.strategy if self.differing is None else f"{self.strategy}[{self.differing}]"

    @cached_property
    def rows(self) -> pd.DataFrame:
        """All predictions, with `run`: the index in `runs`."""
        return stacked(self.runs)


def arms(runs: Iterable[FinishedRun]) -> list[Arm]:
    """Datasets by name, strategies in order of appearance, settings by value; runs that differ only in fold, seed,
    data or split are one arm."""
    by_dataset: dict[str, list[FinishedRun]] = {}
    for run in runs:
        by_dataset.setdefault(run.dataset, []).append(run)
    return [arm for name in sorted(by_dataset) for arm in _of_dataset(name, by_dataset[name])]


def _of_dataset(dataset: str, runs: list[FinishedRun]) -> list[Arm]:
    keys = [(run.strategy, _settings_text(run), run.code) for run in runs]
    order = {name: i for i, name in enumerate(dict.fromkeys(run.strategy for run in runs))}
    flat = {text: _flat(json.loads(text)) for text in dict.fromkeys(text for _, text, _ in keys)}
    paths = sorted({path for settings in flat.values() for path in settings})
    differ = [path for path in paths if len({_text(settings.get(path)) for settings in flat.values()}) > 1]
    members: dict[tuple[str, str, str], list[FinishedRun]] = {}
    for key, run in zip(keys, runs, strict=True):
        members.setdefault(key, []).append(run)
    codes: dict[str, set[str]] = {}
    for strategy, _, code in members:
        codes.setdefault(strategy, set()).add(code)

    def place(key: tuple[str, str, str]) -> tuple[Any, ...]:
        return order[key[0]], [_sortable(flat[key[1]].get(path)) for path in differ], key[2]

    return [
        Arm(dataset, key[0], _label(flat[key[1]], differ, key[2] if len(codes[key[0]]) > 1 else None),
            tuple(members[key]))
        for key in sorted(members, key=place)
    ]  # fmt: skip


def _settings_text(run: FinishedRun) -> str:
    return json.dumps({k: v for k, v in run.settings.items() if k not in _NOT_SETTINGS}, sort_keys=True)


def _flat(settings: dict[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Path of names -> value."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in settings.items():
        found.update(_flat(value, (*above, name)) if isinstance(value, dict) else {(*above, name): value})
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _sortable(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, _text(value)


def _label(settings: dict[tuple[str, ...], Any], differ: list[tuple[str, ...]], code: str | None) -> str | None:
    """`leaf=value` for each differing setting; the whole path where two of one name have different values."""
    values: dict[str, dict[str, str]] = {}
    for path in differ:
        values.setdefault(path[-1], {})[".".join(path)] = _text(settings.get(path))
    parts = []
    for leaf, by_path in values.items():
        same = len(set(by_path.values())) == 1
        parts += [f"{leaf}={next(iter(by_path.values()))}"] if same else [f"{p}={v}" for p, v in by_path.items()]
    if code is not None:
        parts.append("code=" + (hashlib.sha256(code.encode()).hexdigest()[:6] if code else "registry"))
    return " ".join(parts) or None
