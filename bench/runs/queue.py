"""Who makes which run: complete runs are taken over, damaged ones set aside, those of other processes awaited."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType

from bench.claims import Claims, Owner
from bench.errors import DamagedRunError
from bench.runs.context import Context
from bench.runs.kept.directory import RunDirectory

POLL_S = 2.0
Place = tuple[int, int, str]
"""Fold, seed and strategy of a run."""


@dataclass(frozen=True)
class Group:
    """The runs of one fold and seed that this process has claimed.

    Attributes:
        fold: Number of the fold, from 0.
        seed: Seed of the training.
        directories: Strategy -> where its run is written.
    """

    fold: int
    seed: int
    directories: dict[str, RunDirectory]


class Queue:
    """The runs of a plan that are not complete, handed out to this process while no other process makes them.

    A context manager: every claim is free at its end.
    """

    def __init__(self, directories: Mapping[Place, RunDirectory], context: Context):
        self._directories, self._context = directories, context
        self._claims = Claims(context.out)
        self._given_up: set[str] = set()
        self._busy: dict[Place, Owner] = {}  # runs that others make

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._claims.close()

    @property
    def is_empty(self) -> bool:
        """Whether every run is complete and sound."""
        return all(directory.is_sound for directory in self._directories.values())

    @property
    def elsewhere(self) -> list[str]:
        """Names of the runs that other processes are still making."""
        return [self._directories[place].key.name for place in self._busy]

    def groups(self, wait_s: float | None) -> Iterator[Group]:
        """Groups of runs to make now: first those that are free, then those that other processes give up.

        The claims of a group are free again when the next one is asked for.

        Args:
            wait_s: How long to wait for the runs of other processes; None waits until they are done.
        """
        yield from self._claimed(self._directories)
        until = None if wait_s is None else time.monotonic() + wait_s
        self._say_that_it_waits(wait_s)
        total = len(self._busy)
        while self._busy and (until is None or time.monotonic() < until):
            time.sleep(POLL_S)
            waiting, self._busy = self._busy, {}
            yield from self._claimed(waiting)
            self._context.report("runs made elsewhere", total - len(self._busy), total)

    def give_up(self, strategies: Iterable[str]) -> None:
        """Hand out no more runs of these strategies."""
        self._given_up.update(strategies)

    def holds(self, directory: RunDirectory) -> bool:
        """Whether the claim is still ours. A process that was stopped for long may have lost it."""
        return self._claims.mine(directory.key.name)

    def _claimed(self, places: Iterable[Place]) -> Iterator[Group]:
        """The free runs of `places`, by fold and seed; who makes the others is kept in `_busy`."""
        wanted: dict[tuple[int, int], list[str]] = {}
        for fold, seed, name in places:
            wanted.setdefault((fold, seed), []).append(name)
        for (fold, seed), names in wanted.items():
            mine: dict[str, RunDirectory] = {}
            for name in names:
                directory = self._directories[fold, seed, name]
                if name in self._given_up or directory.is_sound:
                    continue
                owner = self._claims.take(directory.key.name)
                if owner is not None:
                    self._busy[fold, seed, name] = owner
                elif self._must_be_made(directory):
                    mine[name] = directory
            try:
                if mine:
                    yield Group(fold, seed, mine)
            finally:
                for directory in mine.values():
                    self._claims.release(directory.key.name)

    def _must_be_made(self, directory: RunDirectory) -> bool:
        """Whether a run that was claimed just now has to be made; the claim is released where it has not.

        Another process may have finished it before the claim was ours. A damaged run is set aside, which is said.
        """
        if not directory.complete:
            return True
        try:
            directory.check()
        except DamagedRunError as error:
            what = str(error).rpartition(";")[0]
            self._context.say(f"{what}; set aside as {directory.set_aside().name} and made anew")
            return True
        self._claims.release(directory.key.name)
        return False

    def _say_that_it_waits(self, wait_s: float | None) -> None:
        if not self._busy:
            return
        owner = next(iter(self._busy.values()))
        limit = "" if wait_s is None else f", for {wait_s / 60:g} minutes at most"
        self._context.say(
            f"waiting for {len(self._busy)} runs that are being made elsewhere{limit}; the first: {self.elsewhere[0]}, "
            f"by {owner.words} (--wait MINUTES sets a limit)"
        )
