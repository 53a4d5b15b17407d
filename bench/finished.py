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

from bench.choice import EVERY, Choice, kept
from bench.errors import DamagedRunError, UsageError
from bench.identity import filled, flat, group_of, in_force, known_defaults
from bench.record import DAMAGED, PARTIAL, PREDICTIONS, SETTINGS, STATUS, Stored, made, readable

THREADS = 8  # reading many small files waits more than it computes
ONE_MAGNIFICATION = (
    "exhaustive", "fixed", "random-one", "stratified-one", "mean", "max", "dsmil", "clam", "transmil", "ips",
)  # fmt: skip
"""Strategies that read the one magnification `mpp` of their settings."""
_NOT_SETTINGS = ("split", "tuned")  # the split is of the fold, see `check_comparable`; tuned is in force already


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
    made: float = 0.0  # when it was finished, in seconds since 1970

    @property
    def tuned(self) -> dict[str, Any]:
        """Name -> value of the settings that were set for this strategy alone."""
        return self.settings.get("tuned", {})

    @property
    def regime(self) -> str:
        """One of `bench.settings.REGIMES`."""
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
    found = list({path.resolve(): path for folder in folders for path in _directories(folder)}.values())
    with ThreadPoolExecutor(THREADS) as pool:
        read = list(pool.map(readable, found))
    damaged = [str(one) for one in read if isinstance(one, DamagedRunError)]
    stored = [one for one in read if not isinstance(one, DamagedRunError)]
    if not stored:
        raise UsageError(f"no run can be used; the first of {len(damaged)}: {damaged[0]}")
    defaults = known_defaults(one.key for one in stored)
    return Loaded(kept([_run(one, defaults) for one in stored], choice), damaged)


def _directories(folder: Path) -> list[Path]:
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


def _run(stored: Stored, defaults: dict[tuple[str, ...], Any]) -> FinishedRun:
    """With the settings as they were in force; defaults: of settings that this run is too old to have."""
    key, status, settings = stored.key, stored.status, filled(in_force(stored.key), defaults)
    return FinishedRun(
        stored.path, key["dataset"], key["strategy"], key["fold"], key["seed"], group_of(key, settings),
        key["data_hash"], settings, stored.environment, stored.train, stored.table, key.get("code", ""),
        status.get("failed", {}), tuple(status.get("findings", ())), made(stored),
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

    differing: the settings in which runs of the dataset differ, as `n_patches=16 epochs=80`; None where all agree, but
    for what was set for one strategy alone and is the same in all its runs; shared: those of them that were set for
    all strategies.
    """

    dataset: str
    strategy: str
    differing: str | None
    runs: tuple[FinishedRun, ...]
    shared: str | None = None

    @property
    def name(self) -> str:
        """Strategy, with what differs in brackets."""
        return self.strategy if self.differing is None else f"{self.strategy}[{self.differing}]"

    @property
    def reads(self) -> str | None:
        """The one magnification that the strategy reads, as `2um` (a pixel); None where it has several, or none."""
        mpps = {_one_mpp(run) for run in self.runs} if self.strategy in ONE_MAGNIFICATION else {None}
        return f"{mpp:g}um" if len(mpps) == 1 and (mpp := mpps.pop()) is not None else None

    @property
    def shown(self) -> str:
        """Name with what is read: `exhaustive@2um`."""
        return self.name if self.reads is None else self.name.replace(self.strategy, f"{self.strategy}@{self.reads}", 1)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """All predictions, with `run`: the index in `runs`."""
        return stacked(self.runs)


def _one_mpp(run: FinishedRun) -> float | None:
    """The magnification of the grid that is nearest to the one asked for, which is what is read."""
    strategy = run.settings.get("strategy", {})
    asked, mpps = strategy.get("mpp"), strategy.get("method", {}).get("mpps") or []
    return None if asked is None else min(mpps, key=lambda mpp: abs(mpp / asked - 1), default=asked)


def beside(arm: Arm, strategy: str, among: Iterable[Arm]) -> Arm | None:
    """The arm of `strategy` in the same settings as `arm`, but for those set for one of them alone; None where there
    is none, or more than one."""
    same = [a for a in among if (a.dataset, a.strategy, a.shared) == (arm.dataset, strategy, arm.shared)]
    exact = [a for a in same if a.differing == arm.differing]
    found = exact or same
    return found[0] if len(found) == 1 else None


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
    flats = {text: dict(flat(json.loads(text))) for text in dict.fromkeys(text for _, text, _ in keys)}
    alone = {name for run in runs for name in run.tuned}
    common, own = _differing({(name, text) for name, text, _ in keys}, flats, alone)
    members: dict[tuple[str, str, str], list[FinishedRun]] = {}
    for key, run in zip(keys, runs, strict=True):
        members.setdefault(key, []).append(run)
    codes: dict[str, set[str]] = {}
    for strategy, _, code in members:
        codes.setdefault(strategy, set()).add(code)

    def place(key: tuple[str, str, str]) -> tuple[Any, ...]:
        return order[key[0]], [_sortable(flats[key[1]].get(path)) for path in own[key[0]]], key[2]

    return [
        Arm(dataset, key[0], _label(flats[key[1]], own[key[0]], key[2] if len(codes[key[0]]) > 1 else None),
            tuple(members[key]), _label(flats[key[1]], common, None))
        for key in sorted(members, key=place)
    ]  # fmt: skip


Differing = list[tuple[str, ...]]


def _differing(
    rows: set[tuple[str, str]], flats: dict[str, dict[tuple[str, ...], Any]], alone: set[str]
) -> tuple[Differing, dict[str, Differing]]:
    """Paths of the settings that were set for all and differ, and strategy -> those with what differs within it.

    rows: (strategy, text of its settings); alone: names of settings that were set for one strategy.
    """
    paths = sorted({path for settings in flats.values() for path in settings})

    def differ(path: tuple[str, ...], texts: Iterable[str]) -> bool:
        return len({_text(flats[text].get(path)) for text in texts}) > 1

    common = [path for path in paths if path[-1] not in alone and differ(path, flats)]
    of_strategy = {name: [text for other, text in rows if other == name] for name, _ in rows}
    own = {
        name: [p for p in paths if p in common or (p[-1] in alone and differ(p, texts))]
        for name, texts in of_strategy.items()
    }
    return common, own


def _settings_text(run: FinishedRun) -> str:
    return json.dumps({k: v for k, v in run.settings.items() if k not in _NOT_SETTINGS}, sort_keys=True)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _sortable(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, _text(value)


def _label(settings: dict[tuple[str, ...], Any], differ: Differing, code: str | None) -> str | None:
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
