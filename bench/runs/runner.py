"""All runs of a plan: what is complete is skipped, the rest is trained, tested side by side, and kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.datasets import SlideRecord
from bench.datasets.evidence.shares import need_annotation
from bench.errors import UsageError
from bench.runs.context import Context
from bench.runs.data_check import DataCheck, check_data, readable_parts
from bench.runs.infer import Contestant, Inferred, infer
from bench.runs.kept.code_digest import code_digest
from bench.runs.kept.directory import RunDirectory
from bench.runs.kept.record import Record
from bench.runs.layout import COMPLETE, PREDICTIONS, SNAPSHOTS
from bench.runs.observed.snapshots import dump, pictured_slides
from bench.runs.queue import Group, Place, Queue
from bench.runs.result import Incidents, Result
from bench.runs.run_key import N_FOLDS, key_of
from bench.runs.saved import train_or_restore
from bench.runs.settings.strategies import one_of_each, strategy_class
from bench.runs.stores import FeatureStores
from bench.runs.trainer import Trainer
from jsma.errors import ContractError, EvidenceRefusedError
from jsma.slides import SlideError

ENDS_ONE = (UsageError, SlideError, ContractError, EvidenceRefusedError)
"""Errors that end one strategy: its settings or its code do not work, and those of the others may."""
RECORDED = "recorded when its runs were made: mend the slide, or delete their folders to try it again"


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        strategies: Names, each once.
        seeds: Seeds of the trainings.
        folds: Numbers of the folds, from 0.
        n_folds: How many parts the data are cut into.
        wait_s: How long to wait for runs that other processes are making; None waits until they are done.
    """

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    folds: tuple[int, ...] = (0,)
    n_folds: int = N_FOLDS
    wait_s: float | None = None


class Runner:
    """Makes the runs of a plan on one dataset. All runs share stores of features and scales of features."""

    def __init__(self, context: Context):
        self.context = context
        self.trainer = Trainer(context, FeatureStores(context.features, context.dataset.records))

    def run(self, plan: Plan) -> Result:
        """Make every run of `plan` that is not complete; wait for those that other processes make.

        Raises:
            UsageError: The plan or the data cannot be used.
            Exception: Every strategy ended, with the error of the first.
        """
        self._refuse_what_cannot_work(plan)
        code_digest()  # kept from now on: files may be edited before the last run is recorded
        directories = self.directories(plan)
        with Queue(directories, self.context) as queue:
            data = DataCheck() if queue.is_empty else check_data(self.context, plan.folds)
            so_far = Incidents(failed=data.unreadable)
            for group in queue.groups(plan.wait_s):
                parts = readable_parts(self.context.dataset, data.unreadable, group.fold, plan.n_folds)
                contestants, incidents = self._train(group, parts)
                so_far += incidents
                inferred = self._infer(contestants, parts["test"], group.seed)
                so_far += inferred.incidents
                so_far += self._keep(group, inferred, queue, self._status(so_far, data))
                queue.give_up(so_far.ended)
        if len(so_far.ended) == len(plan.strategies):
            raise next(iter(so_far.ended.values()))
        return self._result(directories, so_far, data, queue.elsewhere)

    def directories(self, plan: Plan) -> dict[Place, RunDirectory]:
        """Where the runs of `plan` lie, in the order in which they are made."""
        return {
            (fold, seed, name): self.directory(name, fold, seed, plan)
            for fold in plan.folds
            for seed in plan.seeds
            for name in plan.strategies
        }

    def directory(self, name: str, fold: int, seed: int, plan: Plan) -> RunDirectory:
        """Where the run of one strategy, fold and seed of `plan` lies."""
        return RunDirectory(self.context.out, key_of(self.context, name, fold, seed, plan.n_folds))

    def _refuse_what_cannot_work(self, plan: Plan) -> None:
        one_of_each(plan.strategies)
        dataset = self.context.dataset
        need_annotation(map(strategy_class, plan.strategies), dataset.name, dataset.records)

    def _train(self, group: Group, parts: dict[str, list[SlideRecord]]) -> tuple[dict[str, Contestant], Incidents]:
        """Train the strategies of `group`, or bring back those that were trained before the run was broken off."""
        contestants: dict[str, Contestant] = {}
        happened = Incidents()
        for name, directory in group.directories.items():
            try:
                contestants[name], dropped = train_or_restore(self.trainer, name, directory, parts, group.seed)
                happened += Incidents(failed=dropped)
            except ENDS_ONE as error:
                happened += Incidents(ended={name: error})
        return contestants, happened

    def _infer(self, contestants: dict[str, Contestant], records: list[SlideRecord], seed: int) -> Inferred:
        """Test the trained strategies side by side."""
        if not contestants:
            return Inferred()
        return infer(contestants, records, self.context, seed, pictured_slides(records, seed))

    def _keep(self, group: Group, inferred: Inferred, queue: Queue, status: dict[str, Any]) -> Incidents:
        """Finish the runs that have predictions. Of a run without one the training is kept, and it is not complete."""
        empty: dict[str, str] = {}
        for name, rows in inferred.rows.items():
            directory = group.directories[name]
            if not rows:
                empty[directory.key.name] = _why_empty(inferred.incidents.failed)
            elif not queue.holds(directory):
                self.context.say(
                    f"run {directory.key.name}: this process was stopped for so long that another one took the run over"
                )
            else:
                directory.write_table(PREDICTIONS, rows)
                if snapshots := inferred.snapshots[name]:
                    directory.write_with(SNAPSHOTS, lambda handle, own=snapshots: dump(own, handle))
                directory.finish(status)
        return Incidents(empty=empty)

    def _status(self, so_far: Incidents, data: DataCheck) -> dict[str, Any]:
        """What a run says of itself beside its results."""
        return {
            "kind": "run",
            "status": COMPLETE,
            "slides": len(self.context.dataset.records),
            "failed": so_far.failed,
            "findings": data.findings,
            "class_order": list(self.context.dataset.class_order),
        }

    def _result(
        self, directories: dict[Place, RunDirectory], so_far: Incidents, data: DataCheck, elsewhere: list[str]
    ) -> Result:
        done = [directory.final for directory in directories.values() if directory.complete]
        dataset = self.context.dataset
        return Result(
            runs=done,
            failed={**_recorded_failures(done), **so_far.failed},
            left_out=dict(Counter([*dataset.left_out.values(), *dataset.problems.values()])),
            ended={name: str(error) for name, error in so_far.ended.items()},
            empty=so_far.empty,
            elsewhere=elsewhere,
            findings=data.findings,
        )


def _why_empty(failed: dict[str, str]) -> str:
    slide, reason = next(iter(failed.items()))
    return f"none of its {len(failed)} test slides could be read; the first: {slide}: {reason}"


def _recorded_failures(runs: list[Path]) -> dict[str, str]:
    """Slides that failed when complete runs were made, with the reason."""
    found: dict[str, str] = {}
    for path in runs:
        found.update(Record.of(path).status.get("failed", {}))
    return {slide: f"{reason} ({RECORDED})" for slide, reason in found.items()}
