"""A strategy on the scene of the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from baselines.contract import Outcome, Strategy, StrategySettings, ask
from baselines.parts.loss import training_loss
from bench.checks.contract.scene import SETTINGS, Scene, Watched, options_of
from bench.datasets import SlideRecord
from jsma.meter import Meter


@dataclass(frozen=True)
class Trial:
    """A strategy class on the scene. Everything is built anew for each check."""

    cls: type[Strategy]
    scene: Scene

    def build(self, settings: StrategySettings = SETTINGS, seed: int = 0) -> Strategy:
        """The strategy with fresh weights from `seed` and a meter of its own."""
        torch.manual_seed(seed)
        settings = replace(settings, options=options_of(self.cls))
        return self.cls(self.cls.candidates(settings)[0], self.scene.encoder.dim, 2, Meter())

    def slides(self, strategy: Strategy, part: tuple[SlideRecord, ...] = (), store: bool = True) -> list[Watched]:
        """Fresh slides, metered by the strategy's meter: `part`, or one of each class."""
        return self.scene.slides(part or self.scene.train[:2], self.cls, strategy.meter, store)

    def answer(self, strategy: Strategy, slides: Sequence[Watched], training: bool, seed: int = 0) -> list[Outcome]:
        """One outcome a slide, in training or at test, from the sampling seed."""
        return ask(strategy.train(training), slides, Generator().manual_seed(seed))

    def loss(self, strategy: Strategy, slides: Sequence[Watched], seed: int) -> Tensor:
        """The loss of training: cross-entropy plus the mean penalty."""
        outcomes = self.answer(strategy, slides, True, seed)
        return training_loss(outcomes, [s.label for s in slides], torch.device("cpu"))[1]
