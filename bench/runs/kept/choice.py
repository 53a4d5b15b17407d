"""Which of the runs in a folder are meant, where they are of several data or splits."""

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
    """latest: of each dataset the runs on the data, and of each fold on the split, of the newest run; group: the runs
    whose hash of the data, or digest of the split, begins so.
    """

    latest: bool = False
    group: str | None = None


EVERY = Choice()


def kept(runs: list[FinishedRun], choice: Choice) -> list[FinishedRun]:
    """Those that are meant; UsageError where `group` names none."""
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


def several(name: str, runs: Sequence[FinishedRun], what: str, key: Callable[[FinishedRun], str]) -> str:
    """One line: the groups that must not be compared, newest first, and a command for each of them.

    key: what they differ in, called `what` in words.
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
