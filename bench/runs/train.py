"""Training of one strategy: the same loop for all, stopped on validation, charged in full."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Generator, nn

from baselines.contract import Strategy, StrategySettings
from baselines.parts.loss import training_loss
from bench.progress import Quiet, Steps
from bench.runs.checkpoint import NOTHING, Checkpoint
from bench.runs.failing import require_classes, watch_divergence
from bench.runs.layout import ENTROPY_P_M, RSS_BYTES, TRAIN_LOSS, magnification_column
from bench.runs.resume import Fit, Search
from bench.runs.settings.settings import TrainSettings
from bench.runs.validation import Labelled, Validation, ask_batch, classes_of
from jsma.meter import Meter
from jsma.metered import Desk


@dataclass
class Trained:
    """The best weights on validation, and what it took to find them.

    Attributes:
        strategy: With its best weights.
        settings: Of the best candidate.
        val_loss: Its lowest validation loss.
        train_s: Measured and charged seconds of all candidates.
        best_s: The same, until the best epoch of the best candidate.
        charged_s: Those of `train_s` that were charged for features from a store.
        curve: One row for each candidate and epoch.
        stages: Seconds by stage.
        peak_rss_bytes: Most memory of the process at the end of an epoch.
        dropped: Slide -> why it could not be read to the end.
        resumed_s: Seconds, not in `train_s`, spent on reading again what a training that was broken off had read.
    """

    strategy: Strategy
    settings: StrategySettings
    val_loss: float
    train_s: float
    best_s: float
    charged_s: float
    curve: list[dict[str, Any]]
    stages: dict[str, float]
    peak_rss_bytes: int
    dropped: dict[str, str] = field(default_factory=dict)
    resumed_s: float = 0.0


Build = Callable[[StrategySettings, Meter], Strategy]
"""Makes a strategy of settings and a meter."""


@dataclass(frozen=True)
class Schedule:
    """How a strategy is trained: the same for all.

    Attributes:
        settings: Epochs, rates and the rest.
        seed: Seed of the weights and of the draws.
        report: Told how many epochs of how many are done.
        checkpoint: What a training that was broken off goes on from.
    """

    settings: TrainSettings
    seed: int = 0
    report: Steps = field(default_factory=lambda: Quiet().named("training"))
    checkpoint: Checkpoint = NOTHING

    def for_candidate(self, number: int, candidates: int) -> Schedule:
        """The schedule of one candidate; what it reports is a part of the whole."""

        def report(done: int, total: int) -> None:
            self.report(number * total + done, candidates * total)

        return replace(self, report=report)


def train(
    build: Build,
    candidates: list[StrategySettings],
    parts: dict[str, list[Labelled]],
    desk: Desk,
    schedule: Schedule,
) -> Trained:
    """Train each candidate, keep the best on validation, and charge for all. All share the meter of the desk.

    A training goes on from what the checkpoint of `schedule` holds, if that is of this training, and ends as if it had
    never been broken off.

    Args:
        build: Makes a strategy.
        candidates: Settings, one for each candidate.
        parts: The slides of "train" and "val".
        desk: What all slides share; its encoder is trained too where it is not frozen.
        schedule: How it is trained.

    Raises:
        UsageError: Training diverges, or slides of fewer than two classes are left.
    """
    trains_encoder = any(p.requires_grad for p in desk.encoder.parameters())
    fresh = copy.deepcopy(desk.encoder.state_dict()) if trains_encoder else None
    slides = [item.slide for part in ("train", "val") for item in parts[part]]
    search = Search(desk, slides, schedule.checkpoint)
    search.resume(lambda number: build(candidates[number], desk.meter).to(desk.device))
    for number in range(search.candidate, len(candidates)):
        torch.manual_seed(schedule.seed)
        if fresh is not None:  # no candidate starts from what another made of the encoder
            desk.encoder.load_state_dict(fresh)
        strategy = build(candidates[number], desk.meter).to(desk.device)
        fit = search.take_up(begin_fit(strategy, desk, schedule))
        _train_candidate(fit, parts, desk, schedule.for_candidate(number, len(candidates)), search)
        encoder = copy.deepcopy(desk.encoder.state_dict()) if trains_encoder else None
        search.finish(fit, encoder, more=number + 1 < len(candidates))
    return _take_best(search, candidates, desk)


def _take_best(search: Search, candidates: list[StrategySettings], desk: Desk) -> Trained:
    """The best candidate, its encoder on the desk, and what all candidates took."""
    best = search.best
    assert best is not None
    if best.encoder is not None:
        desk.encoder.load_state_dict(best.encoder)
    return Trained(
        best.strategy,
        candidates[best.number],
        val_loss=best.val_loss,
        train_s=desk.meter.wall_s + desk.meter.charged_s,
        best_s=best.best_s,
        charged_s=desk.meter.charged_s,
        curve=search.curve,
        stages=desk.meter.seconds(),
        peak_rss_bytes=max(row[RSS_BYTES] for row in search.curve),
        dropped=search.dropped,
        resumed_s=search.checkpoint.resumed_s,
    )


def begin_fit(strategy: Strategy, desk: Desk, schedule: Schedule) -> Fit:
    """A candidate before its first epoch."""
    settings = schedule.settings
    groups = parameter_groups(strategy, desk.encoder, settings)
    optimiser = torch.optim.Adam(groups, weight_decay=settings.weight_decay)
    generator = Generator(device=desk.device).manual_seed(schedule.seed)
    encoder = None if desk.store is not None else desk.encoder
    return Fit(strategy, encoder, optimiser, generator, copy.deepcopy(strategy.state_dict()))


def _train_candidate(
    fit: Fit, parts: dict[str, list[Labelled]], desk: Desk, schedule: Schedule, search: Search
) -> None:
    """Train until the epochs or the patience are used up; the strategy has its best weights at the end."""
    strategy, dropped, settings = fit.strategy, search.dropped, schedule.settings
    validation = Validation(parts["val"], desk, settings, schedule.seed)
    while fit.epoch < settings.epochs and fit.epoch - 1 - fit.best_epoch < settings.patience:
        strategy.set_progress(fit.epoch / settings.epochs)
        with watch_divergence(fit, settings, dropped):
            row = _train_epoch(fit, parts["train"], desk, settings, dropped)
            row.update(validation(strategy, dropped))
        fit.note(row, desk)
        search.keep(fit)
        schedule.report(fit.epoch, settings.epochs)
    schedule.report(settings.epochs, settings.epochs)
    strategy.set_progress(1.0)
    strategy.load_state_dict(fit.best_state)
    if fit.best_encoder is not None:
        desk.encoder.load_state_dict(fit.best_encoder)
    if strategy.stops_early:
        draws = validation.ask_draws(strategy, dropped, "calibrate")
        outcomes = [outcome for own, _ in draws for outcome in own]
        strategy.calibrate(outcomes, torch.cat([labels for _, labels in draws]))


def parameter_groups(strategy: nn.Module, encoder: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """All that is trained, with its learning rate: the strategy, and the encoder where it is not frozen."""
    own = settings.learning_rate if settings.encoder_learning_rate is None else settings.encoder_learning_rate
    pairs = ((strategy, settings.learning_rate), (encoder, own))
    found = [{"params": [p for p in part.parameters() if p.requires_grad], "lr": lr} for part, lr in pairs]
    return [group for group in found if group["params"]]


def _train_epoch(
    fit: Fit, items: list[Labelled], desk: Desk, settings: TrainSettings, dropped: dict[str, str]
) -> dict[str, float]:
    strategy, optimiser, generator = fit.strategy.train(), fit.optimiser, fit.generator
    desk.encoder.train()  # a frozen one stays in evaluation mode
    labels_of_all, items = classes_of(items), [item for item in items if item.slide.id not in dropped]
    order = torch.randperm(len(items), generator=generator, device=generator.device).tolist()
    fit.losses, total, n, p_sum, p_count = [], 0.0, 0, None, 0
    for start in range(0, len(order), settings.batch):
        batch = [items[i] for i in order[start : start + settings.batch]]
        batch, outcomes = ask_batch(strategy, batch, generator, dropped)
        if not batch:
            continue
        with desk.meter.stage("aggregate"):
            entropy, loss = training_loss(outcomes, [item.label for item in batch], desk.device)
            fit.losses.append(float(entropy.detach()))
            total, n = total + fit.losses[-1] * len(batch), n + len(batch)
        with desk.meter.stage("backward"):
            optimiser.zero_grad()
            loss.backward()
        with desk.meter.stage("optimiser"):
            nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], settings.clip_norm)
            optimiser.step()
        drawn = [o.p_magnification for o in outcomes if o.p_magnification is not None]
        if drawn:
            step = torch.stack(drawn).sum(0)
            p_sum, p_count = (step if p_sum is None else p_sum + step), p_count + len(drawn)
    require_classes("training", labels_of_all, dropped)
    row = {TRAIN_LOSS: total / n}
    if p_sum is not None:
        share = p_sum / p_count
        row.update({magnification_column(m): float(v) for m, v in enumerate(share)})
        row[ENTROPY_P_M] = float(torch.special.entr(share).sum())  # nats; 0 where one magnification is left
    return row


def settings_record(trained: Trained) -> dict[str, Any]:
    """What training cost and chose, as plain data."""
    return {
        "train_s": trained.train_s,
        "best_s": trained.best_s,
        "charged_s": trained.charged_s,
        "resumed_s": trained.resumed_s,
        "val_loss": trained.val_loss,
        "chosen": asdict(trained.settings),
        "stages": trained.stages,
        "peak_rss_bytes": trained.peak_rss_bytes,
    }
