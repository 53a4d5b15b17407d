"""Which runs of a folder are used, where they are of several versions of the data or of several splits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.runs.kept.finished import FinishedRun


@dataclass(frozen=True)
class Choice:
    """Which runs are used.

    Attributes:
        latest: Of each dataset only the runs on the same data as the newest run, and of each fold on the same split.
        group: Only the runs whose hash of the data, or digest of the split, begins with this text.
    """

    latest: bool = False
    group: str | None = None


EVERY = Choice()


def select_runs(runs: list[FinishedRun], choice: Choice) -> list[FinishedRun]:
    """The runs that `choice` selects.

    Raises:
        UsageError: No run is of the group that was asked for.
    """
    if choice.group is not None:
        found = [run for run in runs if any(h.startswith(choice.group) for h in (run.data_hash, split_of(run)))]
        if not found:
            there = ", ".join(sorted({run.data_hash for run in runs}))
            raise UsageError(f"--group {choice.group}: no run on such data; there are: {there}")
        runs = found
    if not choice.latest:
        return runs
    data: dict[str, str] = {}
    split: dict[tuple[str, str, int], str] = {}
    for run in sorted(runs, key=lambda run: run.made):
        data[run.dataset] = run.data_hash
        split[run.dataset, run.data_hash, run.fold] = split_of(run)
    return [
        run
        for run in runs
        if run.data_hash == data[run.dataset] and split_of(run) == split[run.dataset, run.data_hash, run.fold]
    ]


def split_of(run: FinishedRun) -> str:
    """Digest of the split of the run's fold."""
    return str(run.settings.get("split"))


def describe_groups(name: str, runs: Sequence[FinishedRun], what: str, key: Callable[[FinishedRun], str]) -> str:
    """One line about groups of runs that must not be compared, newest first, with the option that selects each.

    Args:
        name: The dataset.
        runs: Its runs.
        what: What the groups differ in, in words.
        key: The value of that for one run.
    """
    groups: dict[str, list[FinishedRun]] = {}
    for run in sorted(runs, key=lambda run: -run.made):
        groups.setdefault(key(run), []).append(run)
    shown = []
    for value, own in groups.items():
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(max(run.made for run in own)))
        strategies = dict.fromkeys(run.strategy for run in own)
        shown.append(f"{made} ({len(own)} runs: {', '.join(strategies)}) --group {value}")
    return (
        f"dataset {name}: {len(groups)} values of {what}, and only runs on the same are compared; newest first: "
        f"{'; '.join(shown)}. Give the same command with --latest, or with one of these --group"
    )
