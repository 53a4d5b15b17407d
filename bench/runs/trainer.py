"""Training of one strategy of a run: slides are opened, features brought to one scale, and all is charged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from baselines.contract import Strategy, StrategySettings
from bench.datasets import SlideRecord
from bench.datasets.evidence.shares import evidence_for
from bench.errors import UsageError
from bench.runs.checkpoint import NOTHING, Checkpoint
from bench.runs.context import Context
from bench.runs.failing import overview_failure, require_classes
from bench.runs.feature_scale import Calibrations
from bench.runs.settings.settings import RunSettings
from bench.runs.settings.strategies import strategy_class
from bench.runs.stores import FeatureStores
from bench.runs.train import Labelled, Schedule, Trained, classes_of, train
from jsma.encoders.encoder import Encoder
from jsma.meter import Counters, Meter
from jsma.metered import Desk, MeteredSlide
from jsma.networks.feature_scale import FeatureScale


@dataclass(frozen=True)
class Training:
    """A strategy that was trained, and what it took.

    Attributes:
        trained: The strategy with its best weights, and the seconds. It holds the slides that were dropped.
        encoder: The encoder, as the strategy left it.
        scale: The scale of the features, None where they are taken as the encoder gives them.
        counters: What was read and encoded.
        features: Where features were kept (`FeatureStores.record`); None where they came from no store.
    """

    trained: Trained
    encoder: Encoder
    scale: FeatureScale | None
    counters: Counters
    features: dict[str, Any] | None


@dataclass(frozen=True)
class Trainer:
    """Trains strategies on one dataset. Stores of features and scales are shared by all trainings.

    Attributes:
        context: What all runs share.
        stores: Features that were computed.
        calibrations: Scales of features that were measured.
    """

    context: Context
    stores: FeatureStores = field(default_factory=FeatureStores)
    calibrations: Calibrations = field(default_factory=Calibrations)

    def with_settings(self, settings: RunSettings) -> Trainer:
        """A trainer of other settings, with the same stores and scales."""
        return replace(self, context=replace(self.context, settings=settings))

    def train(
        self,
        name: str,
        encoder: Encoder,
        parts: dict[str, list[SlideRecord]],
        seed: int,
        checkpoint: Checkpoint = NOTHING,
    ) -> Training:
        """Train the strategy called `name` on the parts "train" and "val", and go on from what `checkpoint` holds.

        Raises:
            UsageError: The settings do not fit the strategy, training diverges, or too few slides can be read.
        """
        context, settings = self.context, self.context.settings.of(name)
        calibration = self.calibrations.of(encoder, parts["train"], context)
        scale = None if calibration is None else calibration.scale
        store = self.stores.for_training(encoder, context.settings)
        desk = Desk(Meter(), encoder, context.settings.view, store, scale, context.device)
        if calibration is not None:
            calibration.charge(desk.meter)
        opened = {part: self._label(strategy_class(name), parts[part], desk) for part in ("train", "val")}
        unseen = _drop_unseen(opened)

        def report(done: int, total: int) -> None:
            context.report(f"seed {seed}: training {name}", done, total)

        candidates = strategy_class(name).candidates(settings.strategy)
        schedule = Schedule(settings.train, seed, report, checkpoint)
        trained = train(self._builder(name, encoder), candidates, opened, desk, schedule)
        for item in opened["train"] + opened["val"]:
            item.slide.close()
        trained.dropped.update(unseen)
        self.stores.flush()
        counters = desk.meter.total()
        kept = None if store is None else self.stores.record(encoder, asdict(counters))
        return Training(trained, encoder, scale, counters, kept)

    def _label(self, cls: type[Strategy], records: list[SlideRecord], desk: Desk) -> list[Labelled]:
        """The slides of `records`, seen from `desk`, each with its class."""
        found = []
        for record in records:
            evidence_of = evidence_for(cls, record)
            slide = MeteredSlide(record.id, lambda r=record: self.context.open_record(r), desk, evidence_of=evidence_of)
            found.append(Labelled(slide, self.context.dataset.classes.index(record.label)))
        return found

    def _builder(self, name: str, encoder: Encoder) -> Callable[[StrategySettings, Meter], Strategy]:
        """What builds the strategy called `name` from settings and a meter."""
        cls, n_classes = strategy_class(name), len(self.context.dataset.classes)

        def build(settings: StrategySettings, meter: Meter) -> Strategy:
            try:
                return cls(settings, encoder.dim, n_classes, meter)
            except ValueError as error:  # settings that this strategy cannot work with
                raise UsageError(str(error)) from error

        return build


def _drop_unseen(opened: dict[str, list[Labelled]]) -> dict[str, str]:
    """Take the slides out of `opened` whose overview cannot be read; returns slide -> why."""
    items = [item for part in opened.values() for item in part]
    unseen = {item.slide.id: why for item in items if (why := overview_failure(item.slide))}
    for part, called in (("train", "training"), ("val", "validation")):
        require_classes(called, classes_of(opened[part]), unseen)
        opened[part] = [item for item in opened[part] if item.slide.id not in unseen]
    return unseen
