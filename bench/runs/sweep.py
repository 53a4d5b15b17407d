"""Anytime: strategies trained once, evaluated at every budget N with many sampling seeds.

What was read is counted exactly as if each prediction read its slide anew. Features come from a store, so that a
hundred predictions of one slide take the time of one; the seconds of reading and encoding are charged at the mean
cost a tile and a patch that was measured when the store was filled, those of opening and of the overview as measured
once a slide.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from baselines.contract import Outcome
from bench.errors import DamagedRunError, UsageError
from bench.files import alone_in, remove_leftovers
from bench.runs.infer import Contestant
from bench.runs.kept.record import Record, read_checked, write_sweep
from bench.runs.layout import (
    BUDGET,
    CONFIDENCE,
    DAMAGED,
    DATASET,
    DRAW,
    FOLD,
    LABEL,
    MODE,
    PATIENT,
    PREDICTED,
    SECONDS,
    SEED,
    SLIDE,
    STRATEGY,
    SWEEP,
    WEIGHTS,
)
from bench.runs.runner import Plan, Runner
from bench.runs.saved import restore
from bench.runs.settings.strategies import strategy_class
from bench.runs.sweep_point import Mode, Point, ViewedSlide, at_budget, predict, view_slide
from jsma.meter import Meter
from jsma.metered.store import FeatureStore
from jsma.slides import SlideError


@dataclass(frozen=True)
class SweepSettings:
    """What is swept over.

    Attributes:
        budgets: Numbers of patches a slide at most, N.
        draws: Sampling seeds of each budget. Deterministic top-N takes one.
        top: Strategies that are shown with deterministic top-N too.
        confidences: Thresholds, 0..1. Strategies that stop when they are certain are swept over these at the largest
            budget, in place of the budgets.
    """

    budgets: tuple[int, ...] = (2, 4, 8, 16, 32)
    draws: int = 10
    top: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()


class Sweep:
    """All predictions of a sweep over the test slides of the plan's folds.

    Attributes:
        failed: Slide -> why it could not be read, once `rows` has returned.
        findings: What is wrong with the data and was accepted, once `rows` has returned.
    """

    def __init__(self, runner: Runner, plan: Plan, settings: SweepSettings):
        self.runner, self.context, self.plan, self.settings = runner, runner.context, plan, settings
        self.failed: dict[str, str] = {}
        self.findings: list[str] = []

    def rows(self) -> pd.DataFrame:
        """Train what is not trained yet, then predict at every budget with every sampling seed; a row a prediction.

        Raises:
            UsageError: A strategy could not be trained.
            SlideError: No test slide can be read.
        """
        made = self.runner.run(self.plan)
        if not made.whole:
            reasons = [*made.ended.values(), *made.empty.values(), *(f"{n}: still being made" for n in made.elsewhere)]
            raise UsageError(f"not every strategy could be trained, so nothing was swept; the first: {reasons[0]}")
        self.failed.update(made.failed)
        self.findings = made.findings
        found: list[dict[str, Any]] = []
        for fold in self.plan.folds:
            for seed in self.plan.seeds:
                rows = self._sweep_training(fold, seed)
                self._keep(rows, fold, seed)
                found += [{FOLD: fold, SEED: seed, **row} for row in rows]
        if not found:
            raise SlideError(f"no test slide can be read; the first: {next(iter(self.failed.values()), 'none there')}")
        return pd.DataFrame(found).assign(**{DATASET: self.context.dataset.name})

    def _folder(self, name: str, fold: int, seed: int) -> Path:
        return self.runner.directory(name, fold, seed, self.plan).final

    def _keep(self, rows: list[dict[str, Any]], fold: int, seed: int) -> None:
        """Write the predictions beside the run whose weights they are of, with those of earlier sweeps."""
        for name in self.plan.strategies:
            folder = self._folder(name, fold, seed)
            own = pd.DataFrame([row for row in rows if row[STRATEGY] == strategy_class(name).name])
            if own.empty:
                continue
            own[CONFIDENCE] = own[CONFIDENCE].astype(float)
            remove_leftovers(folder)
            with alone_in(folder):  # another sweep of the same run adds its own rows
                if (before := self._read_earlier(folder)) is not None:
                    own = pd.concat([before, own], ignore_index=True)
                own = own.drop_duplicates([MODE, BUDGET, CONFIDENCE, DRAW, SLIDE], keep="last")
                write_sweep(folder, own)

    def _read_earlier(self, folder: Path) -> pd.DataFrame | None:
        """What earlier sweeps left in a run; a damaged file is set aside, which is said."""
        path = folder / SWEEP
        if not path.is_file():
            return None
        try:
            Record.of(folder).check_beside()
        except DamagedRunError as error:
            aside = path.with_name(f"{SWEEP}{DAMAGED}")
            os.replace(path, aside)
            self.context.say(f"{str(error).rpartition(';')[0]}; set aside as {aside.name} and made anew")
            return None
        return pd.read_parquet(path)

    def _sweep_training(self, fold: int, seed: int) -> list[dict[str, Any]]:
        """The rows of all strategies of one fold and training seed; slides that cannot be read are noted as failed."""
        contestants = self._restore(fold, seed)
        encoder = next(iter(contestants.values())).encoder
        records = self.context.dataset.split(fold, self.plan.n_folds)["test"]
        points: list[Point] = []
        rows: list[dict[str, Any]] = []
        for number, record in enumerate(records):
            if record.id in self.failed:
                continue
            try:
                with self.context.open_record(record) as slide:
                    viewed = view_slide(record, slide, self.context.settings.view, encoder)
                    points = points or self._points(contestants, viewed)
                    rows += [row for point in points for row in self._rows(point, viewed, number)]
            except (SlideError, OSError) as error:
                self.failed[record.id] = str(error)
            self.context.report(f"seed {seed}: sweep over budgets", number + 1, len(records))
        self.runner.trainer.stores.flush()
        return rows

    def _restore(self, fold: int, seed: int) -> dict[str, Contestant]:
        """The trained strategies, from the weights of their runs."""
        files = {name: self._folder(name, fold, seed) / WEIGHTS for name in self.plan.strategies}
        for file in files.values():
            read_checked(file)
        contestants = {name: restore(self.context, name, file, seed) for name, file in files.items()}
        for contestant in contestants.values():
            contestant.encoder.eval()
        return contestants

    def _points(self, contestants: dict[str, Contestant], first: ViewedSlide) -> list[Point]:
        """What is evaluated on every slide; `first` is any slide, to see which strategies know no budget."""
        points: list[Point] = []
        for name, contestant in contestants.items():
            store = self.runner.trainer.stores.for_sweep(contestant.encoder, self.context.settings)
            points += self._points_of(name, contestant, store, first)
        return points

    def _points_of(self, name: str, contestant: Contestant, store: FeatureStore, first: ViewedSlide) -> list[Point]:
        low, high = min(self.settings.budgets), max(self.settings.budgets)
        trained, draws = contestant.strategy, self.settings.draws
        ends = [
            Point("sample", n, 1, at_budget(trained, n, "sample"), contestant, store) for n in (low, max(high, low + 1))
        ]
        said = [self._predict(point, first, seed)[0].logits for point in ends for seed in (0, 1)]
        if all(torch.equal(said[0], other) for other in said[1:]):  # neither N nor the seed matters: once is enough
            return [replace(ends[0], budget=0)]
        if trained.stops_early and self.settings.confidences:
            return [
                Point("sample", high, draws, at_budget(trained, high, "sample", own), contestant, store, own)
                for own in self.settings.confidences
            ]
        modes: tuple[Mode, ...] = ("sample", "top") if name in self.settings.top else ("sample",)
        return [
            Point(mode, n, draws if mode == "sample" else 1, at_budget(trained, n, mode), contestant, store)
            for mode in modes
            for n in self.settings.budgets
        ]

    def _predict(self, point: Point, viewed: ViewedSlide, seed: int) -> tuple[Outcome, Meter]:
        return predict(point, viewed, self.context.settings.view, seed)

    def _rows(self, point: Point, viewed: ViewedSlide, number: int) -> list[dict[str, Any]]:
        """One row for each sampling seed; `number` is the place of the slide in its part."""
        classes, record, rows = self.context.dataset.classes, viewed.record, []
        for draw in range(point.draws):
            # other noise on every slide: with the same, the slides of a draw would go astray together
            outcome, meter = self._predict(point, viewed, draw * 1_000_003 + number)
            rows.append(
                {
                    STRATEGY: point.strategy.name,
                    "uses_evidence": point.strategy.uses_evidence,
                    "told": point.strategy.told(),
                    MODE: point.mode,
                    BUDGET: point.budget,
                    CONFIDENCE: point.confidence,
                    DRAW: draw,
                    SLIDE: record.id,
                    PATIENT: record.patient,
                    LABEL: record.label,
                    PREDICTED: classes[int(outcome.logits.argmax())],
                    SECONDS: sum(meter.seconds().values()),
                    **asdict(meter.total()),
                }
            )
        return rows
