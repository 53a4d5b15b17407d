"""Validation: what a strategy says of slides it is not trained on, by which epochs and candidates are chosen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from baselines.contract import Outcome, Purpose, Strategy
from bench.runs.failing import ask_without, require_classes
from bench.runs.layout import VAL_ACCURACY, VAL_LOSS
from bench.runs.settings.settings import TrainSettings
from jsma.metered import Desk, MeteredSlide


@dataclass
class Labelled:
    """A metered slide with the index of its class."""

    slide: MeteredSlide
    label: int


def ask_batch(
    strategy: Strategy,
    batch: list[Labelled],
    generator: Generator,
    dropped: dict[str, str],
    purpose: Purpose = "test",
) -> tuple[list[Labelled], list[Outcome]]:
    """The batch without slides that cannot be read (they go to `dropped` with the reason), and its outcomes."""
    outcomes = ask_without(strategy, [item.slide for item in batch], generator, dropped, purpose)
    return [item for item in batch if item.slide.id not in dropped], outcomes


def classes_of(items: list[Labelled]) -> dict[str, int]:
    """Slide -> class."""
    return {item.slide.id: item.label for item in items}


class Validation:
    """Validation loss and accuracy of a strategy, means over several draws.

    With one draw the epoch would be chosen that this draw happens to favour. The draws depend on `seed` only, so that
    epochs are comparable. A strategy that draws nothing is asked once.
    """

    def __init__(self, items: list[Labelled], desk: Desk, settings: TrainSettings, seed: int) -> None:
        self.items, self.desk, self.batch, self.seed = items, desk, settings.batch, seed
        self.draws = settings.val_draws

    @torch.no_grad()
    def __call__(self, strategy: Strategy, dropped: dict[str, str]) -> dict[str, float]:
        """`val_loss` and `val_accuracy`; slides that cannot be read to the end go to `dropped` with the reason."""
        losses, shares = [], []
        for outcomes, labels in self.ask_draws(strategy, dropped, "choose"):
            logits = torch.stack([o.logits for o in outcomes])
            losses.append(float(cross_entropy(logits, labels)))
            shares.append(float((logits.argmax(1) == labels).float().mean()))
        return {VAL_LOSS: sum(losses) / len(losses), VAL_ACCURACY: sum(shares) / len(shares)}

    @torch.no_grad()
    def ask_draws(
        self, strategy: Strategy, dropped: dict[str, str], purpose: Purpose
    ) -> list[tuple[list[Outcome], Tensor]]:
        """For each draw, what the strategy says of the slides, and their labels [n]."""
        strategy.eval()
        self.desk.encoder.eval()
        generator = Generator(device=self.desk.device).manual_seed(self.seed + 1_000_003)
        draws = range(self.draws if strategy.draws else 1)
        return [self._ask_once(strategy, generator, dropped, purpose) for _ in draws]

    def _ask_once(
        self, strategy: Strategy, generator: Generator, dropped: dict[str, str], purpose: Purpose
    ) -> tuple[list[Outcome], Tensor]:
        items = [item for item in self.items if item.slide.id not in dropped]
        rows: list[Outcome] = []
        kept: list[Labelled] = []
        for start in range(0, len(items), self.batch):
            part, outcomes = ask_batch(strategy, items[start : start + self.batch], generator, dropped, purpose)
            rows += outcomes
            kept += part
        require_classes("validation", classes_of(self.items), dropped)
        return rows, torch.tensor([item.label for item in kept], device=rows[0].logits.device)
