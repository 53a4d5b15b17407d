"""Inference: each slide from its file, timed, the strategies taking turns in random order."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Generator

from baselines.contract import Outcome, Strategy, ask
from bench.datasets import Dataset, SlideRecord
from bench.datasets.evidence.shares import evidence_for
from bench.errors import UsageError
from bench.runs.failing import Failure, of_a_slide
from bench.runs.layout import (
    AREA0_PX,
    CACHE,
    JOULES,
    LABEL,
    PATIENT,
    PREDICTED,
    SECONDS,
    SITE,
    SLIDE,
    TISSUE_CELLS,
    TURN,
    magnification_column,
    probability_column,
    stage_column,
)
from bench.runs.observed.energy import meter_of
from bench.runs.observed.page_cache import WARM, prepare
from bench.runs.observed.snapshots import Album, keep, wanted
from bench.runs.observed.where_looked import evidence_of, where_looked
from jsma.encoders.encoder import Encoder
from jsma.errors import ContractError, EvidenceRefusedError
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.networks.feature_scale import FeatureScale
from jsma.slides import Slide, SlideError


@dataclass
class Contestant:
    """A trained strategy with its encoder and the scale of its features, the rows that inference writes, and the
    looks that are kept of it, if any.
    """

    strategy: Strategy
    encoder: Encoder
    rows: list[dict[str, Any]]
    scale: FeatureScale | None = None
    album: Album | None = None


OF_ONE = (ContractError, EvidenceRefusedError, UsageError)
"""Errors of one contestant, where no slide is at fault."""


@dataclass(frozen=True)
class Inferred:
    """failed: slide -> why nobody has a prediction of it; ended: strategy -> the error that ended it, and it alone."""

    failed: dict[str, str]
    ended: dict[str, Exception]


@dataclass
class _Turns:
    """What the contestants said of one slide. doubtful: those that raised what may be the slide's fault, or theirs."""

    slide: str
    asked: int = 0
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    doubtful: dict[str, Exception] = field(default_factory=dict)


Open = Callable[[SlideRecord], Slide]


def sampling_seed(seed: int, slide: str) -> int:
    """Seed of the draws on one slide of a run, 63 bits: its own, whatever the order and number of the slides.

    One seed for all slides would draw the same noise on each; their errors would go together, and the accuracy of a run
    would move far more from seed to seed than its number of slides says.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{slide}".encode()).digest()[:8], "big") >> 1


def infer(
    contestants: dict[str, Contestant],
    records: list[SlideRecord],
    dataset: Dataset,
    view: ViewSettings,
    open_record: Open,
    seed: int,
    report: Callable[[int, int], None],
    cache: str = WARM,
) -> Inferred:
    """Predict every slide with every contestant; the predictions go to their `rows`.

    The file is read beforehand, so that all find it in the page cache ("warm"), or dropped from it before each
    prediction ("cold"); the order of the contestants is drawn anew for every slide. One unrecorded slide warms the
    networks up. A slide that cannot be read is failed for all; a contestant that breaks its contract is ended, and the
    others go on.
    """
    found, order = Inferred({}, {}), random.Random(seed)
    names, withheld = list(contestants), list[_Turns]()
    if records:
        _warm_up(contestants, records[0], view, open_record, seed)
    for number, record in enumerate(records):
        names = [name for name in names if name not in found.ended]
        order.shuffle(names)
        turns = _Turns(record.id)
        try:
            for name in names:
                state = prepare(record.path, cache) if cache != WARM or not turns.asked else WARM
                turns.asked += 1
                try:
                    row = _one(contestants[name], record, dataset, view, open_record, seed)
                    turns.rows[name] = {**row, TURN: len(turns.rows), CACHE: state}
                except OF_ONE as error:
                    (turns.doubtful if of_a_slide(error) else found.ended)[name] = error
        except (SlideError, OSError) as error:
            if not of_a_slide(error):
                raise
            found.failed[record.id] = str(error)
        else:
            if turns.doubtful:
                withheld.append(turns)
            else:
                _add(turns, contestants)
                _keep_looks([contestants[name] for name in turns.rows], record, open_record)
        report(number + 1, len(records))
    _settle(withheld, contestants, found, [record.id for record in records])
    return found


def _add(turns: _Turns, contestants: dict[str, Contestant]) -> None:
    for name, row in turns.rows.items():
        contestants[name].rows.append(row)


def _settle(withheld: list[_Turns], contestants: dict[str, Contestant], found: Inferred, order: list[str]) -> None:
    """Whose fault it was that a contestant raised a ValueError: the slide's, where it works on another.

    One that raises it on each of several slides is ended, and the others get their predictions back.
    """
    works = {name for name, one in contestants.items() if one.rows} | {name for t in withheld for name in t.rows}
    for name in contestants.keys() - works:
        errors = [turns.doubtful[name] for turns in withheld if name in turns.doubtful]
        if len(errors) > 1:
            found.ended.setdefault(name, errors[0])
    for turns in withheld:
        own = [error for name, error in turns.doubtful.items() if name not in found.ended]
        if own:
            found.failed[turns.slide] = str(own[0])
        else:
            _add(turns, contestants)
    place = {slide: number for number, slide in enumerate(order)}
    for contestant in contestants.values():
        contestant.rows.sort(key=lambda row: place[row[SLIDE]])


def _keep_looks(contestants: list[Contestant], record: SlideRecord, open_record: Open) -> None:
    """After all were timed on this slide: read again, unmetered, what the report is to show."""
    albums = [contestant.album for contestant in contestants]
    if wanted(albums):
        with suppress(SlideError, OSError), open_record(record) as slide:  # a picture less, and no result
            keep(albums, slide)


def _warm_up(
    contestants: dict[str, Contestant], record: SlideRecord, view: ViewSettings, open_record: Open, seed: int
) -> None:
    for contestant in contestants.values():
        try:
            _predict(contestant, record, view, open_record, seed)
        except (*Failure, *OF_ONE):
            continue  # the slide is tried again, and the failure told, in its turn


@torch.no_grad()
def _predict(
    contestant: Contestant, record: SlideRecord, view: ViewSettings, open_record: Open, seed: int
) -> tuple[Outcome, Meter, MeteredSlide]:
    contestant.strategy.eval()
    contestant.encoder.eval()
    device = next(contestant.strategy.parameters()).device
    meter = Meter()
    desk = Desk(meter, contestant.encoder, view, None, contestant.scale, device)
    desk.flops_per_patch(view.patch_px, view.patch_px)
    evidence_of = evidence_for(type(contestant.strategy), record)
    slide = MeteredSlide(record.id, lambda: open_record(record), desk, evidence_of=evidence_of)
    generator = Generator(device=device).manual_seed(sampling_seed(seed, record.id))
    try:
        outcome = ask(contestant.strategy, [slide], generator)[0]
        outcome.logits = outcome.logits.cpu()
    finally:
        slide.close()
    return outcome, meter, slide


def _one(
    contestant: Contestant, record: SlideRecord, dataset: Dataset, view: ViewSettings, open_record: Open, seed: int
) -> dict[str, Any]:
    energy = meter_of(str(next(contestant.strategy.parameters()).device))
    energy.start()
    outcome, meter, slide = _predict(contestant, record, view, open_record, seed)
    stages, joules = meter.seconds(), energy.stop()
    row: dict[str, Any] = {
        SLIDE: record.id,
        PATIENT: record.patient,
        SITE: record.site,
        LABEL: record.label,
        PREDICTED: dataset.classes[int(outcome.logits.argmax())],
    }
    probabilities = outcome.logits.double().softmax(0).tolist()
    row.update({probability_column(name): p for name, p in zip(dataset.classes, probabilities, strict=True)})
    row.update(asdict(meter.total()))
    row.update({SECONDS: sum(stages.values()), **{stage_column(name): s for name, s in stages.items()}})
    row[JOULES] = joules
    row.update(
        {
            AREA0_PX: slide.view.grid.width0_px * slide.view.grid.height0_px,
            TISSUE_CELLS: int(slide.view.mask.sum()),
            **where_looked(slide.view, outcome, evidence_of(record, slide.view.grid)),
        }
    )
    if outcome.p_magnification is not None:
        row.update({magnification_column(m): float(p) for m, p in enumerate(outcome.p_magnification)})
    if contestant.album is not None:
        contestant.album.note(slide.view, outcome, row)
    return row
