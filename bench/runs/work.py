"""Who makes which run: what is complete is taken over, what is damaged set aside, what others make awaited."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.claims import Claims, Owner
from bench.errors import DamagedRunError, UsageError
from bench.runs.infer import Contestant, infer
from bench.runs.kept.directory import RunDirectory
from bench.runs.kept.record import Record
from bench.runs.layout import COMPLETE, PREDICTIONS, SNAPSHOTS
from bench.runs.observed.snapshots import album, dump
from jsma.errors import ContractError, EvidenceRefusedError
from jsma.slides import SlideError

if TYPE_CHECKING:
    from bench.runs.runner import Plan, Runner

POLL_S = 2.0
ENDS_ONE = (UsageError, SlideError, ContractError, EvidenceRefusedError)
"""Errors that end one strategy: its settings or its code do not work, and the others' may."""
RECORDED = "recorded when its runs were made: mend the slide, or delete their folders to try it again"
Place = tuple[int, int, str]  # fold, seed, strategy


@dataclass
class Result:
    """Directories of the complete runs, slides that failed, reason -> how many were left out.

    ended: strategy -> why it was given up, the others going on; empty: run -> why it has no prediction and is not kept;
    elsewhere: runs that other processes were still making when waiting for them ended; findings: what is wrong with the
    data, and was accepted or does not stop a run.
    """

    runs: list[Path] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every run that was asked for is complete."""
        return not (self.ended or self.empty or self.elsewhere)


class Work:
    """The runs of a plan, made by this process as far as no other is making them."""

    def __init__(self, runner: Runner, plan: Plan):
        self.runner, self.plan = runner, plan
        self.directories = {
            (fold, seed, name): runner.directory(name, fold, seed, plan)
            for fold in plan.folds
            for seed in plan.seeds
            for name in plan.strategies
        }
        self.claims = Claims(runner.out)
        self.ended: dict[str, Exception] = {}
        self.empty: dict[str, str] = {}

    def run(self) -> Result:
        """Make what is not complete; then wait for what others make, and take it over."""
        runner = self.runner
        try:
            if not all(directory.complete and self._sound(directory) for directory in self.directories.values()):
                runner.check(self.plan.folds)
            busy: dict[Place, Owner] = {}
            for fold in self.plan.folds:
                for seed in self.plan.seeds:
                    busy.update(self._group(fold, seed, self.plan.strategies))
            elsewhere = self._wait(busy)
        finally:
            self.claims.close()
        if len(self.ended) == len(self.plan.strategies):
            raise next(iter(self.ended.values()))
        reasons = Counter([*runner.dataset.left_out.values(), *runner.dataset.problems.values()])
        done = [directory.final for directory in self.directories.values() if directory.complete]
        ended = {name: str(error) for name, error in self.ended.items()}
        names = [self.directories[place].key.name for place in elsewhere]
        return Result(
            done, {**_recorded(done), **runner.failed}, dict(reasons), ended, self.empty, names, runner.findings
        )

    def _sound(self, directory: RunDirectory) -> bool:
        try:
            directory.check()
        except DamagedRunError:
            return False
        return True

    def _take(self, directory: RunDirectory) -> Owner | bool:
        """True where the run is to be made by us now, False where it is complete; else who is making it.

        A damaged run is set aside, which is said, and made anew.
        """
        if directory.complete and self._sound(directory):
            return False
        owner = self.claims.take(directory.key.name)
        if owner is not None:
            return owner
        if not directory.complete:
            return True
        try:  # another process may have finished it before the claim was ours
            directory.check()
        except DamagedRunError as error:
            what = str(error).rpartition(";")[0]
            self.runner.say(f"{what}; set aside as {directory.set_aside().name} and made anew")
            return True
        self.claims.release(directory.key.name)
        return False

    def _group(self, fold: int, seed: int, names: tuple[str, ...]) -> dict[Place, Owner]:
        """Make those runs of one fold and seed that are free; returns those that are not."""
        busy: dict[Place, Owner] = {}
        mine: dict[str, RunDirectory] = {}
        for name in names:
            if name in self.ended:
                continue
            taken = self._take(self.directories[fold, seed, name])
            if isinstance(taken, Owner):
                busy[fold, seed, name] = taken
            elif taken:
                mine[name] = self.directories[fold, seed, name]
        try:
            if mine:
                self._make(mine, fold, seed)
        finally:
            for directory in mine.values():
                self.claims.release(directory.key.name)
        return busy

    def _make(self, mine: dict[str, RunDirectory], fold: int, seed: int) -> None:
        runner = self.runner
        parts = runner.parts(fold, self.plan.n_folds)
        contestants: dict[str, Contestant] = {}
        for name, directory in mine.items():
            try:
                contestants[name] = runner.trained(name, directory, parts, seed)
            except ENDS_ONE as error:
                self.ended[name] = error
        if not contestants:
            return
        for contestant in contestants.values():
            contestant.album = album(parts["test"], seed)
        found = infer(
            contestants,
            parts["test"],
            runner.dataset,
            runner.settings.view,
            runner.open_record,
            seed,
            lambda done, total: runner.report(f"seed {seed}: inference, interleaved", done, total),
            runner.settings.cache,
        )
        runner.failed.update(found.failed)
        self.ended.update(found.ended)
        for name, contestant in contestants.items():
            if name not in found.ended:
                self._keep(mine[name], contestant, found.failed)

    def _keep(self, directory: RunDirectory, contestant: Contestant, failed: dict[str, str]) -> None:
        """Store the run; one without a prediction is not complete, its training is kept."""
        name, runner = directory.key.name, self.runner
        if not contestant.rows:
            slide, reason = next(iter(failed.items()))
            self.empty[name] = f"none of its {len(failed)} test slides could be read; the first: {slide}: {reason}"
            return
        if not self.claims.mine(name):
            runner.say(f"run {name}: this process was stopped for so long that another one took the run over")
            return
        directory.write_table(PREDICTIONS, contestant.rows)
        if (kept := contestant.album) is not None and kept.looks:
            directory.write_with(SNAPSHOTS, lambda handle: dump(kept.looks, handle))
        directory.finish(
            {
                "status": COMPLETE,
                "slides": len(runner.dataset.records),
                "failed": runner.failed,
                "findings": list(runner.findings),
                "class_order": list(runner.dataset.class_order),
            }
        )

    def _wait(self, busy: dict[Place, Owner]) -> list[Place]:
        """Take over what other processes finish, and make what they give up; what is left when the limit is reached."""
        limit_s = self.plan.wait_s
        until = None if limit_s is None else time.monotonic() + limit_s
        if busy:
            place, owner = next(iter(busy.items()))
            limit = "" if limit_s is None else f", for {limit_s / 60:g} minutes at most"
            self.runner.say(
                f"waiting for {len(busy)} runs that are being made elsewhere{limit}; the first: "
                f"{self.directories[place].key.name}, by {owner.words} (--wait MINUTES sets a limit)"
            )
        total = len(busy)
        while busy and (until is None or time.monotonic() < until):
            time.sleep(POLL_S)
            left: dict[Place, Owner] = {}
            for fold, seed in dict.fromkeys(place[:2] for place in busy):
                names = tuple(name for f, s, name in busy if (f, s) == (fold, seed))
                left.update(self._group(fold, seed, names))
            busy = left
            self.runner.report("runs made elsewhere", total - len(busy), total)
        return list(busy)


def _recorded(runs: list[Path]) -> dict[str, str]:
    """Slides that failed when complete runs were made, with the reason."""
    found: dict[str, str] = {}
    for path in runs:
        found.update(Record.of(path).status.get("failed", {}))
    return {slide: f"{reason} ({RECORDED})" for slide, reason in found.items()}


def to_stderr(line: str) -> None:
    """Say a line while others are being worked on."""
    print(line, file=sys.stderr)
