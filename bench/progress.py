"""Progress that people see: bars in a terminal, plain lines elsewhere, or nothing at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

stderr = Console(stderr=True)
EVERY_S = 30.0  # between lines, where there is no terminal

Steps = Callable[[int, int], None]
"""Called with how many steps are done, and of how many."""


class Report(Protocol):
    """What long work tells its progress to. `Bars` shows it, `Quiet` does not."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell that `done` of `total` steps of `what` are done."""
        ...

    def named(self, what: str) -> Steps:
        """A reporter of `what` alone."""
        ...


class Quiet:
    """A report that says nothing."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Say nothing."""

    def named(self, what: str) -> Steps:
        """A reporter that says nothing."""
        return lambda done, total: None


class Bars:
    """Progress on stderr: bars with the time left, or plain lines where stderr is no terminal.

    There, each stage gets a line when it begins, and one every EVERY_S seconds.
    """

    def __init__(self, sizes: bool = False) -> None:
        """Make bars without any stage; `sizes`: the counts are bytes."""
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn() if sizes else MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr,
            disable=not stderr.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._told_s = 0.0

    def starting(self) -> None:
        """Say at once that something goes on: loading the libraries takes seconds."""
        stderr.print("starting: torch and the strategies are loaded", highlight=False)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell that `done` of `total` steps of `what` are done."""
        if not stderr.is_terminal and (what not in self._tasks or time.monotonic() - self._told_s > EVERY_S):
            self._told_s = time.monotonic()
            print(f"{what}: {done} of {total}", file=stderr.file, flush=True)
        if what not in self._tasks:
            self._tasks[what] = self.progress.add_task(what, total=total)
        self.progress.update(self._tasks[what], completed=done, total=total)

    def named(self, what: str) -> Steps:
        """A reporter for the bar of `what`."""
        return lambda done, total: self(what, done, total)
