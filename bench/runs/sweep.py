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
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Generator

from baselines.contract import Outcome, Strategy, ask
from bench.datasets import SlideRecord
from bench.datasets.evidence.shares import evidence_for
from bench.errors import DamagedRunError, UsageError
from bench.files import alone_in, remove_leftovers
from bench.runs.infer import Contestant
from bench.runs.kept.record import Record, checked, write_sweep
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
from bench.runs.runner import Plan, Report, Runner
from bench.runs.settings.strategies import strategy_class
from jsma.meter import Counters, Meter
from jsma.metered import Desk, MeteredSlide, SlideView, ViewSettings
from jsma.metered.store import FeatureStore
from jsma.slides import Slide, SlideError

Mode = Literal["sample", "top"]


@dataclass(frozen=True)
class SweepSettings:
    """budgets: N, patches a slide at most; draws: sampling seeds, of which deterministic top-N takes one.

    top: the strategies that are also shown with deterministic top-N; confidences: strategies that stop when certain
    are swept over these thresholds, at the largest budget, in place of the budgets.
    """

    budgets: tuple[int, ...] = (2, 4, 8, 16, 32)
    draws: int = 10
    top: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()


@dataclass
class Look:
    """A slide that was opened and looked at once, with what that took."""

    record: SlideRecord
    slide: Slide
    view: SlideView
    counters: Counters
    seconds: dict[str, float]


@dataclass(frozen=True)
class Arm:
    """One strategy at one budget. budget 0: neither N nor the sampling seed changes what the strategy says."""

    name: str
    mode: Mode
    budget: int
    draws: int
    strategy: Strategy
    contestant: Contestant
    store: FeatureStore
    confidence: float | None = None


def at_budget(strategy: Strategy, n_patches: int, mode: Mode, confidence: float | None = None) -> Strategy:
    """The trained strategy with another number of patches (and confidence); its weights do not depend on them."""
    method, look = replace(strategy.settings.method, n_patches=n_patches, sampling=mode), strategy.settings.look
    if confidence is not None:
        look = replace(look, confidence=confidence)
    settings = replace(strategy.settings, method=method, look=look)
    other = type(strategy)(settings, strategy.feature_dim, strategy.n_classes, strategy.meter)
    other.load_state_dict(strategy.state_dict())
    return other.to(next(strategy.parameters()).device).eval()


def look(record: SlideRecord, slide: Slide, view: ViewSettings, contestant: Contestant) -> Look:
    """Read the overview of an opened slide, metered."""
    meter = Meter()
    metered = MeteredSlide(record.id, lambda: slide, Desk(meter, contestant.encoder, view))
    found = metered.view
    return Look(record, slide, found, meter.total(), meter.seconds())


@torch.no_grad()
def predict(
    strategy: Strategy, contestant: Contestant, look: Look, view: ViewSettings, store: FeatureStore, seed: int
) -> tuple[Outcome, Meter]:
    """One prediction, and what it would have cost from the file."""
    device = next(strategy.parameters()).device
    for _ in range(2):
        known, meter = store.unit.patches, Meter()
        desk = Desk(meter, contestant.encoder, view, store, contestant.scale, device)
        nothing_paid = replace(look.view, paid=np.zeros_like(look.view.paid))
        evidence_of = evidence_for(type(strategy), look.record)
        slide = MeteredSlide(look.record.id, lambda: look.slide, desk, nothing_paid, evidence_of)
        outcome = ask(strategy, [slide], Generator(device=device).manual_seed(seed))[0]
        if store.unit.patches == known:
            break  # else something was read for the store: once more, with all of it planned and charged
    meter.count(look.record.id, look.counters)
    for stage, seconds in look.seconds.items():
        meter.charge(stage, seconds)
    return outcome, meter


class Sweep:
    """All predictions of a sweep over the test slides of the plan's folds; `rows` holds one a prediction."""

    def __init__(self, runner: Runner, plan: Plan, settings: SweepSettings, report: Report):
        self.runner, self.plan, self.settings, self.report = runner, plan, settings, report
        self.failed: dict[str, str] = {}

    def rows(self) -> pd.DataFrame:
        """Train what is not trained yet, then predict at every budget with every sampling seed."""
        made = self.runner.run(self.plan)
        if not made.whole:
            reasons = [*made.ended.values(), *made.empty.values(), *(f"{n}: still being made" for n in made.elsewhere)]
            raise UsageError(f"not every strategy could be trained, so nothing was swept; the first: {reasons[0]}")
        self.failed.update(made.failed)
        found: list[dict[str, Any]] = []
        for fold in self.plan.folds:
            for seed in self.plan.seeds:
                rows = self._one(fold, seed)
                self._keep(rows, fold, seed)
                found += [{FOLD: fold, SEED: seed, **row} for row in rows]
        if not found:
            raise SlideError(f"no test slide can be read; the first: {next(iter(self.failed.values()), 'none there')}")
        return pd.DataFrame(found).assign(**{DATASET: self.runner.dataset.name})

    def _keep(self, rows: list[dict[str, Any]], fold: int, seed: int) -> None:
        """Predictions beside the run whose weights they are of; those of earlier sweeps stay, unless made anew."""
        for name in self.plan.strategies:
            folder = self.runner.directory(name, fold, seed, self.plan).final
            own = pd.DataFrame([row for row in rows if row[STRATEGY] == strategy_class(name).name])
            if own.empty:
                continue
            own[CONFIDENCE] = own[CONFIDENCE].astype(float)
            remove_leftovers(folder)
            with alone_in(folder):  # another sweep of the same run adds its own rows
                if (before := self._swept(folder)) is not None:
                    own = pd.concat([before, own], ignore_index=True)
                own = own.drop_duplicates([MODE, BUDGET, CONFIDENCE, DRAW, SLIDE], keep="last")
                write_sweep(folder, own)

    def _swept(self, folder: Path) -> pd.DataFrame | None:
        """What earlier sweeps left in a run; a damaged file is set aside, which is said."""
        path = folder / SWEEP
        if not path.is_file():
            return None
        try:
            Record.of(folder).check_beside()
        except DamagedRunError as error:
            aside = path.with_name(f"{SWEEP}{DAMAGED}")
            os.replace(path, aside)
            self.runner.say(f"{str(error).rpartition(';')[0]}; set aside as {aside.name} and made anew")
            return None
        return pd.read_parquet(path)

    def _one(self, fold: int, seed: int) -> list[dict[str, Any]]:
        folders = {name: self.runner.directory(name, fold, seed, self.plan).final for name in self.plan.strategies}
        for folder in folders.values():
            checked(folder / WEIGHTS)
        contestants = {n: self.runner.restored(n, folder / WEIGHTS, seed) for n, folder in folders.items()}
        for contestant in contestants.values():
            contestant.encoder.eval()
        stores = {name: self._store(contestant) for name, contestant in contestants.items()}
        records = self.runner.dataset.split(fold, self.plan.n_folds)["test"]
        arms: list[Arm] = []
        rows: list[dict[str, Any]] = []
        for number, record in enumerate(records):
            if record.id in self.failed:
                continue
            try:
                with self.runner.open_record(record) as slide:
                    seen = look(record, slide, self.runner.settings.view, next(iter(contestants.values())))
                    arms = arms or self._arms(contestants, stores, seen)
                    rows += [row for arm in arms for row in self._rows(arm, seen, number)]
            except (SlideError, OSError) as error:
                self.failed[record.id] = str(error)
            self.report(f"seed {seed}: sweep over budgets", number + 1, len(records))
        return rows

    def _arms(self, contestants: dict[str, Contestant], stores: dict[str, FeatureStore], first: Look) -> list[Arm]:
        """What is evaluated on every slide; `first`: any slide, to see which strategies know no budget."""
        arms = []
        low, high = min(self.settings.budgets), max(self.settings.budgets)
        for name, contestant in contestants.items():
            ends = [
                Arm(name, "sample", n, 1, at_budget(contestant.strategy, n, "sample"), contestant, stores[name])
                for n in (low, max(high, low + 1))
            ]
            said = [self._predict(arm, first, seed)[0].logits for arm in ends for seed in (0, 1)]
            if all(torch.equal(said[0], other) for other in said[1:]):  # neither N nor the seed: once is enough
                arms.append(replace(ends[0], budget=0))
                continue
            if contestant.strategy.stops_early and self.settings.confidences:
                for confidence in self.settings.confidences:
                    strategy = at_budget(contestant.strategy, high, "sample", confidence)
                    arms.append(
                        replace(
                            ends[0], budget=high, draws=self.settings.draws, strategy=strategy, confidence=confidence
                        )
                    )
                continue
            for mode in ("sample", "top") if name in self.settings.top else ("sample",):
                draws = self.settings.draws if mode == "sample" else 1
                arms += [
                    Arm(name, mode, n, draws, at_budget(contestant.strategy, n, mode), contestant, stores[name])
                    for n in self.settings.budgets
                ]
        return arms

    def _store(self, contestant: Contestant) -> FeatureStore:
        """One store for all that share a frozen encoder; a trained encoder has its own."""
        own = FeatureStore(contestant.encoder.dim)
        if not self.runner.settings.encoder.frozen:
            return own
        return self.runner.stores.setdefault(contestant.encoder.fingerprint, own)

    def _predict(self, arm: Arm, seen: Look, seed: int) -> tuple[Outcome, Meter]:
        return predict(arm.strategy, arm.contestant, seen, self.runner.settings.view, arm.store, seed)

    def _rows(self, arm: Arm, seen: Look, number: int) -> list[dict[str, Any]]:
        classes, record, rows = self.runner.dataset.classes, seen.record, []
        for draw in range(arm.draws):
            # other noise on every slide: with the same, the slides of a draw would go astray together
            outcome, meter = self._predict(arm, seen, draw * 1_000_003 + number)
            rows.append(
                {
                    STRATEGY: arm.strategy.name,
                    "uses_evidence": arm.strategy.uses_evidence,
                    "told": arm.strategy.told(),
                    MODE: arm.mode,
                    BUDGET: arm.budget,
                    CONFIDENCE: arm.confidence,
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
