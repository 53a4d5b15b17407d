"""Which finished runs are one row of a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from bench.runs.kept.finished import FinishedRun, stack_predictions
from bench.runs.kept.identity import OPTIONS, flat

ONE_MAGNIFICATION = (
    "exhaustive",
    "fixed",
    "random-one",
    "stratified-one",
    "mean",
    "max",
    "dsmil",
    "clam",
    "transmil",
    "ips",
)
"""Strategies that read the one magnification `mpp` of their settings."""


_NOT_SETTINGS = ("split", "tuned")  # the split is of the fold, see `check_comparable`; tuned is in force already


@dataclass(frozen=True)
class Entry:
    """Runs that are one row of a table: of one dataset, strategy and settings.

    Attributes:
        dataset: Name of the dataset.
        strategy: Name of the strategy.
        differing: The settings in which runs of the dataset differ, as `n_patches=16 epochs=80`; None where all
            agree. What was set for one strategy alone, and is the same in all its runs, is no difference.
        runs: The runs.
        shared: Those of `differing` that were set for all strategies.
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
        return stack_predictions(self.runs)


def _one_mpp(run: FinishedRun) -> float | None:
    """The magnification of the grid that is nearest to the one asked for, which is what is read."""
    strategy = run.settings.get("strategy", {})
    asked, mpps = strategy.get("mpp"), strategy.get("method", {}).get("mpps") or []
    return None if asked is None else min(mpps, key=lambda mpp: abs(mpp / asked - 1), default=asked)


def find_beside(entry: Entry, strategy: str, among: Iterable[Entry]) -> Entry | None:
    """The entry of `strategy` in the same settings as `entry`; None where there is none, or more than one.

    Settings that were set for one of the two strategies alone may differ.
    """
    same = [a for a in among if (a.dataset, a.strategy, a.shared) == (entry.dataset, strategy, entry.shared)]
    exact = [a for a in same if a.differing == entry.differing]
    found = exact or same
    return found[0] if len(found) == 1 else None


def group_runs(runs: Iterable[FinishedRun]) -> list[Entry]:
    """Sort runs into the rows of a table.

    Args:
        runs: Finished runs of one or more datasets.

    Returns:
        Datasets by name, strategies in order of appearance, settings by value. Runs that differ only in fold, seed,
        data or split are one entry.
    """
    by_dataset: dict[str, list[FinishedRun]] = {}
    for run in runs:
        by_dataset.setdefault(run.dataset, []).append(run)
    return [entry for name in sorted(by_dataset) for entry in _of_dataset(name, by_dataset[name])]


def _of_dataset(dataset: str, runs: list[FinishedRun]) -> list[Entry]:
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
        Entry(
            dataset,
            key[0],
            _label(flats[key[1]], own[key[0]], key[2] if len(codes[key[0]]) > 1 else None),
            tuple(members[key]),
            _label(flats[key[1]], common, None),
        )
        for key in sorted(members, key=place)
    ]


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

    common = [path for path in paths if path[-1] not in alone and path[:2] != OPTIONS and differ(path, flats)]
    of_strategy = {name: [text for other, text in rows if other == name] for name, _ in rows}
    own = {
        name: [p for p in paths if p in common or ((p[-1] in alone or p[:2] == OPTIONS) and differ(p, texts))]
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
