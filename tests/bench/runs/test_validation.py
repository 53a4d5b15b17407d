"""Validation: the mean over draws, asked once of a strategy that draws nothing."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from baselines.contract import Outcome, Strategy, StrategySettings
from bench.errors import UsageError
from bench.runs.settings.overrides import assign
from bench.runs.settings.presets import PRESETS
from bench.runs.settings.settings import RunSettings, TrainSettings, in_regime
from bench.runs.train import Schedule, train
from bench.runs.validation import Validation
from jsma.meter import Meter


def item(number) -> Any:
    """A labelled slide, as far as training looks at it."""
    return SimpleNamespace(slide=SimpleNamespace(id=f"s{number}"), label=number % 3)


def desk() -> Any:
    """A desk, as far as training looks at it."""
    return SimpleNamespace(device=torch.device("cpu"), encoder=nn.Identity(), meter=Meter(), store=None)


class Noisy(Strategy):
    name, source = "noisy", "this test"

    def forward(self, slides, generator):
        self.asked = getattr(self, "asked", 0) + len(slides)
        noise = torch.randn(len(slides), 3, generator=generator)
        return [Outcome(torch.arange(3.0) + row) for row in noise]


def noisy():
    return Noisy(StrategySettings(), 4, 3, Meter())


def validation(n, draws):
    return Validation([item(i) for i in range(n)], desk(), TrainSettings(batch=4, val_draws=draws), seed=5)


def test_loss_and_accuracy_are_means_over_the_draws_and_the_same_in_every_epoch():
    strategy, many = noisy(), validation(9, 3)
    found = many(strategy, {})
    assert found == many(strategy, {}) and strategy.asked == 2 * 3 * 9
    generator = torch.Generator().manual_seed(5 + 1_000_003)
    labels = torch.arange(9) % 3
    losses, shares = [], []
    for _ in range(3):
        noise = [torch.randn(len(part), 3, generator=generator) for part in torch.arange(9).split(4)]
        logits = torch.arange(3.0) + torch.cat(noise)
        losses.append(cross_entropy(logits, labels).item())
        shares.append((logits.argmax(1) == labels).float().mean().item())
    assert found == pytest.approx({"val_loss": sum(losses) / 3, "val_accuracy": sum(shares) / 3})


def test_one_that_draws_nothing_is_asked_once():
    strategy = noisy()
    strategy.draws = False
    validation(6, 4)(strategy, {})
    assert strategy.asked == 6


class Hasty(Strategy):
    """Says in each outcome whether it might stop; its weight is the number of the step."""

    name, source, stops_early = "hasty", "this test", True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.bias, self.heard, self.asked = nn.Parameter(torch.zeros(3)), [], []

    def forward(self, slides, generator):
        self.asked.append("train" if self.training else self.purpose)
        return [Outcome(self.bias * 1, rounds=self.bias.detach()[None].clone()) for _ in slides]

    def calibrate(self, outcomes, labels):
        self.heard.append((outcomes, labels))


@pytest.mark.parametrize("stops", (True, False))
def test_weights_are_chosen_without_stopping_and_certainty_is_fit_to_them(stops):
    parts = {"train": [item(0)] * 8, "val": [item(i) for i in (1, 2, 3)]}  # ever worse on val: the first epoch is kept
    settings = TrainSettings(batch=8, epochs=4, val_draws=2, learning_rate=0.1)

    def build(chosen, meter):
        strategy = Hasty(chosen, 4, 3, meter)
        strategy.stops_early = stops
        return strategy

    strategy: Any = train(build, [StrategySettings()], parts, desk(), Schedule(settings)).strategy
    assert strategy.purpose == "test" and set(strategy.asked[:-2]) == {"train", "choose"}
    assert strategy.asked[-2:] == ["calibrate" if stops else "choose"] * 2  # two draws
    torch.testing.assert_close(strategy.bias.detach(), torch.tensor([0.1, -0.1, -0.1]))  # one step of Adam
    if not stops:
        assert strategy.heard == []
        return
    ((outcomes, labels),) = strategy.heard
    assert labels.tolist() == [1, 2, 0] * 2 and len(outcomes) == 6
    for outcome in outcomes:
        assert torch.equal(outcome.rounds[0], strategy.bias.detach())


def test_no_readable_slide_is_said():
    gone = {f"s{i}": f"s{i}.tif: no tissue; lower min_tissue" for i in range(5)}
    with pytest.raises(UsageError, match="validation part.*: 5 failed: s0.tif: no.*s2.tif.*; 2 more$") as it:
        validation(5, 4)(noisy(), gone)
    assert "s3" not in str(it.value)


@pytest.mark.parametrize("key", ("val_draws", "epochs", "batch", "patience"))
def test_none_of_the_counts_may_be_zero(key):
    with pytest.raises(UsageError, match=key):
        assign(PRESETS["tiny"], RunSettings(), (f"{key}=0",))


def test_nothing_stored_means_one_draw():
    assert in_regime(RunSettings(), "finetuned").train.val_draws == 1
    assert in_regime(RunSettings(), "frozen").train.val_draws == TrainSettings().val_draws > 1
