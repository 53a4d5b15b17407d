"""A training while it runs: the candidate at work, the best of the others, and how it goes on after a kill."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch
from torch import Generator, nn

from baselines.contract import Strategy
from bench.runs.checkpoint import Checkpoint, bring_back, bring_back_randomness, on_device, shared_state
from bench.runs.layout import CANDIDATE, EPOCH, RSS_BYTES, SECONDS, VAL_LOSS
from jsma.metered import Desk, MeteredSlide

_PLAIN = ("epoch", "best_loss", "best_epoch", "best_s", "curve")


@dataclass
class Fit:
    """One candidate in training: all that changes from epoch to epoch.

    Attributes:
        strategy: What is trained.
        encoder: The encoder where it is trained too, else None.
        optimiser: With its own state.
        generator: All randomness of the training.
        best_state: State dict of the strategy in the best epoch.
        best_encoder: State dict of the encoder in the best epoch, where it is trained.
        epoch: The next epoch, from 0.
        best_loss: Lowest validation loss.
        best_epoch: Its epoch, -1 before the first.
        best_s: Measured and charged seconds until the best epoch.
        curve: One row an epoch.
        losses: Of the batches of the epoch at work.
    """

    strategy: Strategy
    encoder: nn.Module | None
    optimiser: torch.optim.Optimizer
    generator: Generator
    best_state: dict[str, Any]
    best_encoder: dict[str, Any] | None = None
    epoch: int = 0
    best_loss: float = float("inf")
    best_epoch: int = -1
    best_s: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def note(self, row: dict[str, float], desk: Desk) -> None:
        """Note that one epoch is over; `row` holds its losses and the rest."""
        now_s = desk.meter.wall_s + desk.meter.charged_s
        rss = psutil.Process().memory_info().rss
        self.curve.append({EPOCH: self.epoch, SECONDS: now_s, RSS_BYTES: rss, **row})
        if row[VAL_LOSS] < self.best_loss:
            self.best_loss, self.best_epoch, self.best_s = row[VAL_LOSS], self.epoch, now_s
            self.best_state = copy.deepcopy(self.strategy.state_dict())
            self.best_encoder = None if self.encoder is None else copy.deepcopy(self.encoder.state_dict())
        self.epoch += 1

    def state(self) -> dict[str, Any]:
        """All of it, as plain data and tensors."""
        return {
            "strategy": self.strategy.state_dict(),
            "encoder": None if self.encoder is None else self.encoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "best_state": self.best_state,
            "best_encoder": self.best_encoder,
            **{name: getattr(self, name) for name in _PLAIN},
        }

    def load(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from a `state`."""
        self.strategy.load_state_dict(state["strategy"])
        if self.encoder is not None:
            self.encoder.load_state_dict(state["encoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.best_state = on_device(state["best_state"], device)
        self.best_encoder = on_device(state["best_encoder"], device)
        for name in _PLAIN:
            setattr(self, name, state[name])


@dataclass
class Best:
    """The best candidate so far.

    Attributes:
        number: Its number, from 0.
        strategy: With its best weights.
        encoder: State dict of the encoder where it is trained, else None.
        val_loss: Its lowest validation loss.
        best_s: Measured and charged seconds until its best epoch.
    """

    number: int
    strategy: Strategy
    encoder: dict[str, Any] | None
    val_loss: float
    best_s: float


@dataclass
class Search:
    """The candidates of one training, one after the other; how far they are is kept in `checkpoint`.

    Attributes:
        desk: What the slides share.
        slides: All slides of the training.
        checkpoint: Where the state is kept.
        candidate: Number of the candidate at work, from 0.
        best: The best candidate so far, None before the first is trained.
        curve: The rows of all candidates that are trained.
        dropped: Slide -> why it could not be read to the end.
    """

    desk: Desk
    slides: list[MeteredSlide]
    checkpoint: Checkpoint
    candidate: int = 0
    best: Best | None = None
    curve: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    _kept: dict[str, Any] | None = None

    def resume(self, build: Callable[[int], Strategy]) -> None:
        """Take over what the checkpoint holds, if there is one; `build` makes a candidate by its number."""
        kept = self.checkpoint.read()
        if kept is None:
            return
        if set(kept["shared"]["paid"]) != {slide.id for slide in self.slides}:
            self.checkpoint.ignore("of other slides")
            return
        self.checkpoint.resumed_s += bring_back(self.desk, self.slides, kept["shared"]) + kept["resumed_s"]
        self.candidate, self.curve, self.dropped = kept["candidate"], kept["curve"], kept["dropped"]
        if kept["best"] is not None:
            number, state, encoder, val_loss, best_s = kept["best"]
            strategy = build(number)
            strategy.set_progress(1.0)
            strategy.load_state_dict(state)
            self.best = Best(number, strategy, on_device(encoder, self.desk.device), val_loss, best_s)
        self._kept = kept

    def take_up(self, fit: Fit) -> Fit:
        """`fit`, which is new, or as the checkpoint holds it."""
        if self._kept is not None and self._kept["fit"] is not None:
            fit.load(self._kept["fit"], self.desk.device)
            bring_back_randomness(self.desk, self._kept["shared"])
        self._kept = None
        return fit

    def keep(self, fit: Fit | None, now: bool = False) -> None:
        """Write the checkpoint if it is time, or `now`; `fit` is the candidate at work, None between two."""
        if self.checkpoint.path is None or not (now or self.checkpoint.due):
            return
        with self.desk.meter.paused():
            best = self.best
            self.checkpoint.write(
                {
                    "candidate": self.candidate,
                    "curve": self.curve,
                    "dropped": self.dropped,
                    "best": best
                    and (best.number, best.strategy.state_dict(), best.encoder, best.val_loss, best.best_s),
                    "fit": fit and fit.state(),
                    "resumed_s": self.checkpoint.resumed_s,
                    "shared": shared_state(self.desk, self.slides),
                }
            )

    def finish(self, fit: Fit, encoder: dict[str, Any] | None, more: bool) -> None:
        """Note that the candidate at work is trained.

        Args:
            fit: The candidate.
            encoder: State dict of the encoder where it is trained, else None.
            more: Whether another candidate follows.
        """
        self.curve += [{CANDIDATE: self.candidate, **row} for row in fit.curve]
        if self.best is None or fit.best_loss < self.best.val_loss:
            self.best = Best(self.candidate, fit.strategy, encoder, fit.best_loss, fit.best_s)
        self.candidate += 1
        if more:
            self.keep(None, now=True)
