"""Inference: each slide from its file, timed, the strategies taking turns in random order."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Generator

from baselines.contract import Outcome, Strategy, ask
from bench.datasets import SlideRecord
from bench.datasets.evidence.shares import evidence_for
from bench.errors import UsageError
from bench.runs.context import Context
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
from bench.runs.observed.snapshots import Album, Snapshot, fill_albums
from bench.runs.observed.where_looked import evidence_of, where_looked
from bench.runs.result import Incidents
from jsma.encoders.encoder import Encoder
from jsma.errors import ContractError, EvidenceRefusedError
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide
from jsma.networks.feature_scale import FeatureScale
from jsma.slides import SlideError

OF_ONE = (ContractError, EvidenceRefusedError, UsageError)
"""Errors of one contestant, where no slide is at fault."""


@dataclass(frozen=True)
class Contestant:
    """A trained strategy with its encoder, and the scale of its features (None: as the encoder gives them)."""

    strategy: Strategy
    encoder: Encoder
    scale: FeatureScale | None = None


@dataclass(frozen=True)
class Inferred:
    """What the contestants said of the slides.

    Attributes:
        rows: Strategy -> its predictions, one a slide, in the order of the slides. A strategy that was ended has none.
        snapshots: Strategy -> what it looked at on the slides of which pictures were asked for.
        incidents: Slides of which nobody has a prediction, and strategies that were ended.
    """

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    snapshots: dict[str, list[Snapshot]] = field(default_factory=dict)
    incidents: Incidents = field(default_factory=Incidents)


@dataclass
class _Turns:
    """One slide, shown to each contestant in turn.

    Attributes:
        slide: Its id.
        rows: Strategy -> its prediction.
        ended: Strategy -> an error that is its own.
        doubtful: Strategy -> an error that may be its own, or the slide's.
        failed: Why the slide cannot be read; None where it can.
    """

    slide: str
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, Exception] = field(default_factory=dict)
    doubtful: dict[str, Exception] = field(default_factory=dict)
    failed: str | None = None


def sampling_seed(seed: int, slide: str) -> int:
    """Seed of the draws on one slide of a run, 63 bits: its own, whatever the order and number of the slides.

    With one seed for all slides the same noise would be drawn on each. Their errors would go together, and the accuracy
    of a run would move far more from seed to seed than its number of slides says.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{slide}".encode()).digest()[:8], "big") >> 1


def infer(
    contestants: Mapping[str, Contestant],
    records: list[SlideRecord],
    context: Context,
    seed: int,
    pictured: frozenset[str] = frozenset(),
) -> Inferred:
    """Predict every slide with every contestant.

    The file is read beforehand, so that all find it in the page cache ("warm"), or dropped from it before each
    prediction ("cold"). The order of the contestants is drawn anew for every slide. One unrecorded slide warms the
    networks up. A slide that cannot be read is failed for all. A contestant that breaks its contract is ended, and the
    others go on.

    Args:
        contestants: Strategy -> what was trained.
        records: The slides.
        context: The data and the settings.
        seed: Seed of the order and of the draws.
        pictured: Ids of the slides of which snapshots are kept.
    """
    order, names, seen = random.Random(seed), list(contestants), list[_Turns]()
    albums = {name: Album(pictured) for name in contestants}
    if records:
        _warm_up(contestants, records[0], context, seed)
    ended = set[str]()
    for number, record in enumerate(records):
        names = [name for name in names if name not in ended]
        order.shuffle(names)
        turns = _take_turns({name: contestants[name] for name in names}, record, context, seed, albums)
        ended |= turns.ended.keys()
        seen.append(turns)
        if turns.failed is None and not turns.doubtful:
            _keep_snapshots([albums[name] for name in turns.rows], record, context)
        context.report(f"seed {seed}: inference, interleaved", number + 1, len(records))
    rows, incidents = _settle(list(contestants), seen)
    return Inferred(rows, {name: albums[name].snapshots for name in rows}, incidents)


def _take_turns(
    contestants: Mapping[str, Contestant],
    record: SlideRecord,
    context: Context,
    seed: int,
    albums: Mapping[str, Album],
) -> _Turns:
    """Ask each contestant about one slide, in the order given."""
    turns, wanted = _Turns(record.id), context.settings.cache
    try:
        for number, (name, contestant) in enumerate(contestants.items()):
            state = prepare(record.path, wanted) if wanted != WARM or number == 0 else WARM
            try:
                row = _row(contestant, record, context, seed, albums[name])
                turns.rows[name] = {**row, TURN: len(turns.rows), CACHE: state}
            except OF_ONE as error:
                (turns.doubtful if of_a_slide(error) else turns.ended)[name] = error
    except (SlideError, OSError) as error:
        if not of_a_slide(error):
            raise
        turns.failed = str(error)
    return turns


def _settle(names: list[str], seen: list[_Turns]) -> tuple[dict[str, list[dict[str, Any]]], Incidents]:
    """The rows of each strategy, and whose fault each error was.

    A ValueError is the slide's fault where the strategy works on another slide. A strategy that works on none, and
    raises on several, is ended; the others keep their predictions of these slides.
    """
    readable = [turns for turns in seen if turns.failed is None]
    ended = {name: error for turns in seen for name, error in turns.ended.items()}
    working = {name for turns in readable for name in turns.rows}
    for name in names:
        errors = [turns.doubtful[name] for turns in readable if name in turns.doubtful]
        if name not in working and len(errors) > 1:
            ended.setdefault(name, errors[0])
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names if name not in ended}
    failed = {turns.slide: turns.failed for turns in seen if turns.failed is not None}
    for turns in readable:
        blamed = [error for name, error in turns.doubtful.items() if name not in ended]
        if blamed:
            failed[turns.slide] = str(blamed[0])
            continue
        for name in rows.keys() & turns.rows.keys():
            rows[name].append(turns.rows[name])
    return rows, Incidents(failed=failed, ended=ended)


def _keep_snapshots(albums: list[Album], record: SlideRecord, context: Context) -> None:
    """Read again what the report is to show, unmetered, after all were timed on this slide."""
    if any(album.pending for album in albums):
        with suppress(SlideError, OSError), context.open_record(record) as slide:  # a picture less, and no result
            fill_albums(albums, slide)


def _warm_up(contestants: Mapping[str, Contestant], record: SlideRecord, context: Context, seed: int) -> None:
    for contestant in contestants.values():
        try:
            _predict(contestant, record, context, seed)
        except (*Failure, *OF_ONE):
            continue  # the slide is asked for again, and the failure told, in its turn


@torch.no_grad()
def _predict(
    contestant: Contestant, record: SlideRecord, context: Context, seed: int
) -> tuple[Outcome, Meter, MeteredSlide]:
    contestant.strategy.eval()
    contestant.encoder.eval()
    device, view = next(contestant.strategy.parameters()).device, context.settings.view
    meter = Meter()
    desk = Desk(meter, contestant.encoder, view, None, contestant.scale, device)
    desk.flops_per_patch(view.patch_px, view.patch_px)
    slide = MeteredSlide(
        record.id,
        lambda: context.open_record(record),
        desk,
        evidence_of=evidence_for(type(contestant.strategy), record),
    )
    generator = Generator(device=device).manual_seed(sampling_seed(seed, record.id))
    try:
        outcome = ask(contestant.strategy, [slide], generator)[0]
        outcome.logits = outcome.logits.cpu()
    finally:
        slide.close()
    return outcome, meter, slide


def _row(contestant: Contestant, record: SlideRecord, context: Context, seed: int, album: Album) -> dict[str, Any]:
    """One prediction with what it cost and where it looked; `album` notes what may become a snapshot."""
    energy = meter_of(str(next(contestant.strategy.parameters()).device))
    energy.start()
    outcome, meter, slide = _predict(contestant, record, context, seed)
    stages, joules = meter.seconds(), energy.stop()
    classes = context.dataset.classes
    probabilities = outcome.logits.double().softmax(0).tolist()
    row: dict[str, Any] = {
        SLIDE: record.id,
        PATIENT: record.patient,
        SITE: record.site,
        LABEL: record.label,
        PREDICTED: classes[int(outcome.logits.argmax())],
        **{probability_column(name): p for name, p in zip(classes, probabilities, strict=True)},
        **asdict(meter.total()),
        SECONDS: sum(stages.values()),
        **{stage_column(name): s for name, s in stages.items()},
        JOULES: joules,
        AREA0_PX: slide.view.grid.width0_px * slide.view.grid.height0_px,
        TISSUE_CELLS: int(slide.view.mask.sum()),
        **where_looked(slide.view, outcome, evidence_of(record, slide.view.grid)),
    }
    if outcome.p_magnification is not None:
        row.update({magnification_column(m): float(p) for m, p in enumerate(outcome.p_magnification)})
    album.note(slide.view, outcome, row)
    return row
