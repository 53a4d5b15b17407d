"""One strategy at one budget, and what it says of one slide with what that would have cost from the file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Generator

from baselines.contract import Outcome, Strategy, ask
from bench.datasets import SlideRecord
from bench.datasets.evidence.shares import evidence_for
from bench.runs.infer import Contestant
from jsma.encoders.encoder import Encoder
from jsma.meter import Counters, Meter
from jsma.metered import Desk, MeteredSlide, SlideView, ViewSettings
from jsma.metered.store import FeatureStore
from jsma.slides import Slide

Mode = Literal["sample", "top"]


@dataclass(frozen=True)
class ViewedSlide:
    """A slide whose overview was read once, with what that took."""

    record: SlideRecord
    slide: Slide
    view: SlideView
    counters: Counters
    seconds: dict[str, float]


@dataclass(frozen=True)
class Point:
    """One strategy at one budget.

    Attributes:
        mode: How patches are chosen.
        budget: N. 0 where neither N nor the sampling seed changes what the strategy says.
        draws: How many sampling seeds are tried.
        strategy: The trained strategy, at this budget.
        contestant: What was trained.
        store: Where its features are kept.
        confidence: The threshold at which it stops; None where it is not swept.
    """

    mode: Mode
    budget: int
    draws: int
    strategy: Strategy
    contestant: Contestant
    store: FeatureStore
    confidence: float | None = None


def at_budget(strategy: Strategy, n_patches: int, mode: Mode, confidence: float | None = None) -> Strategy:
    """The trained strategy with another number of patches (and confidence); its weights do not depend on them."""
    method, options = replace(strategy.settings.method, n_patches=n_patches, sampling=mode), strategy.options
    if confidence is not None:
        options = replace(options, confidence=confidence)
    settings = replace(strategy.settings, method=method, options=options)
    other = type(strategy)(settings, strategy.feature_dim, strategy.n_classes, strategy.meter)
    other.load_state_dict(strategy.state_dict())
    return other.to(next(strategy.parameters()).device).eval()


def view_slide(record: SlideRecord, slide: Slide, view: ViewSettings, encoder: Encoder) -> ViewedSlide:
    """Read the overview of an opened slide, metered."""
    meter = Meter()
    metered = MeteredSlide(record.id, lambda: slide, Desk(meter, encoder, view))
    found = metered.view
    return ViewedSlide(record, slide, found, meter.total(), meter.seconds())


@torch.no_grad()
def predict(point: Point, viewed: ViewedSlide, view: ViewSettings, seed: int) -> tuple[Outcome, Meter]:
    """One prediction, and what it would have cost from the file."""
    device, contestant = next(point.strategy.parameters()).device, point.contestant
    for _ in range(2):
        known, meter = point.store.unit.patches, Meter()
        desk = Desk(meter, contestant.encoder, view, point.store, contestant.scale, device)
        nothing_paid = replace(viewed.view, paid=np.zeros_like(viewed.view.paid))
        evidence_of = evidence_for(type(point.strategy), viewed.record)
        slide = MeteredSlide(viewed.record.id, lambda: viewed.slide, desk, nothing_paid, evidence_of)
        outcome = ask(point.strategy, [slide], Generator(device=device).manual_seed(seed))[0]
        if point.store.unit.patches == known:
            break  # else something was read for the store: once more, with all of it planned and charged
    meter.count(viewed.record.id, viewed.counters)
    for stage, seconds in viewed.seconds.items():
        meter.charge(stage, seconds)
    return outcome, meter
