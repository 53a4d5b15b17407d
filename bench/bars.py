"""Progress bars of the command line."""

from __future__ import annotations

from collections.abc import Callable

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


class Bars:
    """Progress on stderr with time left; silent when stderr is not a terminal. sizes: counts are bytes."""

    def __init__(self, sizes: bool = False) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn() if sizes else MofNCompleteColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(), console=stderr, disable=not stderr.is_terminal)  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self.progress.add_task(what, total=total)
        self.progress.update(self._tasks[what], completed=done, total=total)

    def named(self, what: str) -> Callable[[int, int], None]:
        """A reporter for one bar."""
        return lambda done, total: self(what, done, total)
